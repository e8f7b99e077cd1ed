// SPDX-License-Identifier: Apache-2.0
// The machines of the configuration file as it was taken last.  Any thread.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/config.h"

namespace millrace {

class FileMachines {
 public:
  explicit FileMachines(std::vector<MachineConfig> machines) : machines_(std::move(machines)) {}

  void set(std::vector<MachineConfig> machines) {
    std::lock_guard lock(mutex_);
    machines_ = std::move(machines);
  }
  std::vector<MachineConfig> all() const {
    std::lock_guard lock(mutex_);
    return machines_;
  }
  std::optional<MachineConfig> find(const std::string& id) const {
    std::lock_guard lock(mutex_);
    for (const MachineConfig& machine : machines_) {
      if (machine.id == id) return machine;
    }
    return std::nullopt;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<MachineConfig> machines_;
};

}  // namespace millrace
