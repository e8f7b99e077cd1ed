// SPDX-License-Identifier: Apache-2.0
// What a log must hold: every group that it confirmed, and perhaps the one whose append failed last.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bus/event_log.h"
#include "bus/random.h"
#include "tests/support/event_fixtures.h"

namespace millrace::testing {

class Ledger {
 public:
  explicit Ledger(uint64_t seed) : random_(seed) {}

  // Appends a group of facts and telemetry of a few producers, made by chance, and notes what the log said.
  Result<Commit> append(EventLog& log);

  // "" when the log holds, in the positions 1, 2, 3, ..., what it confirmed, and of the group whose append failed
  // everything or nothing; else what is wrong.  From then on what was found counts as confirmed.
  std::string compare(const EventLog& log);

  uint64_t confirmed() const { return events_.size(); }
  uint64_t vanished() const { return vanished_; }  // groups whose append failed and that are not in the log

 private:
  struct Group {
    std::vector<Envelope> events;
    std::vector<ProducerMark> marks;
  };
  Group make_group();
  void confirm(const Group& group);

  SeededRandom random_;
  std::vector<std::string> events_;  // bytes; position p at index p - 1
  std::map<std::string, EventOrder> marks_;
  std::map<std::string, uint64_t> next_;
  std::optional<Group> unknown_;
  uint64_t vanished_ = 0;
};

// Walks the chain in the files of a closed log: "" or the first link that does not follow from what is stored.
std::string chain_breach(const std::filesystem::path& directory);

uint64_t number_from(const char* variable, uint64_t otherwise);
// RocksDB complains loudly of every fault, which is what these tests are about.
void quiet_logging();

}  // namespace millrace::testing
