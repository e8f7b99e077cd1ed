// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_log_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bus/file_io.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

Error damaged(const std::filesystem::path& file, std::string what) {
  return make_error(Errc::kCorrupt, fmt::format("'{}': {}", file.string(), std::move(what)));
}

Error open_error(const rocksdb::Status& status, const std::filesystem::path& directory) {
  Error error = error_from(status, fmt::format("log in '{}'", directory.string()));
  // A file that the manifest names and that is not there comes as an input/output error.
  if (status.IsPathNotFound() || status.ToString().find("No such file") != std::string::npos) {
    error.code = Errc::kCorrupt;
  }
  return error;
}

std::vector<rocksdb::ColumnFamilyDescriptor> plain_descriptors() {
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const auto name : kLogFamilyNames) descriptors.emplace_back(std::string(name), rocksdb::ColumnFamilyOptions());
  return descriptors;
}

Result<std::filesystem::path> manifest_named(const std::filesystem::path& directory, const std::string& current) {
  const auto file = directory / "CURRENT";
  constexpr std::string_view kPrefix = "MANIFEST-";
  const bool formed = current.starts_with(kPrefix) && current.ends_with('\n') && current.size() > kPrefix.size() + 1 &&
                      std::all_of(current.begin() + kPrefix.size(), current.end() - 1,
                                  [](unsigned char c) { return c >= '0' && c <= '9'; });
  if (!formed) {
    // A disk that has gone away is no damage that a repair could mend.
    if (const auto again = read_file(file); !again) return again.error();
    return damaged(file, "does not name a manifest");
  }
  auto manifest = directory / current.substr(0, current.size() - 1);
  if (!std::filesystem::exists(manifest)) {
    return damaged(file, fmt::format("names '{}', which is not there", manifest.filename().string()));
  }
  return manifest;
}

Result<void> check_records(const std::filesystem::path& file) {
  const auto scan = scan_records(file, [](std::string_view) {});
  if (!scan) return scan.error();
  if (scan->first_bad && scan->goes_on) {
    return damaged(file, fmt::format("damaged at byte {} of {}: bytes there have changed, whole records follow",
                                     *scan->first_bad, scan->bytes));
  }
  return {};
}

// Where a log that ends too early may have been cut.
std::string damaged_end(const LogFolder& folder) {
  std::string found;
  for (const auto& file : folder.write_ahead) {
    const auto scan = scan_records(file, [](std::string_view) {});
    if (!scan || !scan->first_bad) continue;
    found += fmt::format("; '{}' does not verify from byte {} of {}", file.string(), *scan->first_bad, scan->bytes);
  }
  return found;
}

Result<void> compare_with_mark(const ReadOnlyLog& log, const DurablePoint& mark, const std::filesystem::path& directory,
                               const LogFolder& folder) {
  if (log.meta_number("incarnation").value_or(0) != mark.incarnation) return {};  // a copy of another log's note
  const uint64_t last = log.meta_number("last").value_or(0);
  if (last < mark.last.value) {
    return make_error(Errc::kCorrupt,
                      fmt::format("the log in '{}' ends at position {}, but it has confirmed up to {}{}",
                                  directory.string(), last, mark.last.value, damaged_end(folder)));
  }
  const auto link = log.link_at_or_before(mark.last);
  if (!link) return link.error();
  if (!*link || (*link)->first != mark.first.value || (*link)->link != mark.link) {
    return make_error(Errc::kCorrupt,
                      fmt::format("the log in '{}': the chain's link at position {} is not the one that was confirmed",
                                  directory.string(), mark.first.value));
  }
  return {};
}

// Up to where each family has been written to sorted files; what follows comes from write-ahead logs, and one of these
// may be missing without the store noticing.
Position sorted_through(const ReadOnlyLog& log) {
  std::vector<rocksdb::LiveFileMetaData> live;
  log.db().GetLiveFilesMetaData(&live);
  uint64_t through = ~uint64_t{0};
  for (const LogFamily family : {LogFamily::kFacts, LogFamily::kTelemetry, LogFamily::kChain}) {
    uint64_t largest = family == LogFamily::kTelemetry ? log.meta_number(kLogRemovedKey).value_or(0) : 0;
    for (const auto& file : live) {
      if (file.column_family_name != kLogFamilyNames[static_cast<size_t>(family)] || file.largestkey.size() < 8)
        continue;
      largest = std::max(largest, from_big_endian(file.largestkey));
    }
    through = std::min(through, largest);
  }
  return Position{std::max(through, log.meta_number(kLogRepairedKey).value_or(0))};
}

