// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_file_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/rocksdb_log_check.h"
#include "bus/rocksdb_store.h"

namespace millrace {

void FileCheck::run() {
  for (const auto& file : live_) check_sorted(file);
  for (const auto& path : look_at_log_folder(directory_).write_ahead) check_write_ahead(path);
}

FileCheck::Findings FileCheck::finish() {
  judge_gone();
  return std::move(found_);
}

void FileCheck::check_sorted(const rocksdb::LiveFileMetaData& file) {
  const auto path = directory_ / file.relative_filename;
  const auto sum = checksum_of_file(path, [this](size_t bytes) { found_.bytes += bytes; });
  ++found_.files;
  if (!sum && sum.error().code == Errc::kNotFound && is_log_in_use(directory_)) {
    gone_.push_back(file);
    return;
  }
  if (!sum) return add_fault(file, sum.error().message());
  if (file.file_checksum_func_name == "FileChecksumCrc32c" && *sum != file.file_checksum) {
    add_fault(file, "its checksum is not the one that the manifest has: bytes have changed");
  }
}

// A running hub writes files together into new ones and removes the old: what its log no longer lists is not missing.
void FileCheck::judge_gone() {
  if (gone_.empty()) return;
  const auto log = ReadOnlyLog::open_beside_hub(directory_);
  if (!log) return found_.faults.push_back({{}, {}, log.error().context});
  std::vector<rocksdb::LiveFileMetaData> live;
  (*log)->db().GetLiveFilesMetaData(&live);
  for (const auto& file : gone_) {
    const bool listed = std::any_of(
        live.begin(), live.end(), [&](const auto& other) { return other.relative_filename == file.relative_filename; });
    if (listed) add_fault(file, "the file is missing");
  }
}

void FileCheck::add_fault(const rocksdb::LiveFileMetaData& file, std::string what) {
  const bool by_position = file.column_family_name == "facts" || file.column_family_name == "telemetry" ||
                           file.column_family_name == "chain";
  const std::string& first = file.smallestkey;
  const std::string& last = file.largestkey;
  if (by_position && first.size() >= 8 && last.size() >= 8) {
    what += fmt::format(" ({} of positions {} to {})", file.column_family_name, from_big_endian(first),
                        from_big_endian(last));
  } else {
    what += fmt::format(" ({})", file.column_family_name);
  }
  found_.faults.push_back({{}, (directory_ / file.relative_filename).string(), std::move(what)});
}

void FileCheck::check_write_ahead(const std::filesystem::path& path) {
  const auto scan = scan_records(path, [](std::string_view) {});
  if (!scan) {
    // A hub removes write-ahead logs that it no longer needs.
    if (scan.error().code != Errc::kNotFound) found_.faults.push_back({{}, path.string(), scan.error().message()});
    return;
  }
  ++found_.files;
  found_.bytes += scan->bytes;
  if (!scan->first_bad) return;
  if (scan->goes_on) {
    found_.faults.push_back(
        {{}, path.string(), fmt::format("damaged at byte {} of {}", *scan->first_bad, scan->bytes)});
  } else {
    found_.notes.push_back(
        fmt::format("'{}' ends inside a write, at byte {} of {}: it was cut off before it was confirmed", path.string(),
                    *scan->first_bad, scan->bytes));
  }
}

}  // namespace millrace
