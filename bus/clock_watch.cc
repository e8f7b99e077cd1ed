// SPDX-License-Identifier: Apache-2.0
#include "bus/clock_watch.h"

namespace millrace {

std::optional<ClockJump> ClockWatch::check() {
  const MonotonicTime now = clock_.monotonic();
  const WallTime shown = clock_.wall();
  const WallTime expected = wall_ + (now - monotonic_);
  wall_ = shown;
  monotonic_ = now;
  const Micros by = shown - expected;
  if (by >= -kTolerance && by <= kTolerance) return std::nullopt;
  return ClockJump{by, expected, shown};
}

EventDraft clock_jumped(const ClockJump& jump, const std::string& clock, const std::string& machine) {
  schema::ClockJumpedT jumped;
  jumped.clock = clock;
  jumped.by_us = jump.by.count();
  jumped.before_us = to_unix_us(jump.before);
  jumped.after_us = to_unix_us(jump.after);
  return draft_of(std::move(jumped), machine, jump.after);
}

}  // namespace millrace
