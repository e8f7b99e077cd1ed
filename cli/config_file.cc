// SPDX-License-Identifier: Apache-2.0
#include "cli/config_file.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

namespace millrace {

ConfigFile::ConfigFile(std::filesystem::path path, Environment environment)
    : path_(std::move(path)), environment_(std::move(environment)) {}

// The stamp first: what is written while it is read is seen by the next look.
Result<Config> ConfigFile::read() {
  read_ = seen_ = stamp();
  return load_config(path_, environment_);
}

std::optional<Result<Config>> ConfigFile::look(MonotonicTime now) {
  const std::string stamp = this->stamp();
  if (std::exchange(seen_, stamp) != stamp) seen_since_ = now;
  if (stamp == read_ || now - seen_since_ < kQuiet) return std::nullopt;
  return read();
}

std::string ConfigFile::stamp() const {
  struct stat status {};
  if (::stat(path_.c_str(), &status) != 0) return {};
  return fmt::format("{}.{}.{}.{}.{}.{}.{}", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

}  // namespace millrace
