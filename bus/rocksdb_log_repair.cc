// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <cstring>

#include "bus/durable_mark.h"
#include "bus/event_log.h"
#include "bus/file_io.h"
#include "bus/log_repair.h"
#include "bus/rocksdb_log_files.h"
#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_log_salvage.h"
#include "bus/rocksdb_log_schema.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

constexpr size_t kBatchBytes = 4u << 20;
constexpr size_t kRangesPerEvent = 1000;  // an envelope has at most 48 KiB
constexpr size_t kEventsPerCommit = 1000;

// Stands for the digest of a group that is lost with its link.
Sha256 unknown_digest() {
  Sha256 digest;
  digest.fill(0xff);
  return digest;
}

// One commit of the new log: what is left of an old one.
struct SavedCommit {
  uint64_t first = 0;
  uint64_t count = 0;
  const ChainLink* link = nullptr;
  const SavedGroup* facts = nullptr;
  const SavedGroup* telemetry = nullptr;
  uint64_t end() const { return first + count; }
};

// Puts groups into commits.
class CommitPlan {
 public:
  explicit CommitPlan(const Salvage& salvage) : salvage_(salvage) {}

  std::vector<SavedCommit> make() {
    for (const auto& [first, link] : salvage_.links) {
      if (link.count > 0 && (commits_.empty() || commits_.rbegin()->second.end() <= first)) {
        commits_[first] = {first, link.count, &link, nullptr, nullptr};
      }
    }
    place(salvage_.facts, &SavedCommit::facts);
    place(salvage_.telemetry, &SavedCommit::telemetry);
    std::vector<SavedCommit> commits;
    for (const auto& [first, commit] : commits_) commits.push_back(commit);
    return commits;
  }

 private:
  using Groups = std::multimap<uint64_t, SavedGroup>;

  void place(const Groups& groups, const SavedGroup* SavedCommit::*member) {
    for (auto it = groups.begin(); it != groups.end(); it = groups.upper_bound(it->first)) {
      const bool telemetry = member == &SavedCommit::telemetry;
      if (telemetry && it->second.last <= salvage_.removed_through) continue;
      SavedCommit* commit = commit_of(it->first, it->second.last);
      if (commit == nullptr) continue;  // it contradicts a commit whose link is known
      const SavedGroup* chosen = choose(groups, it->first, commit->link, telemetry);
      if (chosen != nullptr && commit->*member == nullptr) commit->*member = chosen;
    }
  }

  // The form that the chain, or the last redaction, asks for.  An older form is never brought back.
  const SavedGroup* choose(const Groups& groups, uint64_t first, const ChainLink* link, bool telemetry) const {
    std::optional<Sha256> wanted;
    if (link != nullptr) wanted = telemetry ? link->telemetry : link->facts;
    if (const auto redacted = salvage_.redactions.find(first); !telemetry && redacted != salvage_.redactions.end()) {
      wanted = redacted->second.back();
    }
    const auto [begin, end] = groups.equal_range(first);
    for (auto it = begin; it != end; ++it) {
      if (!wanted || it->second.digest == *wanted) return &it->second;
    }
    return nullptr;
  }

  SavedCommit* commit_of(uint64_t first, uint64_t last) {
    auto next = commits_.upper_bound(first);
    if (next != commits_.begin()) {
      SavedCommit& before = std::prev(next)->second;
      if (last < before.end()) return &before;
      if (first < before.end()) {
        if (before.link != nullptr) return nullptr;
        before.count = last + 1 - before.first;  // interleaved: they were one commit
        return &before;
      }
    }
    SavedCommit made{first, last + 1 - first, nullptr, nullptr, nullptr};
    auto counted = salvage_.commit_counts.upper_bound(first);
    if (counted != salvage_.commit_counts.begin() && (--counted)->first + counted->second > last &&
        counted->second <= EventLog::kMaxGroupEvents) {
      made.first = counted->first;
      made.count = counted->second;
    }
    if (next != commits_.begin() && std::prev(next)->second.end() > made.first) {
      made.count = made.end() - std::prev(next)->second.end();
      made.first = std::prev(next)->second.end();
    }
    // A group of the other family that lies within was put into a commit of its own before.
    for (; next != commits_.end() && next->first < made.end() && next->second.link == nullptr;
         next = commits_.erase(next)) {
      made.count = std::max(made.end(), next->second.end()) - made.first;
      if (next->second.facts != nullptr) made.facts = next->second.facts;
      if (next->second.telemetry != nullptr) made.telemetry = next->second.telemetry;
    }
    if (next != commits_.end() && next->first <= last) return nullptr;
    if (next != commits_.end() && made.end() > next->first) made.count = next->first - made.first;
    return &(commits_[made.first] = made);
  }

