// SPDX-License-Identifier: Apache-2.0
// How the machines that this computer knows are reached for an emergency stop.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "bus/machine_connection.h"
#include "cli/config.h"
#include "net/emergency_stopper.h"

namespace millrace {

// The enabled ones of the configuration file, and those made by API as the adapters of the same data folder know them
// last. Works without a hub, a broker and a log.
std::map<std::string, EmergencyTarget> emergency_targets(const Config& config);

// One of the configuration file.
EmergencyTarget emergency_target(const MachineConfig& machine);
MachineSecret secret_of(const MachineConfig& machine);

// One made by API.  Its secret and certificate lie beside `secrets_file`.
EmergencyTarget emergency_target(const MachineConnection& connection, const std::filesystem::path& secrets_file);

}  // namespace millrace
