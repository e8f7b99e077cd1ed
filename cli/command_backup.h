// SPDX-License-Identifier: Apache-2.0
// `millrace log backup|restore`.
#pragma once

#include <cstdint>
#include <filesystem>

namespace millrace {

struct BackupCommandOptions {
  std::filesystem::path data_dir = "./data";
  std::filesystem::path directory;  // backup: the folder of generations; restore: that, or one of them
  int64_t keep = 7;
  uint64_t lost_through = 0;  // restore; 0: not known
  bool json = false;
};

// Each returns the exit code and writes to stdout; errors are one line on stderr.
int run_log_backup(const BackupCommandOptions& options);   // by the running hub, or directly where none runs
int run_log_restore(const BackupCommandOptions& options);  // never over a log, never beside a hub

}  // namespace millrace
