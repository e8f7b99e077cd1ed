// SPDX-License-Identifier: Apache-2.0
#include "bus/ids.h"

#include <algorithm>
#include <array>

#include "bus/sensor_names.h"
#include "bus/topics.h"

namespace millrace {

bool is_valid_machine_id(std::string_view id) {
  constexpr size_t kMaxLength = 64;
  return !id.empty() && id.size() <= kMaxLength && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool is_reserved_name(std::string_view id) {
  constexpr std::array<std::string_view, 14> kReserved = {
      "hub",  "adapters", "home-assistant", "notifier",  "gateway", "recorder",       "projector",
      "edge", "mqtt",     "gcode-gateway",  "forwarder", "sim",     kSensorsProducer, kAllMachines};
  return std::find(kReserved.begin(), kReserved.end(), id) != kReserved.end();
}

}  // namespace millrace