// The groups of one family, asked for in the order of commits.
class GroupKeys {
 public:
  GroupKeys(const ReadOnlyLog& log, LogFamily family)
      : iterator_(log.db().NewIterator(log_scan_options(), log.family(family))) {}
  bool has(uint64_t first, uint64_t end) {
    if (std::exchange(fresh_, false)) iterator_->Seek(big_endian(first));
    while (iterator_->Valid() && from_big_endian(view(iterator_->key())) < first) iterator_->Next();
    return iterator_->Valid() && from_big_endian(view(iterator_->key())) < end;
  }
  rocksdb::Status status() const { return iterator_->status(); }

 private:
  std::unique_ptr<rocksdb::Iterator> iterator_;
  bool fresh_ = true;
};

// Every commit that is not yet in sorted files is there, with its groups.
Result<void> check_recent(const ReadOnlyLog& log, const std::filesystem::path& directory) {
  const auto missing = [&](uint64_t position, std::string_view what) {
    return make_error(Errc::kCorrupt, fmt::format("the log in '{}': {} of position {} is missing: a write-ahead log "
                                                  "(*.log) is gone or was cut",
                                                  directory.string(), what, position));
  };
  const Position floor = sorted_through(log);
  const uint64_t removed = log.meta_number(kLogRemovedKey).value_or(0);
  GroupKeys facts(log, LogFamily::kFacts);
  GroupKeys telemetry(log, LogFamily::kTelemetry);
  std::unique_ptr<rocksdb::Iterator> links(log.db().NewIterator(log_scan_options(), log.family(LogFamily::kChain)));
  const uint64_t repaired = log.meta_number(kLogRepairedKey).value_or(0);
  uint64_t next = 0;
  // From the commit at the floor on, so that what follows it must join it.
  links->SeekForPrev(big_endian(floor.value));
  if (!links->Valid() && links->status().ok()) links->SeekToFirst();
  for (; links->Valid(); links->Next()) {
    ChainLink link;
    if (!decode_link(view(links->value()), link))
      return missing(from_big_endian(view(links->key())), "the chain's link");
    if (next > 0 && link.first > repaired && link.first != next) return missing(next, "the commit");
    next = std::max(link.first + link.count, repaired + 1);
    if (link.first <= repaired) continue;
    const bool has_facts = link.facts == Sha256{} || facts.has(link.first, next);
    const bool has_telemetry = link.telemetry == Sha256{} || next - 1 <= removed || telemetry.has(link.first, next);
    if (!facts.status().ok() || !telemetry.status().ok()) break;  // damaged, which is told below, and not missing
    if (!has_facts) return missing(link.first, "the facts");
    if (!has_telemetry) return missing(link.first, "the telemetry");
  }
  for (const auto& status : {links->status(), facts.status(), telemetry.status()}) {
    if (!status.ok()) return error_from(status, fmt::format("log in '{}'", directory.string()));
  }
  const uint64_t last = log.meta_number("last").value_or(0);
  if (next > 0 && next - 1 != last) return missing(std::min(last, next - 1) + 1, "the commit");
  return {};
}

// Made by a program that was killed before the first event.
bool is_unfinished(const std::filesystem::path& directory, const LogFolder& folder) {
  if (folder.marked) return false;
  std::vector<std::string> names;
  rocksdb::DBOptions options;
  options.info_log = make_rocksdb_logger("log");
  return rocksdb::DB::ListColumnFamilies(options, directory.string(), &names).ok() &&
         names.size() < kLogFamilyNames.size();
}

}  // namespace

Result<std::unique_ptr<ReadOnlyLog>> ReadOnlyLog::open(const std::filesystem::path& directory) {
  std::unique_ptr<ReadOnlyLog> log(new ReadOnlyLog);
  rocksdb::Options options;
  options.create_if_missing = false;
  options.paranoid_checks = true;
  options.info_log = make_rocksdb_logger("log");
  options.max_open_files = -1;  // a hub may remove files after we have seen them
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(options, directory.string(), plain_descriptors(), &handles, &db);
  if (!status.ok()) return open_error(status, directory);
  log->db_.reset(db);
  std::copy(handles.begin(), handles.end(), log->families_.begin());
  if (auto loaded = log->load_numbers(directory); !loaded) return loaded.error();
  return log;
}

