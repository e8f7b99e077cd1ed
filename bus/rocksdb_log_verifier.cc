// SPDX-License-Identifier: Apache-2.0
// Two threads: one reads every file as it lies on the disk, the other walks the log commit by commit.
#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "bus/event_group.h"
#include "bus/log_verifier.h"
#include "bus/rocksdb_file_check.h"
#include "bus/rocksdb_log_check.h"
#include "bus/rocksdb_log_index.h"
#include "bus/rocksdb_log_schema.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

constexpr uint64_t kProgressCommits = 64;
constexpr size_t kMaxMissing = 1u << 20;  // ranges

class Faults {
 public:
  void add(Position position, std::string what, std::string file = {}) {
    ++count_;
    // A damaged file is always told, whatever followed from it.
    if (faults_.size() < LogVerdict::kMaxFaults || !file.empty()) {
      faults_.push_back({position, std::move(file), std::move(what)});
    }
  }
  void add(LogFault fault) { add(fault.position, std::move(fault.what), std::move(fault.file)); }
  uint64_t count() const { return count_; }
  std::vector<LogFault> take() {
    std::stable_sort(faults_.begin(), faults_.end(), [](const LogFault& a, const LogFault& b) {
      return a.position.value - 1 < b.position.value - 1;  // 0, not known, comes last
    });
    return std::move(faults_);
  }

 private:
  std::vector<LogFault> faults_;
  uint64_t count_ = 0;
};

struct PositionRange {
  uint64_t from = 0;
  uint64_t through = 0;
};

rocksdb::ReadOptions walk_options() {
  rocksdb::ReadOptions options = log_scan_options();
  options.readahead_size = 2u << 20;
  return options;
}

// One family's groups, in step with the chain.
class GroupCursor {
 public:
  // Groups up to `removed` are passed over.
  GroupCursor(const ReadOnlyLog& log, LogFamily family, Position removed)
      : name_(kLogFamilyNames[static_cast<size_t>(family)]),
        iterator_(log.db().NewIterator(walk_options(), log.family(family))) {
    iterator_->Seek(big_endian(removed.value + 1));
  }

  struct Found {
    bool present = false;
    bool readable = false;
    Sha256 digest{};
    EventGroup group;
    size_t bytes = 0;
    size_t raw_bytes = 0;
  };

  // The group of the commit at [first, end), and the next one after it.
  Found of_commit(uint64_t first, uint64_t end, Faults& faults) {
    pass_until(first, faults);
    Found found;
    if (!iterator_->Valid() || key() >= end) {
      found.present = unreadable_;
      return found;
    }
    found.present = true;
    const auto value = view(iterator_->value());
    found.bytes = value.size();
    auto group = decode_group(value, found.digest);
    if (!group) {
      faults.add(Position{key()}, fmt::format("{} {}", name_, group.error().context));
    } else if (group->first.value != key() || group->events.front().position.value != key()) {
      faults.add(Position{key()},
                 fmt::format("{} group says that it begins at position {}", name_, group->first.value));
    } else {
      found.readable = true;
      found.group = std::move(*group);
      for (const auto& event : found.group.events) found.raw_bytes += event.envelope.bytes().size();
    }
    iterator_->Next();
    return found;
  }

  void finish(Faults& faults) { pass_until(~uint64_t{0}, faults); }

 private:
  uint64_t key() const {
    const auto bytes = view(iterator_->key());
    return bytes.size() == 8 ? from_big_endian(bytes) : 0;
  }

  // Groups before `first` belong to no commit.
  void pass_until(uint64_t first, Faults& faults) {
    unreadable_ = false;
    if (!iterator_->Valid() && !iterator_->status().ok()) {
      report(first, faults);
      iterator_->Seek(big_endian(first));  // behind the damage, if it does not reach so far
      unreadable_ = !iterator_->Valid() && !iterator_->status().ok();
    }
    while (iterator_->Valid() && key() < first) {
      faults.add(Position{key()}, fmt::format("{} group that the chain does not know", name_));
      iterator_->Next();
    }
    if (!iterator_->Valid() && !iterator_->status().ok()) {
      report(first, faults);
      unreadable_ = true;
    }
  }

