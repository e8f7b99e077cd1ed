// SPDX-License-Identifier: Apache-2.0
#include "bus/rocksdb_log_index.h"

#include <fmt/format.h>

#include "bus/rocksdb_log_reader.h"
#include "bus/rocksdb_store.h"

namespace millrace {
bool LogIndexWalk::Entries::valid() const { return iterator->Valid() && view(iterator->key()).starts_with(prefix); }

uint64_t LogIndexWalk::Entries::first() const {
  const auto position = view(iterator->key()).substr(prefix.size());
  return position.size() == 8 ? from_big_endian(position) : 0;
}

LogIndexWalk::LogIndexWalk(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* machines, rocksdb::ColumnFamilyHandle* times)
    : db_(db), machine_family_(machines), times_(db.NewIterator(log_scan_options(), times)) {
  times_->SeekToFirst();
}

LogIndexWalk::Entries& LogIndexWalk::entries_of(std::string_view machine) {
  const auto found = machines_.find(machine);
  if (found != machines_.end()) return found->second;
  Entries entries{std::unique_ptr<rocksdb::Iterator>(db_.NewIterator(log_scan_options(), machine_family_)),
                  std::string(machine) + '\0', 0};
  entries.iterator->Seek(entries.prefix);
  return machines_.emplace(std::string(machine), std::move(entries)).first->second;
}

void LogIndexWalk::begin_commit(uint64_t first, uint64_t count) {
  first_ = first;
  count_ = count;
  here_.clear();
  latest_.clear();
}

void LogIndexWalk::take(std::string_view machine) {
  if (machine.empty() || machine == latest_) return;
  latest_ = machine;
  Entries& entries = entries_of(machine);
  if (entries.seen_in == first_) return;
  entries.seen_in = first_;
  here_.emplace_back(&machines_.find(machine)->first, &entries);
}

void LogIndexWalk::pass_stale(Entries& entries, std::string_view machine, uint64_t first, const Report& report) const {
  for (; entries.valid() && entries.first() < first; entries.iterator->Next()) {
    if (entries.first() <= incomplete_through_) continue;
    report(Position{entries.first()}, fmt::format("the index names machine '{}' here, no event does", machine));
  }
}

void LogIndexWalk::end_commit(bool incomplete, const Report& report) {
  if (incomplete) incomplete_through_ = first_;
  for (const auto& [machine, entries] : here_) {
    pass_stale(*entries, *machine, first_, report);
    if (!entries->iterator->status().ok()) continue;  // reported at the end
    if (!entries->valid() || entries->first() != first_) {
      report(Position{first_}, fmt::format("machine '{}' is not in the index", *machine));
      continue;
    }
    const auto value = view(entries->iterator->value());
    if (value.size() != 8 || from_big_endian(value) != count_) {
      report(Position{first_}, fmt::format("the index of machine '{}' has another number of events", *machine));
    }
    entries->iterator->Next();
  }
}

void LogIndexWalk::check_time(uint64_t first, WallTime recorded_at, const Report& report) {
  const auto indexed = [this] { return from_unix_us(static_cast<int64_t>(from_big_endian(view(times_->key())))); };
  const auto sound = [this] { return times_->key().size() == 8 && times_->value().size() == 8; };
  for (; times_->Valid(); times_->Next()) {
    const uint64_t entry = sound() ? from_big_endian(view(times_->value())) : 0;
    if (entry >= first) break;
    if (entry == 0 || entry > incomplete_through_) report(Position{entry}, "the index of times names no commit here");
    if (sound()) indexed_at_ = indexed();
  }
  if (times_->Valid() && from_big_endian(view(times_->value())) == first) {
    if (indexed() != recorded_at) {
      report(Position{first},
             fmt::format("recorded at {}, the index of times says {}", to_rfc3339(recorded_at), to_rfc3339(indexed())));
    }
    indexed_at_ = recorded_at;
    times_->Next();
  } else if (times_->Valid() && indexed() == recorded_at) {
    indexed_at_ = recorded_at;  // a later commit of the same microsecond took the entry
  } else if (times_->status().ok() && recorded_at - indexed_at_ >= kTimeIndexInterval) {
    report(Position{first}, fmt::format("recorded at {}, which is not in the index of times", to_rfc3339(recorded_at)));
    indexed_at_ = recorded_at;
  }
}

// One entry of each is enough to tell.
void LogIndexWalk::check_unseen_machines(const Report& report) {
  std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(log_scan_options(), machine_family_));
  for (it->SeekToFirst(); it->Valid();) {
    const std::string key(view(it->key()));
    const std::string machine = key.substr(0, key.find('\0'));
    if (!machines_.contains(machine)) {
      Entries& entries = entries_of(machine);
      pass_stale(entries, machine, ~uint64_t{0}, report);
    }
    it->Seek(machine + '\1');
  }
  if (!it->status().ok()) report({}, fmt::format("the machine index cannot be read: {}", it->status().ToString()));
}

void LogIndexWalk::finish(const Report& report) {
  for (auto& [machine, entries] : machines_) {
    pass_stale(entries, machine, ~uint64_t{0}, report);
    if (!entries.iterator->status().ok()) {
      report({}, fmt::format("the index of machine '{}' cannot be read: {}", machine,
                             entries.iterator->status().ToString()));
    }
  }
  check_unseen_machines(report);
  for (; times_->Valid(); times_->Next()) {
    const uint64_t entry = times_->value().size() == 8 ? from_big_endian(view(times_->value())) : 0;
    if (entry == 0 || entry > incomplete_through_) report(Position{entry}, "the index of times names no commit here");
  }
  if (!times_->status().ok())
    report({}, fmt::format("the index of times cannot be read: {}", times_->status().ToString()));
}

}  // namespace millrace
