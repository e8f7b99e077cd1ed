// SPDX-License-Identifier: Apache-2.0
// What the hub said last about its registry of machines, kept in a file so that adapters work while there is no hub.
// One thread.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "bus/machine_connection.h"
#include "bus/result.h"

namespace millrace {

class RegistryMemory {
 public:
  // Reads the file; one that is not there, or cannot be understood, is an empty memory.
  explicit RegistryMemory(std::filesystem::path file);

  // A message of config/<topic_level>; of kHubProducer it is the list.  kMalformed changes nothing.
  Result<void> take(const std::string& topic_level, std::string_view payload);
  // Writes the file when something changed since the last time.
  Result<void> store();

  // The machines that there are: of the list, with what was said of each.
  std::map<std::string, MachineConnection> machines() const;
  // False before the first list.
  bool knows_list() const { return list_.has_value(); }

 private:
  Result<void> load();

  const std::filesystem::path file_;
  std::map<std::string, MachineConnection> said_;
  std::optional<std::set<std::string>> list_;
  bool dirty_ = false;
};

}  // namespace millrace