  void report(uint64_t first, Faults& faults) {
    const std::string text = iterator_->status().ToString();
    if (text != reported_) faults.add(Position{first}, fmt::format("{} cannot be read: {}", name_, text));
    reported_ = text;
  }

  const std::string_view name_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  std::string reported_;  // one damaged block spoils many commits
  bool unreadable_ = false;
};

// A root that the chain must pass through.
struct Pin {
  LogAnchor anchor;
  bool given = false;               // by who asks; otherwise by the note beside the log
  std::optional<ChainRoot> passed;  // of the first commit that ends there or behind it
};

class LogWalk {
 public:
  LogWalk(const ReadOnlyLog& log, const VerifyOptions& options, LogVerdict& verdict, Faults& faults)
      : log_(log),
        options_(options),
        verdict_(verdict),
        faults_(faults),
        removed_through_(log.meta_number(kLogRemovedKey).value_or(0)),
        facts_(log, LogFamily::kFacts, {}),
        telemetry_(log, LogFamily::kTelemetry, Position{removed_through_}),
        indexes_(log.db(), log.family(LogFamily::kMachines), log.family(LogFamily::kTimes)) {}

  // `noted`: what the note beside the log says that it has confirmed.
  void run(const std::optional<LogAnchor>& noted) {
    if (noted) pins_.push_back({*noted, false, {}});
    for (const LogAnchor& anchor : options_.anchors) pins_.push_back({anchor, true, {}});
    std::stable_sort(pins_.begin(), pins_.end(),
                     [](const Pin& a, const Pin& b) { return a.anchor.root.position < b.anchor.root.position; });
    std::unique_ptr<rocksdb::Iterator> links(log_.db().NewIterator(walk_options(), log_.family(LogFamily::kChain)));
    for (links->SeekToFirst(); links->Valid(); links->Next()) {
      ChainLink link;
      const auto key = view(links->key());
      if (!decode_link(view(links->value()), link) || key != big_endian(link.first)) {
        faults_.add(Position{next_}, "the chain has a link that is none");
        continue;
      }
      commit(link);
      if (options_.on_progress && verdict_.commits % kProgressCommits == 0) progress();
    }
    if (!links->status().ok()) {
      faults_.add(Position{next_}, fmt::format("the chain cannot be read: {}", links->status().ToString()));
      chain_unreadable_ = true;
    }
    finish();
  }

 private:
  void progress() { options_.on_progress({Position{next_ - 1}, verdict_.last, verdict_.group_bytes}); }

  void commit(const ChainLink& link) {
    const Position at{link.first};
    const uint64_t end = link.first + link.count;
    if (link.first < next_ || link.count == 0 || link.count > EventLog::kMaxGroupEvents) {
      return faults_.add(
          at, fmt::format("the chain has a commit of {} events where position {} is due", link.count, next_));
    }
    if (link.first > next_) miss({next_, link.first - 1});
    next_ = end;
    ++verdict_.commits;
    check_link(link);
    const auto facts = facts_.of_commit(link.first, end, faults_);
    const auto telemetry = telemetry_.of_commit(link.first, end, faults_);
    check_presence(link, facts, telemetry);
    check_events(link, facts, telemetry);
    tip_ = link.link;
    verdict_.root = ChainRoot{Position{end - 1}, link.link};
    pass_pins(*verdict_.root);
  }

  void check_link(const ChainLink& link) {
    const ChainLink expected = next_link(tip_, link.first, link.count, link.facts, link.telemetry, digester_);
    if (expected.link != link.link)
      faults_.add(Position{link.first}, "the chain's link does not follow from the one before");
  }

  void check_presence(const ChainLink& link, const GroupCursor::Found& facts, const GroupCursor::Found& telemetry) {
    const Position at{link.first};
    const Sha256 none{};
    if (facts.readable && link.facts == none) faults_.add(at, "facts that the chain does not know");
    if (telemetry.readable && link.telemetry == none) faults_.add(at, "telemetry that the chain does not know");
    if (facts.readable && facts.digest != link.facts && link.facts != none) {
      changed_[facts.group.first.value] = {link.facts, facts.digest};
    }
    if (telemetry.readable && telemetry.digest != link.telemetry && link.telemetry != none) {
      faults_.add(telemetry.group.first, "the telemetry group is not the one that the chain has");
    }
    // What cannot be read has been reported; its positions are neither there nor missing.
    unreadable_here_ = (facts.present && !facts.readable) || (telemetry.present && !telemetry.readable);
    facts_missing_ = !facts.present && link.facts != none;
    telemetry_missing_ = !telemetry.present && link.telemetry != none;
  }

