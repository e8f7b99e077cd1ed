// SPDX-License-Identifier: Apache-2.0
// Reading of the log's column families, shared by the hub's open log and a read-only one beside it.  Thread-safe.
#pragma once

#include <rocksdb/db.h>

#include <array>
#include <string_view>

#include "bus/event_log.h"

namespace millrace {

inline constexpr uint64_t kLogFormat = 1;
inline constexpr Micros kTimeIndexInterval{1'000'000};  // a commit so long after the last one indexed is indexed too

// The column families in the order in which they are opened.
enum class LogFamily { kMeta, kFacts, kTelemetry, kMachines, kTimes, kProducers, kChain };
inline constexpr std::array<std::string_view, 7> kLogFamilyNames = {"default", "facts",     "telemetry", "machines",
                                                                    "times",   "producers", "chain"};

using LogFamilyHandles = std::array<rocksdb::ColumnFamilyHandle*, kLogFamilyNames.size()>;

inline constexpr std::string_view kLogRepairedKey = "repaired_through";  // up to here a repair may have left holes
inline constexpr std::string_view kLogRemovedKey = "telemetry_removed_through";

// For iterators over a log.  Range deletions are not looked at: with them RocksDB 7.8.3 goes from one sorted file to a
// damaged one as if that were the end, and says nothing.  Whoever reads telemetry passes over what kLogRemovedKey says.
rocksdb::ReadOptions log_scan_options();

// The value of a mark: epoch and sequence.
std::string encode_order(EventOrder order);
std::optional<EventOrder> decode_order(std::string_view value);
// A producer's latest mark has its name as key; that of an ended epoch has the name, a zero and the epoch.
std::string ended_key(const ProducerMark& mark);
bool is_ended_key(std::string_view key);
// Key of the machine index: the id, a zero byte, the group's first position; the value is the commit's event count.
std::string machine_key(std::string_view machine, uint64_t group_first);

class RocksdbLogReader {
 public:
  // `db` and the handles outlive the reader.  Telemetry up to `removed` is passed over.
  RocksdbLogReader(rocksdb::DB& db, const LogFamilyHandles& families, Position removed)
      : db_(db), families_(families), removed_(removed) {}

  // `last` bounds what is seen.
  Result<ReadResult> read(Position after, Position last, const ReadLimit& limit, const EventFilter& filter) const;
  Result<RecordedEvent> at(Position position, Position last) const;
  Result<Position> first_at(WallTime time, Position last) const;

 private:
  rocksdb::ColumnFamilyHandle* family(LogFamily family) const { return families_[static_cast<size_t>(family)]; }

  rocksdb::DB& db_;
  LogFamilyHandles families_;
  Position removed_;
};

}  // namespace millrace
