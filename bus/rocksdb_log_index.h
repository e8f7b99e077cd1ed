// SPDX-License-Identifier: Apache-2.0
// Compares the log's indexes with its events, in step with a walk over the commits.  One thread.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/clock.h"
#include "bus/ids.h"

namespace millrace {

class LogIndexWalk {
 public:
  using Report = std::function<void(Position, std::string)>;

  // All outlive this.
  LogIndexWalk(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* machines, rocksdb::ColumnFamilyHandle* times);

  void begin_commit(uint64_t first, uint64_t count);
  void take(std::string_view machine);  // of each event of the commit
  // `incomplete`: some of its events are no longer there, so the index may name more machines than were seen.
  void end_commit(bool incomplete, const Report& report);

  // `recorded_at` of the commit that begins at `first`.
  void check_time(uint64_t first, WallTime recorded_at, const Report& report);

  void finish(const Report& report);

 private:
  // The entries of one machine, each as the first position of a commit and its number of events.
  struct Entries {
    std::unique_ptr<rocksdb::Iterator> iterator;
    std::string prefix;
    uint64_t seen_in = 0;  // the commit in which it was seen last
    bool valid() const;
    uint64_t first() const;
  };
  Entries& entries_of(std::string_view machine);
  void pass_stale(Entries& entries, std::string_view machine, uint64_t first, const Report& report) const;
  void check_unseen_machines(const Report& report);

  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle* machine_family_;
  std::unique_ptr<rocksdb::Iterator> times_;
  std::map<std::string, Entries, std::less<>> machines_;
  uint64_t incomplete_through_ = 0;  // the last commit of which something is gone: up to there entries may be left over
  std::string latest_;               // the machine of the event before
  uint64_t first_ = 0;
  uint64_t count_ = 0;
  std::vector<std::pair<const std::string*, Entries*>> here_;  // machines of the commit at hand
  WallTime indexed_at_{};
};

}  // namespace millrace