  // Both groups' events in one order: positions, bodies, indexes, numbers.
  void check_events(const ChainLink& link, const GroupCursor::Found& facts, const GroupCursor::Found& telemetry) {
    if (facts.readable && telemetry.readable && facts.group.recorded_at != telemetry.group.recorded_at) {
      faults_.add(Position{link.first}, "facts and telemetry of one commit were recorded at different times");
    }
    verdict_.group_bytes += facts.bytes + telemetry.bytes;
    verdict_.raw_bytes += facts.raw_bytes + telemetry.raw_bytes;
    verdict_.facts += facts.group.events.size();
    verdict_.telemetry += telemetry.group.events.size();
    if (facts.readable || telemetry.readable) check_time(link, facts.readable ? facts.group : telemetry.group);

    indexes_.begin_commit(link.first, link.count);
    auto fact = facts.group.events.begin();
    auto sample = telemetry.group.events.begin();
    uint64_t expected = link.first;
    while (fact != facts.group.events.end() || sample != telemetry.group.events.end()) {
      const bool take_fact = sample == telemetry.group.events.end() ||
                             (fact != facts.group.events.end() && fact->position < sample->position);
      const RecordedEvent& event = take_fact ? *fact++ : *sample++;
      if (event.position.value < expected || event.position.value >= link.first + link.count) {
        faults_.add(event.position, fmt::format("an event stands where position {} is due", expected));
        continue;
      }
      if (event.position.value > expected) miss_here(link, expected, event.position.value - 1);
      expected = event.position.value + 1;
      check_event(event, take_fact ? Family::kFact : Family::kTelemetry);
    }
    if (expected < link.first + link.count) miss_here(link, expected, link.first + link.count - 1);
    indexes_.end_commit(telemetry_missing_ || facts_missing_ || unreadable_here_,
                        [this](Position at, std::string what) { faults_.add(at, std::move(what)); });
  }

  void check_event(const RecordedEvent& event, Family family) {
    if (const auto checked = event.envelope.check(); !checked) {
      return faults_.add(event.position, checked.error().message());
    }
    if (event.envelope.family() != family) {
      faults_.add(event.position, fmt::format("{} in the other family", name_of(event.envelope.type())));
    }
    indexes_.take(event.envelope.machine());
    ledger_.take(event.position, event.envelope);
    note_what_it_says(event);
  }

  // Events that speak of the log itself.
  void note_what_it_says(const RecordedEvent& event) {
    switch (event.envelope.type()) {
      case EventType::TelemetryExpired:
        expired_through_ = std::max(expired_through_, event.envelope.as<schema::TelemetryExpired>()->through());
        break;
      case EventType::FactsRedacted:
        note_redaction(event);
        break;
      case EventType::LogRestored:
        note_lost(event.envelope.as<schema::LogRestored>()->lost());
        note_ancestor(*event.envelope.as<schema::LogRestored>());
        break;
      case EventType::LogRepaired:
        note_lost(event.envelope.as<schema::LogRepaired>()->lost());
        note_ancestor(*event.envelope.as<schema::LogRepaired>());
        break;
      default:
        break;
    }
  }

  // The log that this one was made from, and up to which of its positions.
  template <typename Made>
  void note_ancestor(const Made& made) {
    ancestors_[std::string(text(made.previous_incarnation()))] = Position{made.position()};
  }

  void note_redaction(const RecordedEvent& event) {
    const auto* groups = event.envelope.as<schema::FactsRedacted>()->groups();
    if (groups == nullptr) return;
    for (const auto* group : *groups) {
      Redaction redaction{event.position, {}, {}};
      for (const auto& [from, to] :
           {std::pair{group->before(), &redaction.before}, std::pair{group->after(), &redaction.after}}) {
        if (from != nullptr && from->size() == to->size()) std::copy(from->begin(), from->end(), to->begin());
      }
      redactions_[group->first()].push_back(redaction);
    }
  }