  const Salvage& salvage_;
  std::map<uint64_t, SavedCommit> commits_;
};

// The new log's store, written without its write-ahead log: it counts once it is flushed and moved to its place.
class NewStore {
 public:
  static Result<std::unique_ptr<NewStore>> open(const std::filesystem::path& directory) {
    std::unique_ptr<NewStore> store(new NewStore);
    rocksdb::Options options;
    options.create_if_missing = true;
    options.create_missing_column_families = true;
    options.info_log = make_rocksdb_logger("log");
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    for (const auto name : kLogFamilyNames) {
      rocksdb::ColumnFamilyOptions family;
      const bool groups = name == "facts" || name == "telemetry";
      family.compression = groups ? rocksdb::kNoCompression : rocksdb::kLZ4Compression;
      descriptors.emplace_back(std::string(name), family);
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(options, directory.string(), descriptors, &handles, &db);
    if (!status.ok()) return error_from(status, fmt::format("new log in '{}'", directory.string()));
    store->db_.reset(db);
    std::copy(handles.begin(), handles.end(), store->families_.begin());
    return store;
  }
  ~NewStore() {
    for (auto* handle : families_) {
      if (handle != nullptr) db_->DestroyColumnFamilyHandle(handle);
    }
  }

  void put(LogFamily family, std::string_view key, std::string_view value) {
    batch_.Put(families_[static_cast<size_t>(family)], slice(key), slice(value));
  }
  Result<void> write(bool all) {
    if (!all && batch_.GetDataSize() < kBatchBytes) return {};
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    if (const auto status = db_->Write(options, &batch_); !status.ok()) return error_from(status, "new log");
    batch_.Clear();
    if (!all) return {};
    const std::vector<rocksdb::ColumnFamilyHandle*> families(families_.begin(), families_.end());
    const auto status = db_->Flush({}, families);
    return status.ok() ? Result<void>() : Result<void>(error_from(status, "new log"));
  }

 private:
  NewStore() = default;
  std::unique_ptr<rocksdb::DB> db_;
  LogFamilyHandles families_{};
  rocksdb::WriteBatch batch_;
};

class Repair {
 public:
  Repair(Salvage salvage, std::optional<DurablePoint> mark, NewStore& store, LogRepairReport& report)
      : salvage_(std::move(salvage)), mark_(mark), store_(store), report_(report) {}

  Result<void> run(uint64_t incarnation) {
    report_.damage = salvage_.damage;
    report_.chain_kept = true;
    for (const SavedCommit& commit : CommitPlan(salvage_).make()) {
      if (commit.facts == nullptr && commit.telemetry == nullptr && commit.link == nullptr) continue;
      if (auto saved = save(commit); !saved) return saved;
      if (auto written = store_.write(false); !written) return written;
    }
    report_.saved_through = Position{next_ - 1};
    const uint64_t known = std::max(salvage_.numbers["last"], mark_ ? mark_->last.value : 0);
    if (known >= next_) lose(next_, known);
    report_.last = Position{std::max(known, next_ - 1)};
    put_numbers(incarnation);
    put_marks();
    return store_.write(true);
  }

