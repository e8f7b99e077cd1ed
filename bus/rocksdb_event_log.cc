// SPDX-License-Identifier: Apache-2.0
// The log on RocksDB.  One append is one synced WriteBatch: at most one group per family, an index entry per machine,
// the producers' marks, the chain's link and the last position.
#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/file_checksum.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "bus/crc32.h"
#include "bus/durable_mark.h"
#include "bus/event_group.h"
#include "bus/event_log.h"
#include "bus/hash_chain.h"
#include "bus/rocksdb_log_check.h"
#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_store.h"
#include "schemas/event_bfbs_generated.h"

namespace millrace {
namespace {

constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kIncarnationKey = "incarnation";
constexpr std::string_view kLastKey = "last";
constexpr std::string_view kRecordedAtKey = "recorded_at";
constexpr std::string_view kReplacedKey = "replaced_at";
constexpr std::string_view kSchemaPrefix = "schema/";

// A full disk is refused before RocksDB meets it: a failed WAL write can only be cured by reopening.
constexpr uint64_t kReservedMemtables = 3;

rocksdb::Options database_options(const LogStoreOptions& store) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  options.info_log = make_rocksdb_logger("log");
  options.db_write_buffer_size = store.write_buffer_bytes;
  options.max_background_jobs = 2;
  options.max_open_files = 256;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.keep_log_file_num = 1;
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.max_total_wal_size = 4 * store.write_buffer_bytes;
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();  // for `millrace log verify`
  return options;
}

rocksdb::ColumnFamilyOptions family_options(LogFamily family, const LogStoreOptions& store,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  const bool holds_groups = family == LogFamily::kFacts || family == LogFamily::kTelemetry;
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = holds_groups ? store.write_buffer_bytes : store.write_buffer_bytes / 8;
  options.compression = holds_groups ? rocksdb::kNoCompression : rocksdb::kLZ4Compression;  // groups bring their own
  options.max_write_buffer_number = 3;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = holds_groups ? 64u << 10 : 16u << 10;
  table.cache_index_and_filter_blocks = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> family_descriptors(const LogStoreOptions& store) {
  const auto cache = rocksdb::NewLRUCache(store.block_cache_bytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t i = 0; i < kLogFamilyNames.size(); ++i) {
    descriptors.emplace_back(std::string(kLogFamilyNames[i]), family_options(static_cast<LogFamily>(i), store, cache));
  }
  return descriptors;
}

std::string encode_order(EventOrder order) { return big_endian(order.epoch) + big_endian(order.sequence); }

std::optional<EventOrder> decode_order(std::string_view value) {
  if (value.size() != 16) return std::nullopt;
  return EventOrder{from_big_endian(value), from_big_endian(value.substr(8))};
}

Error no_fact(Position position) {
  return make_error(Errc::kNotFound, fmt::format("position {} holds no fact", position.value));
}

class RocksdbEventLog final : public EventLog {
 public:
  static Result<std::unique_ptr<EventLog>> open(const std::filesystem::path& directory, const Clock* clock,
                                                const LogStoreOptions& store, const std::filesystem::path& scratch) {
    std::unique_ptr<RocksdbEventLog> log(new RocksdbEventLog(directory, store));
    if (auto opened = log->open_database(scratch); !opened) return with_advice(opened.error());
    if (auto loaded = log->load(clock); !loaded) return with_advice(loaded.error());
    if (auto marked = log->open_mark(); !marked) return marked.error();
    return std::unique_ptr<EventLog>(std::move(log));
  }

  ~RocksdbEventLog() override {
    for (auto* handle : families_) {
      if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle);
    }
    if (db_) db_->Close();
  }

  Result<Commit> append(const AppendBatch& batch) override {
    if (batch.envelopes.empty() || batch.envelopes.size() > kMaxGroupEvents) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("append of {} events: expected 1 to {}", batch.envelopes.size(), kMaxGroupEvents));
    }
    if (read_only_) return make_error(Errc::kInvalidArgument, "append to a log that was opened to read");
    if (broken_) return make_error(Errc::kSyncFailed, "an earlier write failed: the log must be reopened");
    if (auto room = check_room(); !room) return room.error();
    if (auto allowed = check_removal(batch.remove_telemetry_through); !allowed) return allowed.error();

