// SPDX-License-Identifier: Apache-2.0
// `millrace log info|cat|tail`: reads a log, also beside a running hub.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace millrace {

struct LogCommandOptions {
  std::filesystem::path data_dir = "./data";
  bool json = false;
  uint64_t after = 0;
  uint64_t limit = 0;  // 0: no limit for cat, the last 10 for tail
  std::string machine;
  std::string type;
  std::string from;  // RFC 3339, recorded time
  std::string to;
};

// Each returns the exit code and writes to stdout; errors are one line on stderr.
int run_log_info(const LogCommandOptions& options);
int run_log_cat(const LogCommandOptions& options);
int run_log_tail(const LogCommandOptions& options);  // until SIGINT or SIGTERM

}  // namespace millrace