Result<std::unique_ptr<ReadOnlyLog>> ReadOnlyLog::open_beside_hub(const std::filesystem::path& directory) {
  auto log = open(directory);
  for (int attempt = 1; attempt < kLooksBesideHub && !log && is_log_in_use(directory); ++attempt) log = open(directory);
  return log;
}

ReadOnlyLog::~ReadOnlyLog() {
  for (auto* handle : families_) {
    if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle);
  }
}

std::optional<uint64_t> ReadOnlyLog::meta_number(std::string_view key) const {
  const auto found = numbers_.find(key);
  return found == numbers_.end() ? std::nullopt : std::optional(found->second);
}

Result<void> ReadOnlyLog::load_numbers(const std::filesystem::path& directory) {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kMeta)));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    if (it->value().size() == 8) numbers_[std::string(view(it->key()))] = from_big_endian(view(it->value()));
  }
  if (!it->status().ok()) return error_from(it->status(), fmt::format("log in '{}'", directory.string()));
  return {};
}

Result<std::optional<ChainLink>> ReadOnlyLog::link_at_or_before(Position position) const {
  std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kChain)));
  it->SeekForPrev(big_endian(position.value));
  if (!it->status().ok()) return error_from(it->status(), "chain");
  if (!it->Valid()) return std::optional<ChainLink>();
  ChainLink link;
  if (!decode_link(view(it->value()), link)) {
    return make_error(Errc::kCorrupt, fmt::format("the chain's link at position {}", from_big_endian(view(it->key()))));
  }
  return std::optional(link);
}

Result<std::map<std::string, std::string>> sorted_file_checksums(const std::filesystem::path& directory) {
  const auto log = ReadOnlyLog::open(directory);
  if (!log) return log.error();
  std::vector<rocksdb::LiveFileMetaData> live;
  (*log)->db().GetLiveFilesMetaData(&live);
  std::map<std::string, std::string> checksums;
  for (const auto& file : live) {
    if (file.file_checksum_func_name == "FileChecksumCrc32c") checksums[file.relative_filename] = file.file_checksum;
  }
  return checksums;
}

Result<void> check_log_files(const std::filesystem::path& directory, const LogFolder& folder) {
  if (!folder.current) {
    return damaged(directory / "CURRENT", "is missing, though there are files of a log beside it");
  }
  const auto manifest = manifest_named(directory, *folder.current);
  if (!manifest) return manifest.error();
  if (auto checked = check_records(*manifest); !checked) return checked;
  return folder.write_ahead.empty() ? Result<void>() : check_records(folder.write_ahead.back());
}

bool holds_no_log(const LogFolder& folder) {
  return !folder.current && folder.sorted.empty() && folder.write_ahead.empty() && !folder.marked;
}

Result<void> check_log_folder(const std::filesystem::path& directory) {
  const LogFolder folder = look_at_log_folder(directory);
  if (holds_no_log(folder)) return {};
  if (auto checked = check_log_files(directory, folder); !checked) return checked;
  if (is_unfinished(directory, folder)) return {};
  const auto mark = read_durable_point(directory);
  const auto log = ReadOnlyLog::open(directory);
  if (!log) return log.error();
  const auto format = (*log)->meta_number("format");
  if (!format && !folder.sorted.empty()) {
    return make_error(Errc::kCorrupt, fmt::format("the log in '{}' has no format number", directory.string()));
  }
  if (format.value_or(0) > kLogFormat) return {};  // not for this program to judge: whoever opens it refuses it
  if (mark) {
    if (auto compared = compare_with_mark(**log, *mark, directory, folder); !compared) return compared;
  }
  return check_recent(**log, directory);
}

Result<void> check_log_beside_hub(const std::filesystem::path& directory) {
  auto checked = check_log_folder(directory);
  for (int attempt = 1; attempt < kLooksBesideHub && !checked; ++attempt) checked = check_log_folder(directory);
  return checked;
}

Error with_advice(Error error) {
  if (error.code == Errc::kCorrupt) {
    error.context +=
        ". `millrace log verify` names all that is damaged; `millrace log repair --to NEWDIR` saves the rest";
  }
  return error;
}

}  // namespace millrace
