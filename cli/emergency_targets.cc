// SPDX-License-Identifier: Apache-2.0
#include "cli/emergency_targets.h"

#include "bus/logging.h"
#include "cli/hub.h"
#include "producers/registry_memory.h"

namespace millrace {

EmergencyTarget emergency_target(const MachineConnection& connection, const std::filesystem::path& secrets_file) {
  EmergencyTarget target;
  target.url = connection.moonraker_url;
  if (!connection.tls_ca.empty()) target.ca_file = secrets_file.parent_path() / connection.tls_ca;
  if (connection.authentication == "none") return target;
  target.secret = [secrets_file, id = connection.id] {
    auto secret = MachineSecrets(secrets_file).read(id);
    if (secret) return std::move(*secret);
    log_warn("emergency", "machine '{}': {}", id, secret.error().message());
    return MachineSecret{};
  };
  return target;
}

MachineSecret secret_of(const MachineConfig& machine) {
  return {machine.moonraker_api_key, machine.moonraker_username, machine.moonraker_password};
}

EmergencyTarget emergency_target(const MachineConfig& machine) {
  return {machine.moonraker_url, machine.moonraker_ca_file, [secret = secret_of(machine)] { return secret; }};
}

std::map<std::string, EmergencyTarget> emergency_targets(const Config& config) {
  std::map<std::string, EmergencyTarget> targets;
  for (const auto& [id, connection] : RegistryMemory(registry_file(config.data_dir)).machines()) {
    if (connection.managed_by != "api" || !connection.enabled || connection.moonraker_url.empty()) continue;
    targets[id] = emergency_target(connection, secrets_file(config.data_dir));
  }
  for (const MachineConfig& machine : config.machines) {
    targets.erase(machine.id);
    if (machine.enabled) targets.emplace(machine.id, emergency_target(machine));
  }
  return targets;
}

}  // namespace millrace
