// SPDX-License-Identifier: Apache-2.0
// Saves what verifies of a damaged log into a new one and says exactly what could not be saved.  The damaged log is
// only read, and not through the store: RocksDB may refuse to open it.  docs/decisions/0017-repair-keeps-positions.md
// says why it is done so.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/ids.h"
#include "bus/producer_ledger.h"
#include "bus/result.h"

namespace millrace {

struct LostPositions {
  uint64_t from = 0;     // inclusive
  uint64_t through = 0;  // inclusive
};

struct LostNumbers {
  std::string producer;
  SequenceHole hole;
};

struct LogRepairReport {
  std::string previous_incarnation;  // empty: could not be read
  std::string incarnation;
  Position saved_through;  // the last position of a commit that was taken over
  Position last;           // of the new log, with the events that tell of the repair
  uint64_t facts = 0;      // saved
  uint64_t telemetry = 0;
  uint64_t expired = 0;              // samples that retention had removed before
  std::vector<LostPositions> lost;   // ascending
  std::vector<LostNumbers> numbers;  // of the producers, as far as later events show them
  std::vector<ProducerMark> marks;   // of the new log: producers send again what comes after these, if they have it
  bool chain_kept = false;           // roots of the old log's chain hold in the new one too
  std::vector<std::string> damage;   // files that could not be read in whole

  uint64_t lost_positions() const;
};

// `from` is the damaged log's folder, `to` one that does not exist; after an error it does not exist either. Positions,
// times of recording and groups stay as they are; the incarnation is new.  kNotFound when there is nothing to save,
// kConflict while a hub has the log open, kInvalidArgument when `to` exists, kIncompatible when a newer program wrote
// it.
Result<LogRepairReport> repair_rocksdb_log(const std::filesystem::path& from, const std::filesystem::path& to,
                                           const Clock& clock);

}  // namespace millrace