  void note_lost(const flatbuffers::Vector<flatbuffers::Offset<schema::LostRange>>* ranges) {
    if (ranges == nullptr) return;
    for (const auto* range : *ranges) {
      if (range->through() >= range->from()) lost_.push_back({range->from(), range->through()});
    }
  }

  void check_time(const ChainLink& link, const EventGroup& group) {
    if (group.recorded_at < recorded_at_) {
      faults_.add(Position{link.first},
                  fmt::format("recorded at {}, before the commit in front of it", to_rfc3339(group.recorded_at)));
    }
    recorded_at_ = group.recorded_at;
    indexes_.check_time(link.first, group.recorded_at,
                        [this](Position at, std::string what) { faults_.add(at, std::move(what)); });
  }

  void miss_here(const ChainLink& link, uint64_t from, uint64_t through) {
    const uint64_t events = through - from + 1;
    if (unreadable_here_) {
      ledger_.expired(events);  // reported already; the holes that it leaves say nothing new
    } else if (telemetry_missing_ && !facts_missing_ && link.first + link.count - 1 <= removed_through_) {
      verdict_.expired += events;
      ledger_.expired(events);
    } else if (!facts_missing_ && !telemetry_missing_) {
      faults_.add(Position{from}, fmt::format("positions {} to {} are in no group", from, through));
    } else {
      miss({from, through});
    }
  }

  void miss(PositionRange range) {
    if (!missing_.empty() && missing_.back().through + 1 == range.from) {
      missing_.back().through = range.through;
    } else if (missing_.size() < kMaxMissing) {
      missing_.push_back(range);
    } else {
      faults_.add(Position{range.from}, fmt::format("positions {} to {} are missing", range.from, range.through));
    }
  }

  void pass_pins(const ChainRoot& root) {
    for (; next_pin_ < pins_.size() && pins_[next_pin_].anchor.root.position <= root.position; ++next_pin_) {
      pins_[next_pin_].passed = root;
    }
  }

  void judge_pins() {
    for (const Pin& pin : pins_) {
      auto wrong = what_is_wrong(pin);
      if (pin.given) ++(wrong.empty() ? verdict_.anchors_held : verdict_.anchor_faults);
      if (wrong.empty()) continue;
      faults_.add(pin.anchor.root.position, std::move(wrong));
    }
  }

  std::string what_is_wrong(const Pin& pin) {
    const ChainRoot& root = pin.anchor.root;
    if (pin.given && pin.anchor.incarnation != verdict_.incarnation) {
      const auto ancestor = ancestors_.find(pin.anchor.incarnation);
      if (ancestor == ancestors_.end()) {
        return fmt::format("the anchor was taken from log {}; this is log {}", pin.anchor.incarnation,
                           verdict_.incarnation);
      }
      if (root.position > ancestor->second) {
        return fmt::format(
            "the anchor was taken from log {}, from which this one was made up to position {} only: "
            "what the anchor vouches for is not all here",
            pin.anchor.incarnation, ancestor->second.value);
      }
      verdict_.notes.push_back(
          fmt::format("the anchor of position {} was taken from log {}, from which this one was "
                      "made",
                      root.position.value, pin.anchor.incarnation));
    }
    const std::string_view whose = pin.given ? "the anchor" : "the note of what was confirmed";
    if (!pin.passed && chain_unreadable_) return pin.given ? "the chain cannot be read as far as this anchor" : "";
    if (!pin.passed) {
      return fmt::format("the log ends at position {}, but {} is of {}: its end is missing", next_ - 1, whose,
                         root.position.value);
    }
    if (pin.passed->position != root.position) {
      return fmt::format("no commit ends at the position of {}: the log has been rewritten", whose);
    }
    if (pin.passed->link == root.link) return {};
    return fmt::format(
        "the chain's link here is {}, {} has another: the log has been changed at or before this position",
        short_text({verdict_.incarnation, *pin.passed, {}}), whose);
  }

