// SPDX-License-Identifier: Apache-2.0
// Proves that the log has everything of every producer: follows the numbers of each and keeps every hole, with what the
// log itself says about it.  One thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/envelope.h"

namespace millrace {

// Numbers of one epoch that no event in the log has.
struct SequenceHole {
  uint64_t epoch = 0;
  uint64_t from = 0;  // inclusive
  uint64_t to = 0;    // inclusive; 0: the rest of the epoch, how long it was is not known
  Position before;    // of the event that shows it
  Position told_at;   // of the EventsDropped that names it; 0: none does
  std::string reason;
};

struct ProducerEpoch {
  uint64_t epoch = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t events = 0;    // in the log
  uint64_t rejected = 0;  // an EventRejected stands in their place
  uint64_t expired = 0;   // samples whose time was over
};

struct ProducerProof {
  std::string producer;
  std::map<std::string, uint64_t, std::less<>> machines;  // events of each
  std::vector<ProducerEpoch> epochs;
  std::vector<SequenceHole> holes;    // by epoch and number
  std::vector<std::string> disorder;  // a number that came twice, or after a later one
  uint64_t never_numbered = 0;        // events that a full outbox dropped before they had a number, as it told
  bool complete() const;              // neither holes nor disorder
  bool explained() const;             // an event tells of each hole, and there is no disorder
};

class ProducerLedger {
 public:
  // Every event, in the order of positions.
  void take(Position position, const Envelope& envelope);
  // `events` positions hold nothing any more, between the events before and after this call.
  void expired(uint64_t events) { expired_ += events; }

  // Up to where a producer's numbers go; {0, 0} when nothing of it was taken.
  EventOrder last(std::string_view producer) const;

  // Call once.  `marks` are the log's; samples that expired at a producer's end show only there.
  std::vector<ProducerProof> finish(const std::vector<ProducerMark>& marks);

 private:
  struct Line {  // one producer
    EventOrder last;
    uint64_t expired_before = 0;  // in the whole log, up to its last event
    ProducerProof proof;
  };
  struct Told {
    uint64_t epoch, from, to;  // as in EventsDropped
    Position at;
    std::string reason;
  };

  Line& line_of(std::string_view producer);
  void note_dropped(const schema::EventsDropped& dropped, Position position, std::string_view by);
  void number(Line& line, EventOrder order, Position position, bool rejected);
  void open_epoch(Line& line, EventOrder order, const schema::EpochOpened* opened, Position position);
  void missing(Line& line, uint64_t epoch, uint64_t from, uint64_t to, Position position);
  static void explain(ProducerProof& proof, const std::vector<Told>& told);
  static void add_told_ends(ProducerProof& proof, const std::vector<Told>& told);

  std::map<std::string, Line, std::less<>> lines_;
  std::map<std::string, std::vector<Told>, std::less<>> told_;
  Line* latest_ = nullptr;  // most often the same again
  uint64_t expired_ = 0;
};

}  // namespace millrace
