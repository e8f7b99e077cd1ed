// SPDX-License-Identifier: Apache-2.0
// Notices when a wall clock moves otherwise than time passes: it was set, or the machine slept.  One thread.
#pragma once

#include <optional>

#include "bus/clock.h"
#include "bus/events.h"

namespace millrace {

struct ClockJump {
  Micros by{};        // forward > 0
  WallTime before{};  // what the clock would have shown
  WallTime after{};   // what it shows
};

class ClockWatch {
 public:
  // A clock that is being slewed gains at most half a millisecond in a second; what is set by hand or found out from
  // the network at once is more than this.
  static constexpr Micros kTolerance{1'000'000};

  explicit ClockWatch(const Clock& clock) : clock_(clock), wall_(clock.wall()), monotonic_(clock.monotonic()) {}

  // What happened since the last call.  Call it every second or so.
  std::optional<ClockJump> check();

 private:
  const Clock& clock_;
  WallTime wall_;
  MonotonicTime monotonic_;
};

// `clock` is whose: "hub" or "adapter".
EventDraft clock_jumped(const ClockJump& jump, const std::string& clock, const std::string& machine);

}  // namespace millrace