  void finish() {
    // Behind the place where the chain cannot be read, nothing is known to be wrong.
    if (!chain_unreadable_) {
      facts_.finish(faults_);
      telemetry_.finish(faults_);
      indexes_.finish([this](Position at, std::string what) { faults_.add(at, std::move(what)); });
      check_end();
    }
    judge_pins();
    check_redactions();
    check_missing();
    check_producers();
  }

  void check_end() {
    if (verdict_.last.value != next_ - 1) {
      faults_.add(Position{std::min(next_, verdict_.last.value + 1)},
                  fmt::format("the chain ends at position {}, the log says that it ends at {}", next_ - 1,
                              verdict_.last.value));
    }
    const auto recorded_at = log_.meta_number("recorded_at");
    if (recorded_at && !unreadable_here_ && !facts_missing_ && !telemetry_missing_ &&
        from_unix_us(static_cast<int64_t>(*recorded_at)) != recorded_at_) {
      faults_.add(verdict_.last, "the last commit was recorded at another time than the log says");
    }
  }

  void check_redactions() {
    for (const auto& [first, change] : changed_) {
      const auto found = redactions_.find(first);
      if (found == redactions_.end()) {
        faults_.add(Position{first}, "the facts are not those that the chain has, and no redaction says so");
      }
    }
    for (const auto& [first, list] : redactions_) {
      const auto change = changed_.find(first);
      if (change == changed_.end()) continue;  // gone, unreadable, or never carried out: see below
      Sha256 expected = change->second.chained;
      for (const Redaction& redaction : list) {
        if (redaction.before != expected) {
          faults_.add(redaction.at,
                      fmt::format("the redaction of the facts at position {} speaks of another group", first));
        }
        expected = redaction.after;
      }
      if (expected != change->second.actual) {
        faults_.add(Position{first},
                    "the facts are neither those that the chain has nor those that their last redaction left");
      }
      ++verdict_.redacted;
    }
  }

  bool is_lost(uint64_t from, uint64_t through) {
    while (from <= through) {
      const auto covering = std::find_if(lost_.begin(), lost_.end(), [from](const PositionRange& range) {
        return range.from <= from && from <= range.through;
      });
      if (covering == lost_.end()) return false;
      from = covering->through + 1;
    }
    return true;
  }

  void check_missing() {
    if (removed_through_ != expired_through_) {
      faults_.add(Position{std::min(removed_through_, expired_through_) + 1},
                  fmt::format("telemetry is marked as removed up to position {}, the events say {}", removed_through_,
                              expired_through_));
    }
    for (const PositionRange& range : missing_) {
      if (is_lost(range.from, range.through)) {
        verdict_.lost += range.through - range.from + 1;
      } else {
        faults_.add(Position{range.from},
                    fmt::format("positions {} to {} are missing, and no event says why", range.from, range.through));
      }
    }
  }

  void check_producers() {
    std::vector<ProducerMark> marks;
    std::unique_ptr<rocksdb::Iterator> it(log_.db().NewIterator(walk_options(), log_.family(LogFamily::kProducers)));
    for (it->SeekToFirst(); it->Valid(); it->Next()) {
      if (is_ended_key(view(it->key()))) continue;
      const auto value = view(it->value());
      if (value.size() != 16) {
        faults_.add({}, fmt::format("the mark of producer '{}' is none", view(it->key())));
        continue;
      }
      marks.push_back({std::string(view(it->key())), {from_big_endian(value), from_big_endian(value.substr(8))}});
    }
    if (!it->status().ok())
      faults_.add({}, fmt::format("the producers' marks cannot be read: {}", it->status().ToString()));
    verdict_.producers = ledger_.finish(marks);
    if (chain_unreadable_) return;
    for (const ProducerMark& mark : marks) {
      const EventOrder last = ledger_.last(mark.producer);
      if (last == mark.order) continue;
      faults_.add({}, fmt::format("the mark of '{}' is {}/{}, its last event in the log {}/{}", mark.producer,
                                  mark.order.epoch, mark.order.sequence, last.epoch, last.sequence));
    }
    for (const ProducerProof& proof : verdict_.producers) report(proof, marks);
  }

