// SPDX-License-Identifier: Apache-2.0
// The parts of a shop as processes of their own, as in a real one; all end with this object.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bus/child_process.h"
#include "bus/clock.h"
#include "cli/config.h"

namespace millrace {

// What the kernel says of a process; zeros when it is gone.
struct ProcessUsage {
  double cpu_seconds = 0;
  double resident_mb = 0;
  uint64_t written_bytes = 0;  // handed to the disk, /proc/<pid>/io
};
ProcessUsage usage_of(pid_t pid);

class ShopProcesses {
 public:
  explicit ShopProcesses(std::filesystem::path directory) : directory_(std::move(directory)) {}

  Result<void> start_broker(const Clock& clock);
  // Ports and data folder, followed by `machines`, the [[machine]] list.  Before start().
  Result<void> configure(std::string_view machines);
  // This program with those words.
  Result<void> start(const std::string& name, std::vector<std::string> words);
  // `millrace sim` as the process `name`; its [[machine]] list once every port listens.
  Result<std::string> start_simulator(const std::string& name, uint64_t machines, const std::string& behaviour,
                                      const Clock& clock);
  // `millrace run` in that role.
  Result<void> start_role(const std::string& role);
  // The hub says that it is ready.
  bool hub_is_ready() const;
  // kTimeout says where the processes' own words are.
  Result<void> wait_until_ready(const Clock& clock);
  // Hub and adapters of that [[machine]] list, until the hub is ready.
  Result<void> start_roles(std::string_view machines, const Clock& clock);
  // All of it: broker, simulator, hub and adapters.
  Result<void> start_all(uint64_t machines, const std::string& behaviour, const Clock& clock);

  ChildProcess& process(const std::string& name) { return processes_.at(name); }
  const Config& config() const { return config_; }
  uint16_t http_port() const { return http_port_; }
  const std::filesystem::path& directory() const { return directory_; }

 private:
  const std::filesystem::path directory_;
  const uint16_t http_port_ = free_loopback_port();
  const uint16_t mqtt_port_ = free_loopback_port();
  Config config_;
  std::map<std::string, ChildProcess> processes_;
};

}  // namespace millrace
