// SPDX-License-Identifier: Apache-2.0
// Tells in the log when a maintenance task becomes due, and when it is no longer: once each.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/periodic_thread.h"
#include "consumers/recorder.h"

namespace millrace {

// One task as it stands, and what the log says of it.
struct MaintenanceStanding {
  std::string machine;
  std::string task_id;
  std::string title;
  bool due = false;
  bool told_due = false;  // by the last MaintenanceDue in the log
  double hours = 0;       // of printing since it was last done
  double filament_m = 0;
  int64_t starts = 0;
  double days = 0;
};

struct MaintenanceWatchOptions {
  std::chrono::milliseconds interval{15'000};  // between two looks
};

class MaintenanceWatch {
 public:
  // How every task stands at a time.  It knows everything that was in the log when it is called, or is an error: then
  // nothing is told before the next look.
  using Look = std::function<Result<std::vector<MaintenanceStanding>>(WallTime now)>;

  // `submit` is the recorder's.  References outlive this.
  MaintenanceWatch(MaintenanceWatchOptions options, Look look, std::function<void(HubWrite)> submit, const Clock& clock,
                   Metrics& metrics);
  ~MaintenanceWatch();

  // A thread of its own looks now and after each interval.
  void start();
  void stop();  // after the look under way; before the recorder stops

  // One look: how many changes were told.  Waits for the recorder, so not on its thread.
  Result<size_t> run_once();

 private:
  const MaintenanceWatchOptions options_;
  const Look look_;
  const std::function<void(HubWrite)> submit_;
  const Clock& clock_;
  Gauge& due_;

  PeriodicThread thread_;  // ends before what it works on
};

}  // namespace millrace
