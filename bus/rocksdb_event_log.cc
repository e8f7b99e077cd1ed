// SPDX-License-Identifier: Apache-2.0
// The log on RocksDB.  One append is one synced WriteBatch: at most one group per family, an index entry per machine,
// the producers' marks, the chain's link and the last position.
#include <fmt/format.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/utilities/checkpoint.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "bus/durable_mark.h"
#include "bus/event_group.h"
#include "bus/event_log.h"
#include "bus/hash_chain.h"
#include "bus/logging.h"
#include "bus/rocksdb_leased.h"
#include "bus/rocksdb_log_check.h"
#include "bus/rocksdb_log_options.h"
#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_log_schema.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

constexpr std::string_view kFormatKey = "format";
constexpr std::string_view kIncarnationKey = "incarnation";
constexpr std::string_view kLastKey = "last";
constexpr std::string_view kRecordedAtKey = "recorded_at";
constexpr std::string_view kReplacedKey = "replaced_at";
constexpr std::string_view kRestoredAtKey = "restored_at";
// And a producer: its mark in the copy that this log began as.
constexpr std::string_view kRestoredPrefix = "restored/";

// A full disk is refused before RocksDB meets it: a failed WAL write can only be cured by reopening.
constexpr uint64_t kReservedMemtables = 3;

double mebibytes(uint64_t bytes) { return static_cast<double>(bytes) / (1u << 20); }

Error no_fact(Position position) {
  return make_error(Errc::kNotFound, fmt::format("position {} holds no fact", position.value));
}

class RocksdbEventLog final : public EventLog {
 public:
  static Result<std::unique_ptr<EventLog>> open(const std::filesystem::path& directory, const Clock* clock,
                                                const LogStoreOptions& store, const std::filesystem::path& scratch) {
    std::unique_ptr<RocksdbEventLog> log(new RocksdbEventLog(directory, store));
    log->read_only_ = !scratch.empty();
    if (auto opened = log->replace_database(scratch.empty() ? Access::kWrite : Access::kSecondary, scratch); !opened) {
      return with_advice(opened.error());
    }
    if (auto loaded = log->load(clock); !loaded) return with_advice(loaded.error());
    if (auto marked = log->open_mark(); !marked) return marked.error();
    return std::unique_ptr<EventLog>(std::move(log));
  }