 private:
  Result<void> save(const SavedCommit& commit) {
    if (commit.first > next_) lose(next_, commit.first - 1);
    EventGroup facts;
    EventGroup telemetry;
    for (const auto& [saved, group, family] : {std::tuple{commit.facts, &facts, LogFamily::kFacts},
                                               std::tuple{commit.telemetry, &telemetry, LogFamily::kTelemetry}}) {
      if (saved == nullptr) continue;
      const auto bytes = bytes_of(*saved);
      if (!bytes) return bytes.error();
      auto decoded = decode_group(*bytes);
      if (!decoded) return decoded.error();
      *group = std::move(*decoded);
      store_.put(family, big_endian(group->events.front().position.value), *bytes);
    }
    take_events(commit, facts, telemetry);
    put_link(commit);
    next_ = commit.end();
    return {};
  }

  // Both groups' events in one order: numbers, index, and which positions are no longer there.
  void take_events(const SavedCommit& commit, const EventGroup& facts, const EventGroup& telemetry) {
    std::vector<const RecordedEvent*> events;
    for (const auto* group : {&facts, &telemetry}) {
      for (const RecordedEvent& event : group->events) events.push_back(&event);
    }
    std::sort(events.begin(), events.end(), [](const auto* a, const auto* b) { return a->position < b->position; });
    report_.facts += facts.events.size();
    report_.telemetry += telemetry.events.size();
    // Facts alone are never removed, so what is missing beside whole facts was telemetry.
    const bool telemetry_expired = commit.end() - 1 <= salvage_.removed_through;
    const bool facts_whole = commit.facts != nullptr || (commit.link != nullptr && commit.link->facts == Sha256{});
    uint64_t expected = commit.first;
    missing_ = false;
    const auto miss = [&](uint64_t from, uint64_t through) {
      if (from > through) return;
      missing_ = true;
      if (telemetry_expired && facts_whole) {
        report_.expired += through - from + 1;
        ledger_.expired(through - from + 1);
      } else {
        lose(from, through);
      }
    };
    std::set<std::string> machines;
    for (const RecordedEvent* event : events) {
      miss(expected, event->position.value - 1);
      expected = event->position.value + 1;
      ledger_.take(event->position, event->envelope);
      seen_[std::string(event->envelope.producer())] = event->position.value;
      if (!event->envelope.machine().empty()) machines.emplace(event->envelope.machine());
    }
    miss(expected, commit.end() - 1);
    for (const auto& machine : machines) {
      store_.put(LogFamily::kMachines, machine_key(machine, commit.first), big_endian(commit.count));
    }
    if (!events.empty()) put_time(commit.first, events.front()->recorded_at);
  }

  void put_time(uint64_t first, WallTime recorded_at) {
    recorded_at_ = std::max(recorded_at_, recorded_at);
    if (recorded_at - indexed_at_ < kTimeIndexInterval) return;
    store_.put(LogFamily::kTimes, big_endian(static_cast<uint64_t>(to_unix_us(recorded_at))), big_endian(first));
    indexed_at_ = recorded_at;
  }

  // Made anew from what the old link said, or from the groups where it is lost.
  void put_link(const SavedCommit& commit) {
    Sha256 facts = commit.facts != nullptr ? commit.facts->digest : Sha256{};
    Sha256 telemetry = commit.telemetry != nullptr ? commit.telemetry->digest : Sha256{};
    if (commit.link != nullptr) {
      facts = commit.link->facts;
      telemetry = commit.link->telemetry;
    } else if (missing_ && commit.telemetry == nullptr) {
      telemetry = unknown_digest();
    } else if (missing_) {
      facts = unknown_digest();
    }
    const ChainLink link = next_link(tip_, commit.first, commit.count, facts, telemetry, digester_);
    if (commit.link != nullptr && commit.link->link != link.link) report_.chain_kept = false;
    tip_ = link.link;
    store_.put(LogFamily::kChain, big_endian(link.first), encode_link(link));
  }

