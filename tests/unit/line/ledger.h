// SPDX-License-Identifier: Apache-2.0
// What was emitted in a simulation, held against what the log says: the judge of a run.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bus/event_log.h"

namespace millrace::testing {

class Ledger {
 public:
  // `log` outlives this.
  explicit Ledger(const EventLog& log) : log_(log) {}

  // An outbox has it, under its number.
  void stored(const Envelope& event);
  // Emitted, and not taken by the outbox.
  void not_stored(const std::string& producer, uint64_t count) { owed_[producer].not_stored += count; }
  // The disk that held it is gone: it may be in the log or not.
  void excuse(const std::string& producer, EventOrder order) { entries_.at({producer, order}).excused = true; }
  // The producer's count of what it dropped went with its disk.
  void excuse_count(const std::string& producer) { owed_[producer].excused = true; }
  // The producer forgets it, believing that the log has it.
  void forgotten(const std::string& producer, EventOrder order);

  // Reads what is new in the log.  Each event there was emitted, is there once, unchanged, in its producer's order, and
  // every hole is named exactly.
  void look();
  // And everything emitted is there or named.
  void check_complete();

  void complain(const std::string& producer, EventOrder order, const std::string& what);
  const std::vector<std::string>& complaints() const { return complaints_; }
  uint64_t recorded() const { return read_.value; }
  uint64_t named() const { return named_; }
  uint64_t told() const { return told_; }

 private:
  struct Entry {
    uint32_t checksum = 0;
    uint64_t tells = 0;  // so many events were dropped
    bool recorded = false;
    bool named = false;  // in an EventsDropped of the hub
    bool excused = false;
  };
  struct Owed {  // by one producer
    uint64_t not_stored = 0;
    uint64_t told = 0;  // in its own EventsDropped
    bool excused = false;
  };
  using Id = std::pair<std::string, EventOrder>;

  void see(const RecordedEvent& event);
  void see_hole(const schema::EventsDropped& dropped);
  void check_follows(const std::string& producer, EventOrder order);

  const EventLog& log_;
  Position read_;
  std::map<Id, Entry> entries_;
  std::map<std::string, Owed> owed_;
  std::map<std::string, EventOrder> last_;
  std::vector<std::string> complaints_;
  uint64_t named_ = 0;
  uint64_t told_ = 0;
};

}  // namespace millrace::testing
