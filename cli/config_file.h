// SPDX-License-Identifier: Apache-2.0
// The configuration file of a running process, which is read again when it is another one.  One thread.
//
// A file that is written in place is half written for a moment: it is read once it has stayed the same for kQuiet.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "bus/clock.h"
#include "cli/config.h"

namespace millrace {

class ConfigFile {
 public:
  static constexpr std::chrono::milliseconds kQuiet{500};

  // `environment` is that of the start, with what the command line says in the place of variables.
  ConfigFile(std::filesystem::path path, Environment environment);

  // Reads it, as it is now.
  Result<Config> read();
  // Reads it when it is not the one that was read last, whether that could be understood or not; nullopt otherwise.
  // To be called a few times a second.
  std::optional<Result<Config>> look(MonotonicTime now);

  const std::filesystem::path& path() const { return path_; }

 private:
  // Device, inode, size and times; empty: there is none.
  std::string stamp() const;

  const std::filesystem::path path_;
  const Environment environment_;
  std::string read_;  // the stamp of what was read last
  std::string seen_;  // the stamp of the last look, and since when it is that
  MonotonicTime seen_since_{};
};

}  // namespace millrace