  void lose(uint64_t from, uint64_t through) {
    if (!report_.lost.empty() && report_.lost.back().through + 1 == from) {
      report_.lost.back().through = through;
    } else {
      report_.lost.push_back({from, through});
    }
  }

  void put_numbers(uint64_t incarnation) {
    const auto put = [this](std::string_view key, uint64_t number) {
      store_.put(LogFamily::kMeta, key, big_endian(number));
    };
    put("format", kLogFormat);
    put("incarnation", incarnation);
    put("last", report_.last.value);
    put("recorded_at", static_cast<uint64_t>(to_unix_us(recorded_at_)));
    put(kLogRepairedKey, report_.last.value);
    if (const uint64_t at = salvage_.numbers["replaced_at"]; at > 0) put("replaced_at", at);
    if (salvage_.removed_through > 0) put(kLogRemovedKey, salvage_.removed_through);
    for (const auto& [key, schema] : salvage_.schemas) store_.put(LogFamily::kMeta, key, schema);
  }

  // A producer's mark goes back to its last saved event where later ones may be lost: it sends again what it still has.
  void put_marks() {
    std::map<std::string, EventOrder> marks;
    for (const auto& [producer, position] : seen_) marks[producer] = ledger_.last(producer);
    for (const auto& [producer, order] : salvage_.marks) {
      const uint64_t position = seen_.contains(producer) ? seen_[producer] : 0;
      const bool lost_later = !report_.lost.empty() && report_.lost.back().through > position;
      if (!lost_later) marks[producer] = std::max(marks[producer], order);
    }
    std::vector<ProducerMark> list;
    for (const auto& [producer, order] : marks) {
      list.push_back({producer, order});
      store_.put(LogFamily::kProducers, producer, big_endian(order.epoch) + big_endian(order.sequence));
    }
    report_.marks = list;
    for (const ProducerProof& proof : ledger_.finish(list)) {
      for (const ProducerEpoch& epoch : proof.epochs) {
        if (epoch.epoch >= marks[proof.producer].epoch) continue;
        const ProducerMark ended{proof.producer, {epoch.epoch, epoch.last}};
        store_.put(LogFamily::kProducers, ended_key(ended), encode_order(ended.order));
      }
      for (const SequenceHole& hole : proof.holes) {
        if (hole.told_at.value == 0) report_.numbers.push_back({proof.producer, hole});
      }
    }
  }

  Salvage salvage_;
  const std::optional<DurablePoint> mark_;
  NewStore& store_;
  LogRepairReport& report_;
  ProducerLedger ledger_;
  std::map<std::string, uint64_t> seen_;  // producer -> position of its last saved event
  Sha256Digester digester_;
  Sha256 tip_{};
  uint64_t next_ = 1;
  WallTime recorded_at_{};
  WallTime indexed_at_{};
  bool missing_ = false;  // some positions of the commit at hand
};

std::vector<EventDraft> what_to_tell(const LogRepairReport& report, const Clock& clock) {
  std::vector<EventDraft> drafts;
  for (size_t begin = 0; begin == 0 || begin < report.lost.size(); begin += kRangesPerEvent) {
    schema::LogRepairedT repaired;
    repaired.previous_incarnation = report.previous_incarnation;
    repaired.position = report.saved_through.value;
    for (size_t i = begin; i < std::min(begin + kRangesPerEvent, report.lost.size()); ++i) {
      auto range = std::make_unique<schema::LostRangeT>();
      range->from = report.lost[i].from;
      range->through = report.lost[i].through;
      range->reason = "damaged";
      repaired.lost.push_back(std::move(range));
    }
    drafts.push_back(draft_of(std::move(repaired), "", clock.wall()));
  }
  for (const auto& [producer, hole] : report.numbers) {
    schema::EventsDroppedT dropped;
    dropped.producer = producer;
    dropped.epoch = hole.epoch;
    dropped.from_sequence = hole.from;
    dropped.to_sequence = hole.to;
    dropped.count = hole.to - hole.from + 1;
    dropped.reason = "repaired";
    const bool machine = is_valid_machine_id(producer) && !is_reserved_name(producer);
    drafts.push_back(draft_of(std::move(dropped), machine ? producer : "", clock.wall()));
  }
  return drafts;
}

Result<void> tell(const std::filesystem::path& directory, LogRepairReport& report, const Clock& clock) {
  auto log = open_rocksdb_event_log(directory, clock);
  if (!log) return log.error();
  const uint64_t epoch = (*log)->incarnation_number();
  const auto drafts = what_to_tell(report, clock);
  uint64_t sequence = 0;
  for (size_t begin = 0; begin < drafts.size(); begin += kEventsPerCommit) {
    std::vector<Envelope> events;
    for (size_t i = begin; i < std::min(begin + kEventsPerCommit, drafts.size()); ++i) {
      auto envelope = Envelope::build({std::string(kHubProducer), epoch, ++sequence}, drafts[i]);
      if (!envelope) return envelope.error();
      events.push_back(std::move(*envelope));
    }
    const std::vector<ProducerMark> marks{{std::string(kHubProducer), {epoch, sequence}}};
    if (auto commit = (*log)->append({events, marks, clock.wall()}); !commit) return commit.error();
  }
  report.last = (*log)->last();
  return {};
}

}  // namespace

