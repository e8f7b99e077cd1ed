// SPDX-License-Identifier: Apache-2.0
// How a machine is reached, what it is equipped with and by what limits and rules it is watched, as the hub says it on
// config/<machine> and the adapters keep it: JSON without any secret. And config/hub, the list of all machines there
// are: what is not in it was removed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bus/machine_equipment.h"
#include "bus/machine_safety.h"
#include "bus/result.h"

namespace millrace {

struct MachineConnection {
  std::string id;
  std::string name;
  std::string kind = "printer";
  std::string managed_by;  // "config" or "api"
  bool enabled = true;
  std::string moonraker_url;
  std::string authentication = "none";  // "none", "api_key" or "login"; the secret itself is elsewhere
  std::string tls_ca;                   // name of a PEM file beside the secrets; empty: the system's authorities
  uint64_t version = 0;                 // position of the event that said so
  uint64_t emergency_latch = 0;         // position of the event that latched it last; 0: it is not latched
  MachineEquipment equipment;
  MachineSafety safety;

  bool operator==(const MachineConnection&) const = default;
};

inline constexpr size_t kMaxRegisteredMachines = 4096;

std::string encode(const MachineConnection& connection);
// `id` is the topic's.  kMalformed names what is missing or wrong.
Result<MachineConnection> decode_machine_connection(std::string_view id, std::string_view payload);

std::string encode_machine_list(const std::vector<std::string>& ids);
Result<std::vector<std::string>> decode_machine_list(std::string_view payload);

}  // namespace millrace
