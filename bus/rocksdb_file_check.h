// SPDX-License-Identifier: Apache-2.0
// Every file that a log consists of, byte by byte, as it lies on the disk.
#pragma once

#include <rocksdb/db.h>

#include <filesystem>
#include <string>
#include <vector>

#include "bus/log_verifier.h"

namespace millrace {

// One thread at a time.
class FileCheck {
 public:
  struct Findings {
    std::vector<LogFault> faults;
    std::vector<std::string> notes;  // worth knowing, nothing wrong
    uint64_t files = 0;
    uint64_t bytes = 0;
  };

  // `live` is what the log consisted of when it was opened.
  FileCheck(std::filesystem::path directory, std::vector<rocksdb::LiveFileMetaData> live)
      : directory_(std::move(directory)), live_(std::move(live)) {}

  // Reads them all.
  void run();
  // After run(), once.
  Findings finish();

 private:
  void check_sorted(const rocksdb::LiveFileMetaData& file);
  void check_write_ahead(const std::filesystem::path& path);
  void judge_gone();
  void add_fault(const rocksdb::LiveFileMetaData& file, std::string what);

  const std::filesystem::path directory_;
  const std::vector<rocksdb::LiveFileMetaData> live_;
  std::vector<rocksdb::LiveFileMetaData> gone_;  // listed, and not there any more when their turn came
  Findings found_;
};

}  // namespace millrace