uint64_t LogRepairReport::lost_positions() const {
  uint64_t count = 0;
  for (const LostPositions& range : lost) count += range.through - range.from + 1;
  return count;
}

Result<LogRepairReport> repair_rocksdb_log(const std::filesystem::path& from, const std::filesystem::path& to,
                                           const Clock& clock) {
  if (std::filesystem::exists(to)) {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("'{}' exists already: a repair writes a new log", to.string()));
  }
  if (is_log_in_use(from)) {
    return make_error(Errc::kConflict, fmt::format("a hub has the log in '{}' open: stop it first", from.string()));
  }
  auto salvage = salvage_log(from);
  if (salvage.facts.empty() && salvage.telemetry.empty() && salvage.links.empty()) {
    return make_error(Errc::kNotFound, fmt::format("nothing of a log was found in '{}'", from.string()));
  }
  // What a newer program wrote would be lost here, and is not damaged.
  if (auto known = check_log_format(from, salvage.numbers["format"]); !known) return known.error();
  for (const auto& [key, bfbs] : salvage.schemas) {
    const auto known = check_log_schema(from, bfbs);
    if (!known && known.error().code == Errc::kIncompatible) return known.error();
  }
  const auto mark = read_durable_point(from);
  LogRepairReport report;
  uint64_t previous = salvage.numbers["incarnation"];
  if (previous == 0 && mark) previous = mark->incarnation;
  if (previous > 0) report.previous_incarnation = fmt::format("{:016x}", previous);
  const uint64_t incarnation = std::max(static_cast<uint64_t>(to_unix_us(clock.wall())), previous + 1);
  report.incarnation = fmt::format("{:016x}", incarnation);

  // A half-made log must never be taken for one.
  const std::filesystem::path unfinished = to.string() + ".unfinished";
  std::error_code ignored;
  std::filesystem::remove_all(unfinished, ignored);
  std::filesystem::create_directories(unfinished, ignored);
  Result<void> done;
  {
    auto store = NewStore::open(unfinished);
    if (!store) return store.error();
    done = Repair(std::move(salvage), mark, **store, report).run(incarnation);
  }
  if (done) done = tell(unfinished, report, clock);
  if (done) {
    std::error_code failed;
    std::filesystem::rename(unfinished, to, failed);
    if (failed) done = make_error(Errc::kIo, fmt::format("rename to '{}': {}", to.string(), failed.message()));
  }
  if (done) done = sync_directory(to.has_parent_path() ? to.parent_path() : std::filesystem::path("."));
  if (!done) {
    std::filesystem::remove_all(unfinished, ignored);
    return done.error();
  }
  return report;
}

}  // namespace millrace
