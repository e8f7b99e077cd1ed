// SPDX-License-Identifier: Apache-2.0
// The files of a log's folder, read without the store: what is there, and the records of those files that the store
// writes as rows of checksummed records (write-ahead logs and manifests).  The store stops at the first record that
// does not verify and says nothing; here what follows is looked at too.  Reads only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/result.h"

namespace millrace {

struct LogFolder {
  std::optional<std::string> current;              // content of CURRENT
  std::vector<std::filesystem::path> sorted;       // *.sst, by number
  std::vector<std::filesystem::path> write_ahead;  // *.log, by number
  std::vector<std::filesystem::path> manifests;    // by number
  bool marked = false;                             // has a DurableMark
};
LogFolder look_at_log_folder(const std::filesystem::path& directory);

struct RecordScan {
  uint64_t bytes = 0;
  uint64_t records = 0;               // whole ones
  std::optional<uint64_t> first_bad;  // offset of what does not verify
  bool goes_on = false;               // a later record begins behind it: no write was cut off there, bytes changed
};

// Gives each whole record to `sink`, in order; those that are damaged are left out.
Result<RecordScan> scan_records(const std::filesystem::path& file, const std::function<void(std::string_view)>& sink);

// Of the whole file, as the store keeps it for each sorted file.
Result<std::string> checksum_of_file(const std::filesystem::path& file, const std::function<void(size_t)>& on_bytes);

// The CRC-32C that the manifest has of each sorted file, by its name, as the function above gives it.  Asks the store.
Result<std::map<std::string, std::string>> sorted_file_checksums(const std::filesystem::path& directory);

// `error` with what to do about it, when it speaks of damage.
Error with_advice(Error error);

// Whether another process has the log open to write.  Never ask in the process that has: closing the lock's file, as
// this does, would give the lock up.
bool is_log_in_use(const std::filesystem::path& directory);

}  // namespace millrace
