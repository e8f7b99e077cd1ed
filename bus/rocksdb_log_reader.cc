// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_log_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/event_group.h"
#include "bus/rocksdb_store.h"

namespace millrace {
namespace {

using IteratorPtr = std::unique_ptr<rocksdb::Iterator>;

Error group_error(const Error& cause, std::string_view family, uint64_t first) {
  return make_error(cause.code, fmt::format("{} group at position {}: {}", family, first, cause.context));
}

// Walks the events of one family in order, a group at a time.
class FamilyCursor {
 public:
  // Events up to `removed` are not there, whatever is stored.
  FamilyCursor(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, std::string_view name, Position removed = {})
      : iterator_(db.NewIterator(log_scan_options(), family)), name_(name), removed_(removed) {}

  // To the first event after `after`.  `at_commit`: a commit begins there, so no earlier group reaches beyond.
  Result<void> seek(Position after, bool at_commit) {
    if (after < removed_) {
      after = removed_;
      at_commit = true;  // a removal ends with a commit
    }
    const std::string key = big_endian(after.value + 1);
    if (!at_commit) iterator_->SeekForPrev(key);
    // Another seek would forget what was wrong with this one, and step over a damaged block.
    if (!iterator_->Valid() && !iterator_->status().ok()) return error_from(iterator_->status(), name_);
    if (at_commit || !iterator_->Valid()) iterator_->Seek(key);
    if (auto loaded = load(); !loaded) return loaded;
    while (valid() && current().position <= after) {
      if (auto moved = next(); !moved) return moved;
    }
    return {};
  }

  bool valid() const { return index_ < group_.events.size(); }
  const RecordedEvent& current() const { return group_.events[index_]; }

  Result<void> next() {
    if (++index_ < group_.events.size()) return {};
    iterator_->Next();
    return load();
  }

 private:
  Result<void> load() {
    group_ = {};
    index_ = 0;
    if (!iterator_->Valid()) {
      if (!iterator_->status().ok()) return error_from(iterator_->status(), name_);
      return {};
    }
    auto decoded = decode_group(view(iterator_->value()));
    if (!decoded) return group_error(decoded.error(), name_, from_big_endian(view(iterator_->key())));
    group_ = std::move(*decoded);
    return {};
  }

  IteratorPtr iterator_;
  std::string name_;
  Position removed_;
  EventGroup group_;
  size_t index_ = 0;
};

// The events of both families in one order.
class MergedCursor {
 public:
  void add(FamilyCursor cursor) { cursors_.push_back(std::move(cursor)); }

  Result<void> seek(Position after, bool at_commit = false) {
    for (FamilyCursor& cursor : cursors_) {
      if (auto moved = cursor.seek(after, at_commit); !moved) return moved;
    }
    return {};
  }

  // The cursor whose event comes next; nullptr at the end.
  FamilyCursor* next() {
    FamilyCursor* first = nullptr;
    for (FamilyCursor& cursor : cursors_) {
      if (cursor.valid() && (first == nullptr || cursor.current().position < first->current().position)) {
        first = &cursor;
      }
    }
    return first;
  }

 private:
  std::vector<FamilyCursor> cursors_;
};

bool wants(const EventFilter& filter, Family family) {
  return filter.types.empty() || std::any_of(filter.types.begin(), filter.types.end(),
                                             [&](EventType type) { return family_of(type) == family; });
}

// Collects matches until a limit is reached.
class Collector {
 public:
  Collector(Position after, const ReadLimit& limit, const EventFilter& filter) : limit_(limit), filter_(filter) {
    result_.through = after;
  }
  bool full() const { return scanned_ >= limit_.scanned || result_.events.size() >= limit_.events; }
  void look_at(const RecordedEvent& event) {
    ++scanned_;
    result_.through = event.position;
    if (filter_.matches(event)) result_.events.push_back(event);
  }
  ReadResult finish(Position last) {
    result_.through = std::max(result_.through, last);
    result_.at_end = true;
    return std::move(result_);
  }
  ReadResult stop() { return std::move(result_); }

 private:
  const ReadLimit& limit_;
  const EventFilter& filter_;
  ReadResult result_;
  size_t scanned_ = 0;
};

}  // namespace

rocksdb::ReadOptions log_scan_options() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;  // a long scan must not push out what the live views need
  options.ignore_range_deletions = true;
  return options;
}

std::string encode_order(EventOrder order) { return big_endian(order.epoch) + big_endian(order.sequence); }

std::optional<EventOrder> decode_order(std::string_view value) {
  if (value.size() != 16) return std::nullopt;
  return EventOrder{from_big_endian(value), from_big_endian(value.substr(8))};
}

std::string ended_key(const ProducerMark& mark) { return mark.producer + '\0' + big_endian(mark.order.epoch); }