  Result<Commit> append(const AppendBatch& batch) override {
    if (batch.envelopes.empty() || batch.envelopes.size() > kMaxGroupEvents) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("append of {} events: expected 1 to {}", batch.envelopes.size(), kMaxGroupEvents));
    }
    if (read_only_) return make_error(Errc::kInvalidArgument, "append to a log that was opened to read");
    if (broken_) return make_error(Errc::kUnavailable, fmt::format("the log must be opened again: {}", *broken_));
    if (auto writable = check_disk(); !writable) return writable.error();
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
      broken_ = error_from(status, fmt::format("append at position {}", commit.first.value)).context;
      return make_error(Errc::kSyncFailed, *broken_);
    }
    chain_tip_ = link.link;
    schema_is_told_ = true;
    last_recorded_at_ = commit.recorded_at;
    if (indexes_time(commit)) last_time_index_ = commit.recorded_at;
    {
      std::lock_guard lock(marks_mutex_);
      for (const ProducerMark& mark : batch.marks) marks_[mark.producer] = mark.order;
    }
    if (!batch.replacements.empty()) replaced_at_.store(commit.last.value);
    if (batch.remove_telemetry_through) removed_.store(batch.remove_telemetry_through->value);
    last_.store(commit.last.value, std::memory_order_release);
    if (mark_) mark_->note({incarnation_, commit.last, commit.first, chain_tip_});
    commit.envelopes.assign(batch.envelopes.begin(), batch.envelopes.end());
    return commit;
  }

  Result<void> recover() override {
    if (read_only_) return {};
    if (auto writable = check_disk(); !writable) return writable;
    if (!broken_) return {};
    if (auto opened = replace_database(Access::kWrite, {}); !opened) {
      // What can be read stays readable meanwhile.
      if (auto readable = replace_database(Access::kReadOnly, {}); !readable) {
        log_error("log", "'{}' cannot be read either: {}", directory_.string(), readable.error().message());
      }
      return opened;
    }
    if (auto kept = check_confirmed(); !kept) return kept;
    if (auto loaded = load(nullptr); !loaded) return loaded;
    broken_.reset();
    return {};
  }

  Result<ReadResult> read(Position after, const ReadLimit& limit, const EventFilter& filter) const override {
    const auto open = databases_.lease();
    if (!open) return open.error();
    const RocksdbLogReader reader = (*open)->reader(telemetry_removed_through());
    if (filter.from) {
      const auto first = reader.first_at(*filter.from, last());
      if (!first) return first.error();
      after = std::max(after, Position{first->value - 1});
    }
    Position until = last();
    if (filter.to) {
      const auto end = reader.first_at(*filter.to, until);
      if (!end) return end.error();
      until = Position{end->value - 1};
    }
    auto result = reader.read(after, until, limit, filter);
    if (!result) return with_advice(result.error());
    return result;
  }

  Result<RecordedEvent> at(Position position) const override {
    const auto open = databases_.lease();
    if (!open) return open.error();
    auto event = (*open)->reader(telemetry_removed_through()).at(position, last());
    if (!event) return with_advice(event.error());
    return event;
  }

  Result<Position> first_at(WallTime time) const override {
    const auto open = databases_.lease();
    if (!open) return open.error();
    return (*open)->reader(telemetry_removed_through()).first_at(time, last());
  }

  Position last() const override { return Position{last_.load(std::memory_order_acquire)}; }
  Position telemetry_removed_through() const override { return Position{removed_.load()}; }

  Position replaced_at() const override { return Position{replaced_at_.load()}; }

  Result<std::vector<GroupReplacement>> rewrite_groups(std::span<const RecordedEvent> changed) const override {
    const auto open = databases_.lease();
    if (!open) return open.error();
    std::vector<GroupReplacement> replacements;
    GroupEncoder encoder;
    Sha256Digester digester;
    std::unique_ptr<rocksdb::Iterator> it(
        (*open)->db->NewIterator(log_scan_options(), (*open)->family(LogFamily::kFacts)));
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
    const auto open = databases_.lease();
    if (!open) return open.error();
    rocksdb::FlushOptions flush;
    const std::vector<rocksdb::ColumnFamilyHandle*> all((*open)->families.begin(), (*open)->families.end());
    if (const auto status = (*open)->db->Flush(flush, all); !status.ok()) return error_from(status, "flush");
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    const auto status = (*open)->db->CompactRange(options, (*open)->family(LogFamily::kFacts), nullptr, nullptr);
    return status.ok() ? Result<void>{} : Result<void>{error_from(status, "compaction")};
  }

  Result<void> reclaim() override {
    const auto open = databases_.lease();
    if (!open) return open.error();
    rocksdb::DB& db = *(*open)->db;
    auto* telemetry = (*open)->family(LogFamily::kTelemetry);
    const std::string begin = big_endian(0);
    const std::string end = big_endian(removed_.load() + 1);
    const rocksdb::Slice from = slice(begin);
    const rocksdb::Slice to = slice(end);
    // Whole files first, then what shares a file with telemetry that stays.
    if (const auto status = rocksdb::DeleteFilesInRange(&db, telemetry, &from, &to, false); !status.ok()) {
      return error_from(status, "reclaim");
    }
    rocksdb::CompactRangeOptions options;
    options.exclusive_manual_compaction = false;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
    const auto status = db.CompactRange(options, telemetry, &from, &to);
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
    const auto first = read({}, {.events = 1}, {});
    const auto open = databases_.lease();
    if (!open) return open.error();
    const auto tip = read_chain_tip(**open);
    if (!tip) return tip.error();
    info.last = Position{tip->first + tip->count - std::min<uint64_t>(tip->first, 1)};
    if (tip->first != 0) info.root = ChainRoot{info.last, tip->link};
    info.telemetry_removed_through = telemetry_removed_through();
    if (first && !first->events.empty()) {
      info.first_recorded_at = first->events.front().recorded_at;
      info.last_recorded_at = from_unix_us(static_cast<int64_t>(meta_number(**open, kRecordedAtKey).value_or(0)));
    }
    for (auto* family : (*open)->families) {
      uint64_t bytes = 0;
      if ((*open)->db->GetIntProperty(family, "rocksdb.total-sst-files-size", &bytes)) info.bytes_on_disk += bytes;
    }
    if (auto read = read_ended(**open, info.ended); !read) return read.error();
    if (auto told = tell_restore(**open, info); !told) return told.error();
    return info;
  }

  std::string incarnation() const override { return fmt::format("{:016x}", incarnation_); }
  uint64_t incarnation_number() const override { return incarnation_; }

  Result<std::vector<LogSchema>> schemas() const override {
    const auto open = databases_.lease();
    if (!open) return open.error();
    return read_log_schemas(*(*open)->db, (*open)->family(LogFamily::kMeta));
  }

  // The flush before keeps the copy's own recovery short; it waits for the disk, appends go on into the next memtable.
  Result<void> checkpoint(const std::filesystem::path& directory) const override {
    if (read_only_) return make_error(Errc::kUnavailable, "a log that was opened to read makes no copy of itself");
    if (auto room = check_disk(); !room) return room.error();
    const auto open = databases_.lease();
    if (!open) return open.error();
    rocksdb::Checkpoint* made = nullptr;
    auto status = rocksdb::Checkpoint::Create((*open)->db.get(), &made);
    const std::unique_ptr<rocksdb::Checkpoint> maker(made);
    if (status.ok()) status = maker->CreateCheckpoint(directory.string(), 0);
    if (!status.ok()) return error_from(status, fmt::format("copy of the log in '{}'", directory.string()));
    return {};
  }

  Result<void> begin_incarnation(const Clock& clock, uint64_t above) {
    const auto now = static_cast<uint64_t>(to_unix_us(clock.wall()));
    const uint64_t number = std::max({now, incarnation_ + 1, above + 1});
    rocksdb::WriteBatch writes;
    writes.Put(family(LogFamily::kMeta), slice(kIncarnationKey), big_endian(number));
    writes.Put(family(LogFamily::kMeta), slice(kRestoredAtKey), big_endian(now));
    std::lock_guard lock(marks_mutex_);
    for (const auto& [producer, order] : marks_) {
      writes.Put(family(LogFamily::kMeta), std::string(kRestoredPrefix) + producer, encode_order(order));
    }
    rocksdb::WriteOptions options;
    options.sync = true;
    if (const auto status = db_->Write(options, &writes); !status.ok()) return error_from(status, "new incarnation");
    incarnation_ = number;
    return {};
  }

  Result<void> refresh() override {
    if (!read_only_) return {};
    if (const auto status = db_->TryCatchUpWithPrimary(); !status.ok()) return error_from(status, "log");
    return load(nullptr);
  }

 private:
  RocksdbEventLog(std::filesystem::path directory, const LogStoreOptions& store)
      : directory_(std::move(directory)), store_(store) {}

  enum class Access { kWrite, kReadOnly, kSecondary };

  rocksdb::ColumnFamilyHandle* family(LogFamily family) const { return families_[static_cast<size_t>(family)]; }

  Result<void> replace_database(Access access, const std::filesystem::path& scratch) {
    db_ = nullptr;
    families_ = {};
    if (auto opened = databases_.replace([&] { return open_database(access, scratch); }); !opened) return opened;
    db_ = databases_.get()->db.get();
    families_ = databases_.get()->families;
    return {};
  }

  Result<std::unique_ptr<OpenLogDatabase>> open_database(Access access, const std::filesystem::path& scratch) const {
    const auto descriptors = log_family_descriptors(store_);
    auto options = log_database_options(store_);
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    rocksdb::Status status;
    if (access == Access::kWrite) {
      std::error_code ignored;
      std::filesystem::create_directories(directory_, ignored);
      if (auto checked = check_log_folder(directory_); !checked) return checked.error();
      status = rocksdb::DB::Open(options, directory_.string(), descriptors, &handles, &db);
    } else if (access == Access::kReadOnly) {
      options.create_if_missing = options.create_missing_column_families = false;
      status = rocksdb::DB::OpenForReadOnly(options, directory_.string(), descriptors, &handles, &db);
    } else {
      if (holds_no_log(look_at_log_folder(directory_))) {
        return make_error(Errc::kNotFound, fmt::format("'{}' holds no log", directory_.string()));
      }
      if (auto checked = check_log_beside_hub(directory_); !checked) return checked.error();
      options.create_if_missing = options.create_missing_column_families = false;
      options.max_open_files = -1;  // what a secondary requires
      status = rocksdb::DB::OpenAsSecondary(options, directory_.string(), scratch.string(), descriptors, &handles, &db);
    }
    if (!status.ok()) return error_from(status, fmt::format("log in '{}'", directory_.string()));
    auto opened = std::make_unique<OpenLogDatabase>();
    opened->db.reset(db);
    std::copy(handles.begin(), handles.end(), opened->families.begin());
    return opened;
  }

  Result<void> open_mark() {
    if (read_only_) return {};
    auto mark = DurableMark::open(directory_);
    if (!mark) return mark.error();
    mark_.emplace(std::move(*mark));
    return {};
  }

  // After the log was opened again, before anything of it is believed: it holds what append() had confirmed.
  Result<void> check_confirmed() const {
    if (last().value == 0) return {};
    const uint64_t stored = meta_number(kLastKey).value_or(0);
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kChain)));
    it->SeekForPrev(big_endian(last().value));
    if (!it->status().ok()) return error_from(it->status(), "chain");
    ChainLink link;
    const bool same = it->Valid() && decode_link(view(it->value()), link) && link.link == chain_tip_;
    if (stored >= last().value && same) return {};
    return make_error(
        Errc::kCorrupt,
        fmt::format("the log in '{}' ends at position {} after it was opened again, {} had been confirmed "
                    "and synced: the disk has lost events; see 'millrace log verify' and 'repair'",
                    directory_.string(), stored, last().value));
  }

  static std::optional<uint64_t> meta_number(const OpenLogDatabase& open, std::string_view key) {
    std::string value;
    if (!open.db->Get({}, open.family(LogFamily::kMeta), slice(key), &value).ok() || value.size() != 8)
      return std::nullopt;
    return from_big_endian(value);
  }
  std::optional<uint64_t> meta_number(std::string_view key) const { return meta_number(*databases_.get(), key); }

  // With a clock: creates what a new log needs.
  Result<void> load(const Clock* clock) {
    const auto format = meta_number(kFormatKey);
    if (!format && clock != nullptr) {
      if (auto created = create(*clock); !created) return created;
    } else if (!format) {
      return make_error(Errc::kNotFound, fmt::format("'{}' holds no log", directory_.string()));
    } else if (auto known = check_log_format(directory_, *format); !known) {
      return known;
    }
    if (auto known = load_schemas(); !known) return known;
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
    put_event_schema(writes, family(LogFamily::kMeta));
    put_schema_use(writes, family(LogFamily::kMeta), Position{1});
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = db_->Write(options, &writes);
    if (!status.ok()) return error_from(status, fmt::format("new log in '{}'", directory_.string()));
    return {};
  }

  // A schema that knows more than this program is a newer log, whatever its format number says.
  Result<void> load_schemas() {
    const auto found = read_known_schemas(*databases_.get()->db, family(LogFamily::kMeta), directory_);
    if (!found) return found.error();
    schema_is_told_ = !found->empty() && found->back().crc == own_event_schema_crc();
    return {};
  }

  Result<void> load_marks() {
    std::lock_guard lock(marks_mutex_);
    std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(log_scan_options(), family(LogFamily::kProducers)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      if (is_ended_key(view(it->key()))) continue;
      const auto order = decode_order(view(it->value()));
      if (!order) return make_error(Errc::kCorrupt, fmt::format("mark of producer '{}'", view(it->key())));
      marks_[std::string(view(it->key()))] = *order;
    }
    if (!it->status().ok()) return error_from(it->status(), "producers' marks");
    return {};
  }

  // Not kept in memory: a producer has one for each of its starts, and only a starting recorder asks.
  static Result<void> read_ended(const OpenLogDatabase& open, std::vector<ProducerMark>& ended) {
    std::unique_ptr<rocksdb::Iterator> it(open.db->NewIterator(log_scan_options(), open.family(LogFamily::kProducers)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      const std::string_view key = view(it->key());
      if (!is_ended_key(key)) continue;
      const std::string producer(key.substr(0, key.find('\0')));
      const auto order = decode_order(view(it->value()));
      if (!order) return make_error(Errc::kCorrupt, fmt::format("mark of an ended epoch of '{}'", producer));
      ended.push_back({producer, *order});
    }
    if (!it->status().ok()) return error_from(it->status(), "marks of ended epochs");
    return {};
  }

  Result<void> load_chain_tip() {
    const auto tip = read_chain_tip(*databases_.get());
    if (!tip) return tip.error();
    chain_tip_ = tip->link;
    return {};
  }

  // All zero for an empty log.
  static Result<ChainLink> read_chain_tip(const OpenLogDatabase& open) {
    std::unique_ptr<rocksdb::Iterator> it(open.db->NewIterator(log_scan_options(), open.family(LogFamily::kChain)));
    it->SeekToLast();
    if (!it->status().ok()) return error_from(it->status(), "chain");
    ChainLink link;
    if (it->Valid() && !decode_link(view(it->value()), link)) {
      return make_error(Errc::kCorrupt, "the chain's last link");
    }
    return link;
  }

  Result<void> tell_restore(const OpenLogDatabase& open, LogInfo& info) const {
    if (const auto at = meta_number(open, kRestoredAtKey)) info.restored_at = from_unix_us(static_cast<int64_t>(*at));
    std::lock_guard lock(marks_mutex_);
    for (const auto& [producer, order] : marks_) {
      info.marks.push_back({producer, order});
      if (!info.restored_at) continue;
      std::string value;
      const auto status =
          open.db->Get({}, open.family(LogFamily::kMeta), std::string(kRestoredPrefix) + producer, &value);
      if (!status.ok() && !status.IsNotFound()) return error_from(status, "marks of the restored log");
      if (status.ok() && decode_order(value) == order) info.restored.insert(producer);
    }
    return {};
  }

  // Whether there is a disk that takes writes, with room for what RocksDB does on its own beside the append.
  Result<void> check_disk() const {
    struct statvfs disk {};
    if (::statvfs(directory_.c_str(), &disk) != 0) return {};
    if ((disk.f_flag & ST_RDONLY) != 0) {
      return make_error(
          Errc::kUnavailable,
          fmt::format("the disk of '{}' is mounted read-only: mount it for writing (after looking at why: "
                      "a failing disk ends so), recording then goes on by itself",
                      directory_.string()));
    }
    if (disk.f_files > 0 && disk.f_favail == 0) {
      return make_error(Errc::kFull, fmt::format("the disk of '{}' has no inode left for a new file: remove files, "
                                                 "recording then goes on by itself",
                                                 directory_.string()));
    }
    const uint64_t available = uint64_t{disk.f_bavail} * disk.f_frsize;
    const uint64_t reserve =
        store_.reserve_bytes.value_or(kReservedMemtables * store_.write_buffer_bytes + kMaxGroupBytes);
    if (available >= reserve) return {};
    return make_error(
        Errc::kFull,
        fmt::format("{:.1f} MiB are free on the disk of '{}', {:.1f} MiB are kept in reserve: free {:.1f} MiB, "
                    "recording then goes on by itself",
                    mebibytes(available), directory_.string(), mebibytes(reserve), mebibytes(reserve - available)));
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
    for (const ProducerMark& mark : batch.ended) {
      writes.Put(family(LogFamily::kProducers), ended_key(mark), encode_order(mark.order));
    }
    if (batch.remove_telemetry_through) {
      writes.DeleteRange(family(LogFamily::kTelemetry), big_endian(0),
                         big_endian(batch.remove_telemetry_through->value + 1));
      writes.Put(family(LogFamily::kMeta), slice(kLogRemovedKey), big_endian(batch.remove_telemetry_through->value));
    }
    if (!schema_is_told_) {
      put_event_schema(writes, family(LogFamily::kMeta));
      put_schema_use(writes, family(LogFamily::kMeta), commit.first);
    }
    writes.Put(family(LogFamily::kMeta), slice(kLastKey), big_endian(commit.last.value));
    writes.Put(family(LogFamily::kMeta), slice(kRecordedAtKey),
               big_endian(static_cast<uint64_t>(to_unix_us(commit.recorded_at))));
  }

  const std::filesystem::path directory_;
  const LogStoreOptions store_;
  LeasedDatabase databases_;
  // The appending thread's own, because they change when the log is opened again: everybody else takes a lease.
  rocksdb::DB* db_ = nullptr;
  LogFamilyHandles families_{};
  bool read_only_ = false;
  uint64_t incarnation_ = 0;
  std::atomic<uint64_t> last_{0};
  std::atomic<uint64_t> replaced_at_{0};  // position of the last event that tells of replaced facts
  std::atomic<uint64_t> removed_{0};      // telemetry up to here
  mutable std::mutex marks_mutex_;
  std::map<std::string, EventOrder, std::less<>> marks_;

  // The appending thread's own.
  std::optional<std::string> broken_;  // why no append is taken until recover() has succeeded
  bool schema_is_told_ = false;        // the log says that its newest events have this program's schema
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

Result<std::unique_ptr<EventLog>> open_rocksdb_event_log_copy(const std::filesystem::path& directory,
                                                              const Clock& clock, uint64_t above) {
  if (!std::filesystem::exists(directory / "CURRENT")) {
    return make_error(Errc::kNotFound, fmt::format("'{}' holds no log", directory.string()));
  }
  auto log = RocksdbEventLog::open(directory, &clock, {}, {});
  if (!log) return log.error();
  auto& opened = static_cast<RocksdbEventLog&>(**log);
  if (auto begun = opened.begin_incarnation(clock, above); !begun) return begun.error();
  return log;
}

Result<std::unique_ptr<EventLog>> open_rocksdb_event_log_reader(const std::filesystem::path& directory,
                                                                const std::filesystem::path& scratch) {
  return RocksdbEventLog::open(directory, nullptr, {}, scratch);
}

}  // namespace millrace
