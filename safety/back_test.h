// SPDX-License-Identifier: Apache-2.0
// How often a rule would have raised an alarm over what the log holds, and what came after: the same monitor that
// watches the machine live, fed with the machine's events of then.
//
// One thread, which it keeps busy until a bound is reached.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "safety/machine_monitor.h"

namespace millrace {

struct BackTestOptions {
  MonitorRule rule{};
  RuleSettings::Setting setting;
  std::map<std::string, schema::LimitSetT> machines;  // and their limits where the log tells of no others
  WallTime from{};                                    // recorded at or after
  WallTime to{};                                      // recorded before
  std::chrono::microseconds horizon{3'600'000'000};   // a failure so long after a hit was foreseen by it
  size_t max_events = 3'000'000;                      // looked at
  std::chrono::microseconds max_time{5'000'000};
  size_t max_hits = 1000;  // given out; all are counted
};

struct BackTestHit {
  std::string machine;
  std::string subject;
  WallTime raised_at{};
  std::optional<WallTime> cleared_at;  // nullopt: it stood at the end
  std::string text;
  std::optional<double> value;
  std::string job_id;
  std::optional<WallTime> failure_at;  // the first one within the horizon
  std::string failure;                 // "failed", "shutdown"
  uint64_t position = 0;               // of the event that raised it
};

struct BackTestResult {
  std::vector<BackTestHit> hits;  // in the order of the log, the first ones
  uint64_t hit_count = 0;
  uint64_t before_failure = 0;                    // of the hits
  uint64_t failures = 0;                          // prints that failed and shutdowns of Klipper
  uint64_t foreseen = 0;                          // of these
  std::optional<std::chrono::microseconds> lead;  // median time from a hit to its failure
  uint64_t events = 0;                            // looked at
  WallTime through{};                             // recorded time of the last one
  std::string stopped;                            // "events" or "time" where a bound ended it early; else empty
};

// Errors of the log.  Telemetry that is no longer kept cannot be looked at.
Result<BackTestResult> back_test(const EventLog& log, const Clock& clock, const BackTestOptions& options);

}  // namespace millrace