    Commit commit;
    commit.first = last() + 1;
    commit.last = last() + batch.envelopes.size();
    commit.recorded_at = std::max(batch.recorded_at, last_recorded_at_);
    writes_.Clear();
    const ChainLink link = put_events(writes_, commit, batch.envelopes);
    put_indexes(writes_, commit, batch);
    rocksdb::WriteOptions options;
    options.sync = true;
    if (const auto status = db_->Write(options, &writes_); !status.ok()) {
      broken_ = true;
      const Error cause = error_from(status, "append");
      return make_error(cause.code == Errc::kFull ? Errc::kFull : Errc::kSyncFailed, cause.context);
    }
    chain_tip_ = link.link;
    last_recorded_at_ = commit.recorded_at;
    if (indexes_time(commit)) last_time_index_ = commit.recorded_at;
    {
      std::lock_guard lock(marks_mutex_);
      for (const ProducerMark& mark : batch.marks) marks_[mark.producer] = mark.order;
    }
    if (!batch.replacements.empty()) replaced_at_.store(commit.last.value);
    if (batch.remove_telemetry_through) removed_.store(batch.remove_telemetry_through->value);
    last_.store(commit.last.value, std::memory_order_release);
    mark_->note({incarnation_, commit.last, commit.first, chain_tip_});
    commit.envelopes.assign(batch.envelopes.begin(), batch.envelopes.end());
    return commit;
  }

  Result<ReadResult> read(Position after, const ReadLimit& limit, const EventFilter& filter) const override {
    if (filter.from) {
      const auto first = reader().first_at(*filter.from, last());
      if (!first) return first.error();
      after = std::max(after, Position{first->value - 1});
    }
    Position until = last();
    if (filter.to) {
      const auto end = reader().first_at(*filter.to, until);
      if (!end) return end.error();
      until = Position{end->value - 1};
    }
    return reader().read(after, until, limit, filter);
  }

  Result<RecordedEvent> at(Position position) const override { return reader().at(position, last()); }
  Result<Position> first_at(WallTime time) const override { return reader().first_at(time, last()); }
  Position last() const override { return Position{last_.load(std::memory_order_acquire)}; }
  Position telemetry_removed_through() const override { return Position{removed_.load()}; }

  Position replaced_at() const override { return Position{replaced_at_.load()}; }

  Result<std::vector<GroupReplacement>> rewrite_groups(std::span<const RecordedEvent> changed) const override {
    std::vector<GroupReplacement> replacements;
    GroupEncoder encoder;
    Sha256Digester digester;
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kFacts)));
    for (size_t i = 0; i < changed.size();) {
      it->SeekForPrev(big_endian(changed[i].position.value));
      if (!it->status().ok()) return error_from(it->status(), "facts");
      if (!it->Valid()) return no_fact(changed[i].position);
      const std::string_view stored = view(it->value());
      auto group = decode_group(stored);
      if (!group) return group.error();
      GroupReplacement replacement;
      replacement.first = group->first;
      replacement.before = digester.digest(stored.substr(0, stored.size() - kGroupDigestBytes));
      std::vector<GroupMember> members;
      for (const RecordedEvent& event : group->events) {
        const bool differs = i < changed.size() && changed[i].position == event.position;
        members.push_back({event.position, (differs ? changed[i] : event).envelope.bytes()});
        if (!differs) continue;
        replacement.positions.push_back(event.position.value);
        ++i;
      }
      if (replacement.positions.empty()) return no_fact(changed[i].position);
      replacement.bytes = encoder.encode(group->recorded_at, members, replacement.after);
      replacements.push_back(std::move(replacement));
    }
    return replacements;
  }

  // Both write-ahead logs and sorted files: everything is flushed, which lets the former go, and written anew.
  Result<void> destroy_replaced() override {
    rocksdb::FlushOptions flush;
    const std::vector<rocksdb::ColumnFamilyHandle*> all(families_.begin(), families_.end());
    if (const auto status = db_->Flush(flush, all); !status.ok()) return error_from(status, "flush");
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    const auto status = db_->CompactRange(options, family(LogFamily::kFacts), nullptr, nullptr);
    return status.ok() ? Result<void>{} : Result<void>{error_from(status, "compaction")};
  }

  Result<void> reclaim() override {
    const std::string begin = big_endian(0);
    const std::string end = big_endian(removed_.load() + 1);
    const rocksdb::Slice from = slice(begin);
    const rocksdb::Slice to = slice(end);
    // Whole files first, then what shares a file with telemetry that stays.
    if (const auto status = rocksdb::DeleteFilesInRange(db_.get(), family(LogFamily::kTelemetry), &from, &to, false);
        !status.ok()) {
      return error_from(status, "reclaim");
    }
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    const auto status = db_->CompactRange(options, family(LogFamily::kTelemetry), &from, &to);
    return status.ok() ? Result<void>{} : Result<void>{error_from(status, "reclaim")};
  }

  std::optional<EventOrder> mark(std::string_view producer) const override {
    std::lock_guard lock(marks_mutex_);
    const auto found = marks_.find(producer);
    return found == marks_.end() ? std::nullopt : std::optional(found->second);
  }

  Result<LogInfo> info() const override {
    LogInfo info;
    info.engine = "rocksdb";
    info.incarnation = incarnation();
    info.incarnation_number = incarnation_;
    info.last = last();
    info.telemetry_removed_through = telemetry_removed_through();
    if (const auto first = read({}, {.events = 1}, {}); first && !first->events.empty()) {
      info.first_recorded_at = first->events.front().recorded_at;
      info.last_recorded_at = from_unix_us(static_cast<int64_t>(meta_number(kRecordedAtKey).value_or(0)));
    }
    for (auto* family : families_) {
      uint64_t bytes = 0;
      if (db_->GetIntProperty(family, "rocksdb.total-sst-files-size", &bytes)) info.bytes_on_disk += bytes;
    }
    const auto link = last_link();
    if (!link) return link.error();
    if (*link) info.root = ChainRoot{Position{(*link)->first + (*link)->count - 1}, (*link)->link};
    std::lock_guard lock(marks_mutex_);
    for (const auto& [producer, order] : marks_) info.marks.push_back({producer, order});
    return info;
  }

  std::string incarnation() const override { return fmt::format("{:016x}", incarnation_); }
  uint64_t incarnation_number() const override { return incarnation_; }

  Result<void> refresh() override {
    if (!read_only_) return {};
    if (const auto status = db_->TryCatchUpWithPrimary(); !status.ok()) return error_from(status, "log");
    return load(nullptr);
  }

 private:
  RocksdbEventLog(std::filesystem::path directory, const LogStoreOptions& store)
      : directory_(std::move(directory)), store_(store) {}

  RocksdbLogReader reader() const { return RocksdbLogReader(*db_, families_, Position{removed_.load()}); }
  rocksdb::ColumnFamilyHandle* family(LogFamily family) const { return families_[static_cast<size_t>(family)]; }

  Result<void> open_database(const std::filesystem::path& scratch) {
    const auto descriptors = family_descriptors(store_);
    auto options = database_options(store_);
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    rocksdb::Status status;
    if (scratch.empty()) {
      std::error_code ignored;
      std::filesystem::create_directories(directory_, ignored);
      if (auto checked = check_log_before_writing(directory_); !checked) return checked;
      status = rocksdb::DB::Open(options, directory_.string(), descriptors, &handles, &db);
    } else {
      options.create_if_missing = options.create_missing_column_families = false;
      options.max_open_files = -1;  // what a secondary requires
      status = rocksdb::DB::OpenAsSecondary(options, directory_.string(), scratch.string(), descriptors, &handles, &db);
      read_only_ = true;
    }
    if (!status.ok()) return error_from(status, fmt::format("log in '{}'", directory_.string()));
    db_.reset(db);
    std::copy(handles.begin(), handles.end(), families_.begin());
    return {};
  }

  Result<void> open_mark() {
    if (read_only_) return {};
    auto mark = DurableMark::open(directory_);
    if (!mark) return mark.error();
    mark_.emplace(std::move(*mark));
    return {};
  }

  std::optional<uint64_t> meta_number(std::string_view key) const {
    std::string value;
    if (!db_->Get({}, family(LogFamily::kMeta), slice(key), &value).ok() || value.size() != 8) return std::nullopt;
    return from_big_endian(value);
  }

  // With a clock: creates what a new log needs.
  Result<void> load(const Clock* clock) {
    const auto format = meta_number(kFormatKey);
    if (!format && clock != nullptr) {
      if (auto created = create(*clock); !created) return created;
    } else if (!format) {
      return make_error(Errc::kNotFound, fmt::format("'{}' holds no log", directory_.string()));
    } else if (*format > kLogFormat) {
      return make_error(Errc::kIncompatible, fmt::format("the log in '{}' has format {}, this program knows up to {}",
                                                         directory_.string(), *format, kLogFormat));
    }
    incarnation_ = meta_number(kIncarnationKey).value_or(0);
    last_recorded_at_ = from_unix_us(static_cast<int64_t>(meta_number(kRecordedAtKey).value_or(0)));
    if (auto loaded = load_marks(); !loaded) return loaded;
    if (auto loaded = load_chain_tip(); !loaded) return loaded;
    replaced_at_.store(meta_number(kReplacedKey).value_or(0));
    removed_.store(meta_number(kLogRemovedKey).value_or(0));
    last_.store(meta_number(kLastKey).value_or(0), std::memory_order_release);
    return {};
  }

  // An id that rises with every new log, so that it can serve as the epoch of events born in the hub.
  Result<void> create(const Clock& clock) {
    rocksdb::WriteBatch writes;
    writes.Put(family(LogFamily::kMeta), slice(kFormatKey), big_endian(kLogFormat));
    writes.Put(family(LogFamily::kMeta), slice(kIncarnationKey),
               big_endian(static_cast<uint64_t>(to_unix_us(clock.wall()))));
    writes.Put(family(LogFamily::kMeta), slice(kLastKey), big_endian(0));
    const std::string_view schema(reinterpret_cast<const char*>(schema::EnvelopeBinarySchema::data()),
                                  schema::EnvelopeBinarySchema::size());
    writes.Put(family(LogFamily::kMeta), std::string(kSchemaPrefix) + fmt::format("{:08x}", crc32_of(schema)),
               slice(schema));
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = db_->Write(options, &writes);
    if (!status.ok()) return error_from(status, fmt::format("new log in '{}'", directory_.string()));
    return {};
  }

  Result<void> load_marks() {
    std::lock_guard lock(marks_mutex_);
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kProducers)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const auto order = decode_order(view(it->value()));
      if (!order) return make_error(Errc::kCorrupt, fmt::format("mark of producer '{}'", view(it->key())));
      marks_[std::string(view(it->key()))] = *order;
    }
    if (!it->status().ok()) return error_from(it->status(), "producers' marks");
    return {};
  }

  Result<void> load_chain_tip() {
    const auto link = last_link();
    if (!link) return link.error();
    if (*link) chain_tip_ = (*link)->link;
    return {};
  }

  Result<std::optional<ChainLink>> last_link() const {
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kChain)));
    it->SeekToLast();
    if (!it->status().ok()) return error_from(it->status(), "chain");
    ChainLink link;
    if (!it->Valid()) return std::optional<ChainLink>();
    if (!decode_link(view(it->value()), link)) return make_error(Errc::kCorrupt, "the chain's last link");
    return std::optional(link);
  }

  Result<void> check_room() const {
    struct statvfs disk {};
    if (::statvfs(directory_.c_str(), &disk) != 0) return {};
    const uint64_t available = uint64_t{disk.f_bavail} * disk.f_frsize;
    const uint64_t reserve = kReservedMemtables * store_.write_buffer_bytes + kMaxGroupBytes;
    if (available >= reserve) return {};
    return make_error(Errc::kFull, fmt::format("{} MiB free on the disk of '{}', {} MiB are kept in reserve",
                                               available >> 20, directory_.string(), reserve >> 20));
  }

  // Groups are removed whole: the removal has to end where a commit ends.
  Result<void> check_removal(const std::optional<Position>& through) const {
    if (!through) return {};
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kChain)));
    it->SeekForPrev(big_endian(through->value));
    ChainLink link;
    const bool ends =
        it->Valid() && decode_link(view(it->value()), link) && link.first + link.count - 1 == through->value;
    if (!it->status().ok()) return error_from(it->status(), "chain");
    if (ends && through->value > removed_.load()) return {};
    return make_error(Errc::kInvalidArgument,
                      fmt::format("telemetry cannot be removed through {}: expected the end of a commit beyond {}",
                                  through->value, removed_.load()));
  }

  ChainLink put_events(rocksdb::WriteBatch& writes, const Commit& commit, std::span<const Envelope> envelopes) {
    std::vector<GroupMember> facts;
    std::vector<GroupMember> telemetry;
    Position position = commit.first;
    for (const Envelope& envelope : envelopes) {
      (envelope.family() == Family::kFact ? facts : telemetry).push_back({position, envelope.bytes()});
      position = position + 1;
    }
    const Sha256 facts_digest = put_group(writes, LogFamily::kFacts, commit, facts);
    const Sha256 telemetry_digest = put_group(writes, LogFamily::kTelemetry, commit, telemetry);
    const ChainLink link =
        next_link(chain_tip_, commit.first.value, envelopes.size(), facts_digest, telemetry_digest, digester_);
    writes.Put(family(LogFamily::kChain), big_endian(commit.first.value), encode_link(link));
    return link;
  }

  Sha256 put_group(rocksdb::WriteBatch& writes, LogFamily where, const Commit& commit,
                   std::span<const GroupMember> members) {
    Sha256 digest{};
    if (members.empty()) return digest;
    const std::string_view group = encoder_.encode(commit.recorded_at, members, digest);
    writes.Put(family(where), big_endian(members.front().position.value), slice(group));
    return digest;
  }

  bool indexes_time(const Commit& commit) const { return commit.recorded_at - last_time_index_ >= kTimeIndexInterval; }

  void put_indexes(rocksdb::WriteBatch& writes, const Commit& commit, const AppendBatch& batch) {
    std::set<std::string_view> machines;
    std::string_view previous;  // most often the same again
    for (const Envelope& envelope : batch.envelopes) {
      if (envelope.machine() == previous) continue;
      previous = envelope.machine();
      if (!previous.empty()) machines.insert(previous);
    }
    for (const auto machine : machines) {
      writes.Put(family(LogFamily::kMachines), machine_key(machine, commit.first.value),
                 big_endian(batch.envelopes.size()));
    }
    if (indexes_time(commit)) {
      writes.Put(family(LogFamily::kTimes), big_endian(static_cast<uint64_t>(to_unix_us(commit.recorded_at))),
                 big_endian(commit.first.value));
    }
    for (const ProducerMark& mark : batch.marks) {
      writes.Put(family(LogFamily::kProducers), slice(mark.producer), encode_order(mark.order));
    }
    for (const GroupReplacement& group : batch.replacements) {
      writes.Put(family(LogFamily::kFacts), big_endian(group.first.value), group.bytes);
    }
    if (!batch.replacements.empty()) {
      writes.Put(family(LogFamily::kMeta), slice(kReplacedKey), big_endian(commit.last.value));
    }
    if (batch.remove_telemetry_through) {
      writes.DeleteRange(family(LogFamily::kTelemetry), big_endian(0),
                         big_endian(batch.remove_telemetry_through->value + 1));
      writes.Put(family(LogFamily::kMeta), slice(kLogRemovedKey), big_endian(batch.remove_telemetry_through->value));
    }
    writes.Put(family(LogFamily::kMeta), slice(kLastKey), big_endian(commit.last.value));
    writes.Put(family(LogFamily::kMeta), slice(kRecordedAtKey),
               big_endian(static_cast<uint64_t>(to_unix_us(commit.recorded_at))));
  }

  const std::filesystem::path directory_;
  const LogStoreOptions store_;
  std::unique_ptr<rocksdb::DB> db_;
  LogFamilyHandles families_{};
  bool read_only_ = false;
  uint64_t incarnation_ = 0;
  std::atomic<uint64_t> last_{0};
  std::atomic<uint64_t> replaced_at_{0};  // position of the last event that tells of replaced facts
  std::atomic<uint64_t> removed_{0};      // telemetry up to here
  mutable std::mutex marks_mutex_;
  std::map<std::string, EventOrder, std::less<>> marks_;

  // The appending thread's own.
  bool broken_ = false;
  std::optional<DurableMark> mark_;
  WallTime last_recorded_at_{};
  WallTime last_time_index_{};
  Sha256 chain_tip_{};
  Sha256Digester digester_;
  GroupEncoder encoder_;
  rocksdb::WriteBatch writes_;  // keeps its buffer from one append to the next
};

}  // namespace

Result<std::unique_ptr<EventLog>> open_rocksdb_event_log(const std::filesystem::path& directory, const Clock& clock,
                                                         const LogStoreOptions& options) {
  return RocksdbEventLog::open(directory, &clock, options, {});
}

Result<std::unique_ptr<EventLog>> open_rocksdb_event_log_reader(const std::filesystem::path& directory,
                                                                const std::filesystem::path& scratch) {
  return RocksdbEventLog::open(directory, nullptr, {}, scratch);
}

}  // namespace millrace