  void report(const ProducerProof& proof, const std::vector<ProducerMark>& marks) {
    const bool marked =
        std::any_of(marks.begin(), marks.end(), [&](const auto& m) { return m.producer == proof.producer; });
    if (!marked) faults_.add({}, fmt::format("producer '{}' has no mark", proof.producer));
    for (const auto& disorder : proof.disorder) faults_.add({}, fmt::format("'{}': {}", proof.producer, disorder));
    for (const SequenceHole& hole : proof.holes) {
      if (hole.told_at.value > 0) continue;
      faults_.add(hole.before, fmt::format("'{}' lacks {}/{} to {}/{}, and no event says why", proof.producer,
                                           hole.epoch, hole.from, hole.epoch, hole.to));
    }
  }

  struct Change {
    Sha256 chained{};
    Sha256 actual{};
  };
  struct Redaction {
    Position at;
    Sha256 before{};
    Sha256 after{};
  };

  const ReadOnlyLog& log_;
  const VerifyOptions& options_;
  LogVerdict& verdict_;
  Faults& faults_;
  const uint64_t removed_through_;  // as the log says; expired_through_ is what its events say
  GroupCursor facts_;
  GroupCursor telemetry_;
  LogIndexWalk indexes_;
  ProducerLedger ledger_;
  Sha256Digester digester_;
  Sha256 tip_{};
  uint64_t next_ = 1;  // the position that is due
  WallTime recorded_at_{};
  bool chain_unreadable_ = false;
  std::vector<Pin> pins_;  // by position
  size_t next_pin_ = 0;

  // Of the commit at hand.
  bool unreadable_here_ = false;
  bool facts_missing_ = false;
  bool telemetry_missing_ = false;

  std::vector<PositionRange> missing_;
  uint64_t expired_through_ = 0;
  std::vector<PositionRange> lost_;
  std::map<std::string, Position, std::less<>> ancestors_;
  std::map<uint64_t, Change> changed_;
  std::map<uint64_t, std::vector<Redaction>> redactions_;
};

}  // namespace

Result<LogVerdict> verify_rocksdb_log(const std::filesystem::path& directory, const VerifyOptions& options) {
  LogVerdict verdict;
  Faults faults;
  const auto finish = [&] {
    verdict.fault_count = faults.count();
    verdict.faults = faults.take();
    return std::move(verdict);
  };
  const LogFolder folder = look_at_log_folder(directory);
  if (holds_no_log(folder)) {
    return make_error(Errc::kNotFound, fmt::format("'{}' holds no log", directory.string()));
  }
  const auto mark = read_durable_point(directory);
  if (auto checked = check_log_files(directory, folder); !checked && !is_log_in_use(directory)) {
    faults.add({}, checked.error().context);
    if (!folder.current || folder.manifests.empty()) return finish();
  }
  const auto log = ReadOnlyLog::open_beside_hub(directory);
  if (!log) {
    faults.add({}, log.error().context);
    return finish();
  }
  const uint64_t incarnation = (*log)->meta_number("incarnation").value_or(0);
  verdict.incarnation = fmt::format("{:016x}", incarnation);
  verdict.last = Position{(*log)->meta_number("last").value_or(0)};
  const uint64_t format = (*log)->meta_number("format").value_or(0);
  if (auto known = check_log_format(directory, format); !known) return known.error();
  const auto schemas = read_known_schemas((*log)->db(), (*log)->family(LogFamily::kMeta), directory);
  if (!schemas && schemas.error().code == Errc::kIncompatible) return schemas.error();
  if (!schemas) faults.add({}, schemas.error().context);
  std::optional<LogAnchor> noted;
  if (mark && mark->incarnation == incarnation) noted = LogAnchor{verdict.incarnation, {mark->last, mark->link}, {}};

  std::vector<rocksdb::LiveFileMetaData> live;
  (*log)->db().GetLiveFilesMetaData(&live);
  FileCheck files(directory, std::move(live));
  std::thread reader([&files] { files.run(); });
  LogWalk(**log, options, verdict, faults).run(noted);
  reader.join();
  FileCheck::Findings found = files.finish();
  verdict.files = found.files;
  verdict.file_bytes = found.bytes;
  verdict.notes.insert(verdict.notes.end(), found.notes.begin(), found.notes.end());
  for (LogFault& fault : found.faults) faults.add(std::move(fault));
  return finish();
}

}  // namespace millrace
