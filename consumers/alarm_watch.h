// SPDX-License-Identifier: Apache-2.0
// What only the hub can tell of alarms, because it needs time to pass while nothing comes: that a machine is not seen
// although it prints, that nobody acknowledged an alarm in time, and that the time of a shelf is over.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/periodic_thread.h"
#include "consumers/recorder.h"

namespace millrace {

// An alarm that stands, as the log has it.
struct StandingAlarm {
  std::string id;
  std::string machine;
  std::string rule;
  std::string text;
  schema::AlarmLevel level{};
  bool acknowledged = false;
  bool escalated = false;
  WallTime raised_at{};
  std::optional<WallTime> shelved_until;
};

// How one of the hub's own two rules is set for a machine.
struct HubRule {
  bool enabled = true;
  schema::AlarmLevel level{};
  schema::AlarmAction action{};
  std::chrono::milliseconds hold{120'000};  // it has to last for so long
};

struct WatchedMachine {
  std::string id;
  std::string job_id;  // of the print under way; empty: there is none
  bool link_up = false;
  bool left = false;                           // its adapter ended by itself
  std::optional<WallTime> disconnected_since;  // while the link is down
  WallTime heard_at{};                         // newest event, by the hub's clock
  HubRule offline;
  HubRule nobody;
};

struct AlarmSight {
  std::vector<StandingAlarm> alarms;
  std::vector<WatchedMachine> machines;
};

struct AlarmWatchOptions {
  std::chrono::milliseconds interval{10'000};  // between two looks (decision 11)
  // So long an alarm of that level may stand without being acknowledged; none: for ever.
  std::chrono::minutes caution_waits{0};  // none
  std::chrono::minutes warning_waits{60};
  std::chrono::minutes critical_waits{10};
  std::chrono::minutes emergency_waits{2};
};

class AlarmWatch {
 public:
  // How everything stands at a time.  It knows everything that was in the log when it is called, or is an error: then
  // nothing is told before the next look.
  using Look = std::function<Result<AlarmSight>(WallTime now)>;

  // `submit` is the recorder's.  References outlive this.
  AlarmWatch(AlarmWatchOptions options, Look look, std::function<void(HubWrite)> submit, const Clock& clock,
             Metrics& metrics);
  ~AlarmWatch();

  // A thread of its own looks now and after each interval.
  void start();
  void stop();  // after the look under way; before the recorder stops

  // One look: how many events were told.  Waits for the recorder, so not on its thread.
  Result<size_t> run_once();

 private:
  void look_at_machine(const WatchedMachine& machine, const AlarmSight& sight, WallTime now,
                       std::vector<EventDraft>& events) const;
  void look_at_alarm(const StandingAlarm& alarm, WallTime now, std::vector<EventDraft>& events) const;
  std::chrono::minutes patience(schema::AlarmLevel level) const;

  const AlarmWatchOptions options_;
  const Look look_;
  const std::function<void(HubWrite)> submit_;
  const Clock& clock_;
  Gauge& standing_;
  Gauge& unacknowledged_;

  PeriodicThread thread_;  // ends before what it works on
};

}  // namespace millrace
