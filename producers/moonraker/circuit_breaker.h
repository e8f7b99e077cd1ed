// SPDX-License-Identifier: Apache-2.0
// Stops asking what does not answer: after so many failures in a row nothing is let through for a while, then single
// tries, and after so many successes everything again.  One thread.
// Source of the pattern: M. Nygard, Release It!, 2007; the numbers are those of the older system.
#pragma once

#include <algorithm>
#include <chrono>

#include "bus/clock.h"

namespace millrace {

struct CircuitBreakerOptions {
  int failures = 5;               // in a row, until it opens
  std::chrono::seconds rest{60};  // while it is open
  int successes = 3;              // until it is closed again
};

class CircuitBreaker {
 public:
  static constexpr std::chrono::seconds kLookAgain{1};

  explicit CircuitBreaker(const Clock& clock, CircuitBreakerOptions options = {}) : clock_(clock), options_(options) {}

  // False while it rests, and while a single try is under way.
  bool lets_through() const {
    if (!open_) return true;
    return clock_.monotonic() >= opened_ + options_.rest && !trying_;
  }
  // Something was let through.
  void began() { trying_ = open_; }
  void succeeded() {
    trying_ = false;
    failures_ = 0;
    if (open_ && ++successes_ >= options_.successes) open_ = false;
  }
  // What was let through ended in a way that says nothing of it.
  void undecided() { trying_ = false; }
  void failed() {
    trying_ = false;
    successes_ = 0;
    if (++failures_ < options_.failures && !open_) return;
    open_ = true;
    opened_ = clock_.monotonic();
  }
  // A new connection: what was, says nothing of it.
  void reset() {
    open_ = trying_ = false;
    failures_ = successes_ = 0;
  }
  bool open() const { return open_; }
  // When something may be let through: now, after the rest, or a little later while a single try is under way.
  MonotonicTime next_try() const {
    const MonotonicTime now = clock_.monotonic();
    if (lets_through()) return now;
    return std::max<MonotonicTime>(now + kLookAgain, opened_ + options_.rest);
  }
  std::chrono::seconds remaining() const {
    return std::chrono::ceil<std::chrono::seconds>(opened_ + options_.rest - clock_.monotonic());
  }

 private:
  const Clock& clock_;
  const CircuitBreakerOptions options_;
  bool open_ = false;
  bool trying_ = false;
  int failures_ = 0;
  int successes_ = 0;
  MonotonicTime opened_{};
};

}  // namespace millrace
