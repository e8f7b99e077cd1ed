// SPDX-License-Identifier: Apache-2.0
// The file of machines' secrets: <data>/secrets.json, mode 0600, replaced atomically.  Outside of the log, of every
// view and of every answer.  Any thread and process: writers wait for each other, readers see the old or the new file.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "bus/result.h"

namespace millrace {

// What a machine's Moonraker asks for; each part may be empty.
struct MachineSecret {
  std::string api_key;
  std::string username;
  std::string password;

  bool empty() const { return api_key.empty() && username.empty() && password.empty(); }
  bool operator==(const MachineSecret&) const = default;
};

class MachineSecrets {
 public:
  explicit MachineSecrets(std::filesystem::path file) : file_(std::move(file)) {}

  // Empty when the file or the machine is not there.  Errors name the file, never a secret.
  Result<MachineSecret> read(const std::string& machine) const;
  // Replaces the machine's; an empty one takes it away.
  Result<void> write(const std::string& machine, const MachineSecret& secret);

  const std::filesystem::path& file() const { return file_; }

 private:
  std::filesystem::path file_;
};

}  // namespace millrace