bool is_ended_key(std::string_view key) { return key.find('\0') != std::string_view::npos; }

std::string machine_key(std::string_view machine, uint64_t group_first) {
  std::string key(machine);
  key += '\0';
  key += big_endian(group_first);
  return key;
}

Result<ReadResult> RocksdbLogReader::read(Position after, Position last, const ReadLimit& limit,
                                          const EventFilter& filter) const {
  Collector collector(after, limit, filter);
  if (after >= last) return collector.finish(after);
  MergedCursor merged;
  if (wants(filter, Family::kFact)) merged.add(FamilyCursor(db_, family(LogFamily::kFacts), "facts"));
  if (wants(filter, Family::kTelemetry))
    merged.add(FamilyCursor(db_, family(LogFamily::kTelemetry), "telemetry", removed_));
  // The index says at which group the machine appears next, so a quiet machine's events are found without reading on.
  IteratorPtr index;
  const std::string index_end = filter.machine.empty() ? "" : machine_key(filter.machine, ~uint64_t{0});
  if (!filter.machine.empty()) {
    index.reset(db_.NewIterator(log_scan_options(), family(LogFamily::kMachines)));
    index->SeekForPrev(machine_key(filter.machine, after.value + 1));
    if (!index->Valid() && !index->status().ok()) return error_from(index->status(), "machine index");
    if (!index->Valid() || !view(index->key()).starts_with(index_end.substr(0, filter.machine.size() + 1))) {
      index->Seek(machine_key(filter.machine, after.value + 1));
    }
  }
  Position from = after;
  while (true) {
    Position until = last;
    bool at_commit = false;
    if (index) {
      if (!index->Valid() || view(index->key()) > index_end) {
        if (!index->status().ok()) return error_from(index->status(), "machine index");
        return collector.finish(last);
      }
      const uint64_t group_first = from_big_endian(view(index->key()).substr(filter.machine.size() + 1));
      if (group_first > last.value) return collector.finish(last);
      uint64_t commit_events = 0;
      if (view(index->value()).size() == 8) commit_events = from_big_endian(view(index->value()));
      until = std::min(last, Position{group_first + commit_events - 1});
      from = std::max(after, Position{group_first - 1});
      at_commit = from.value == group_first - 1;
      index->Next();
      if (until <= from) continue;
    }
    if (auto moved = merged.seek(from, at_commit); !moved) return moved.error();
    for (FamilyCursor* next = merged.next(); next != nullptr && next->current().position <= until;
         next = merged.next()) {
      if (collector.full()) return collector.stop();
      collector.look_at(next->current());
      if (auto moved = next->next(); !moved) return moved.error();
    }
    if (!index) return collector.finish(last);
    if (collector.full()) return collector.stop();
  }
}

Result<RecordedEvent> RocksdbLogReader::at(Position position, Position last) const {
  if (position.value == 0 || position > last) {
    return make_error(Errc::kNotFound, fmt::format("position {}: the log holds 1 to {}", position.value, last.value));
  }
  for (const auto& [id, name] :
       {std::pair{LogFamily::kFacts, "facts"}, std::pair{LogFamily::kTelemetry, "telemetry"}}) {
    FamilyCursor cursor(db_, family(id), name, id == LogFamily::kTelemetry ? removed_ : Position{});
    if (auto moved = cursor.seek(Position{position.value - 1}, false); !moved) return moved.error();
    if (cursor.valid() && cursor.current().position == position) return cursor.current();
  }
  return make_error(Errc::kNotFound, fmt::format("position {} has expired", position.value));
}

Result<Position> RocksdbLogReader::first_at(WallTime time, Position last) const {
  // The sparse index gives a commit at or before `time`; from there the groups themselves are looked at.
  IteratorPtr times(db_.NewIterator(log_scan_options(), family(LogFamily::kTimes)));
  times->SeekForPrev(big_endian(static_cast<uint64_t>(std::max<int64_t>(to_unix_us(time) - 1, 0))));
  if (!times->status().ok()) return error_from(times->status(), "index of times");
  const Position after = times->Valid() ? Position{from_big_endian(view(times->value())) - 1} : Position{};
  MergedCursor merged;
  merged.add(FamilyCursor(db_, family(LogFamily::kFacts), "facts"));
  merged.add(FamilyCursor(db_, family(LogFamily::kTelemetry), "telemetry", removed_));
  if (auto moved = merged.seek(after); !moved) return moved.error();
  for (FamilyCursor* next = merged.next(); next != nullptr && next->current().position <= last; next = merged.next()) {
    if (next->current().recorded_at >= time) return next->current().position;
    if (auto moved = next->next(); !moved) return moved.error();
  }
  return last + 1;
}

}  // namespace millrace
