// SPDX-License-Identifier: Apache-2.0
// A log's folder looked at before it is trusted: opened read-only, so that nothing in it changes, and compared with the
// note of what it has confirmed.  Opening to write would throw away files that a damaged manifest no longer names.
#pragma once

#include <rocksdb/db.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "bus/durable_mark.h"
#include "bus/hash_chain.h"
#include "bus/rocksdb_log_files.h"
#include "bus/rocksdb_log_reader.h"

namespace millrace {

inline constexpr int kLooksBesideHub = 5;

// The database of a log, read-only.  Sees what was there when it was opened.
class ReadOnlyLog {
 public:
  // kNotFound when there is no log, kCorrupt naming the file where that is known.
  static Result<std::unique_ptr<ReadOnlyLog>> open(const std::filesystem::path& directory);
  // The same where a hub may be writing, up to kLooksBesideHub times.
  static Result<std::unique_ptr<ReadOnlyLog>> open_beside_hub(const std::filesystem::path& directory);
  ~ReadOnlyLog();

  rocksdb::DB& db() const { return *db_; }
  rocksdb::ColumnFamilyHandle* family(LogFamily family) const { return families_[static_cast<size_t>(family)]; }
  std::optional<uint64_t> meta_number(std::string_view key) const;
  // Of the last commit at or before `position`; nullopt when there is none.  kCorrupt.
  Result<std::optional<ChainLink>> link_at_or_before(Position position) const;

 private:
  ReadOnlyLog() = default;
  Result<void> load_numbers(const std::filesystem::path& directory);

  std::unique_ptr<rocksdb::DB> db_;
  LogFamilyHandles families_{};
  std::map<std::string, uint64_t, std::less<>> numbers_;
};

// What a log's files say by themselves, before the store reads them: CURRENT names a manifest that is there, the
// manifest's records verify, and nothing in the newest write-ahead log is damaged before its end.  kCorrupt naming file
// and offset, kIo where CURRENT cannot be read.
Result<void> check_log_files(const std::filesystem::path& directory, const LogFolder& folder);

bool holds_no_log(const LogFolder& folder);

// All of it, at rest, before the store opens it.  kCorrupt when a file is missing or cut, or when anything that was
// confirmed is missing at the end or has changed there.  A folder without a log passes, and so does a log of a newer
// format.
Result<void> check_log_folder(const std::filesystem::path& directory);

// The same where a hub may be writing: what it changes while we look is looked at again.  RocksDB's secondary passes
// over files that are missing or cut and shows the rest as if it were all, so nobody reads beside a hub without this.
Result<void> check_log_beside_hub(const std::filesystem::path& directory);

}  // namespace millrace
