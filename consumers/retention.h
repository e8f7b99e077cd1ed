// SPDX-License-Identifier: Apache-2.0
// Removes telemetry that is older than its time.  Before it goes, minimum, mean and maximum of each minute become
// facts; both happen in one atomic write, so a process that is killed has either done a piece or not begun it.  Facts
// stay.
#pragma once

#include <functional>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "bus/metrics.h"
#include "bus/periodic_thread.h"
#include "consumers/recorder.h"
#include "consumers/telemetry_summary.h"

namespace millrace {

struct RetentionOptions {
  int telemetry_days = 30;
  std::chrono::seconds interval{3600};  // between two looks
  std::chrono::seconds piece{3600};     // of recorded time in one write, less where that would be too large
  size_t max_write_bytes = 512u << 10;  // a longer piece is halved, down to a minute
  // A clock that was set far ahead makes everything old at once.  So nothing goes before the log has lived so long at
  // the clock's present time, which leaves a day to set it right; 0: at once.
  std::chrono::hours settled{24};
};

class Retention {
 public:
  // `submit` is the recorder's.  References outlive this.
  Retention(RetentionOptions options, EventLog& log, std::function<void(HubWrite)> submit, const Clock& clock,
            Metrics& metrics);
  ~Retention();

  // A thread of its own looks now and after each interval.
  void start();
  void stop();  // after the piece under way; before the recorder stops

  // One look: how many samples went.  Waits for the recorder, so not on its thread.
  Result<uint64_t> run_once();

 private:
  struct Piece {
    Position through;
    uint64_t samples = 0;
    std::vector<EventDraft> events;
  };

  void run();
  Result<bool> clock_is_settled(WallTime now);
  Result<void> recall();
  Result<Position> end_before(WallTime time) const;
  Result<std::optional<WallTime>> first_sample(Position after, Position end) const;
  Result<Piece> summarise(Position after, Position end, WallTime begin);
  Result<void> write(Position after, Piece piece, WallTime limit);

  const RetentionOptions options_;
  EventLog& log_;
  const std::function<void(HubWrite)> submit_;
  const Clock& clock_;
  Counter& removed_;
  Gauge& through_;
  std::chrono::seconds piece_;
  TelemetrySummary summary_;
  bool recalled_ = false;
  bool told_unsettled_ = false;

  PeriodicThread thread_;  // ends before what it works on
};

}  // namespace millrace
