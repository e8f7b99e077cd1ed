// SPDX-License-Identifier: Apache-2.0
// Reading of the log's column families, shared by the hub's open log and a read-only one beside it.  Thread-safe.
#pragma once

#include <rocksdb/db.h>

#include <array>
#include <string_view>

#include "bus/event_log.h"

namespace millrace {

// The column families in the order in which they are opened.
enum class LogFamily { kMeta, kFacts, kTelemetry, kMachines, kTimes, kProducers, kChain };
inline constexpr std::array<std::string_view, 7> kLogFamilyNames = {"default", "facts",     "telemetry", "machines",
                                                                    "times",   "producers", "chain"};

using LogFamilyHandles = std::array<rocksdb::ColumnFamilyHandle*, kLogFamilyNames.size()>;

// Key of the machine index: the id, a zero byte, the group's first position; the value says which families have it.
std::string machine_key(std::string_view machine, uint64_t group_first);

class RocksdbLogReader {
 public:
  // `db` and the handles outlive the reader.
  RocksdbLogReader(rocksdb::DB& db, const LogFamilyHandles& families) : db_(db), families_(families) {}

  // `last` bounds what is seen.
  Result<ReadResult> read(Position after, Position last, const ReadLimit& limit, const EventFilter& filter) const;
  Result<RecordedEvent> at(Position position, Position last) const;
  Result<Position> first_at(WallTime time, Position last) const;

 private:
  rocksdb::ColumnFamilyHandle* family(LogFamily family) const { return families_[static_cast<size_t>(family)]; }

  rocksdb::DB& db_;
  LogFamilyHandles families_;
};

}  // namespace millrace
