// SPDX-License-Identifier: Apache-2.0
// What came by the broker and is looked at a moment later, when those whom it concerns first have had their time.
// Loop's thread.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <utility>

#include "bus/clock.h"
#include "net/io_loop.h"

namespace millrace {

template <class What>
class HeldBack {
 public:
  // `act` gets each in its order, `patience` after it was received; with `max` of them held, a further one at once.
  HeldBack(IoLoop& loop, const Clock& clock, Micros patience, size_t max, std::function<void(What)> act)
      : clock_(clock), patience_(patience), max_(max), act_(std::move(act)), timer_(loop) {}

  void hold(What what, MonotonicTime received) {
    if (held_.size() >= max_) return act_(std::move(what));
    held_.emplace_back(std::move(what), received + patience_);
    if (held_.size() == 1) wait();
  }
  // Those that are held are forgotten.
  void cancel() {
    timer_.cancel();
    held_.clear();
  }

 private:
  void wait() {
    timer_.start(std::max(Micros{0}, std::chrono::duration_cast<Micros>(held_.front().second - clock_.monotonic())),
                 [this] { act_on_due(); });
  }
  void act_on_due() {
    while (!held_.empty() && held_.front().second <= clock_.monotonic()) {
      What what = std::move(held_.front().first);
      held_.pop_front();
      act_(std::move(what));
    }
    if (!held_.empty()) wait();
  }

  const Clock& clock_;
  const Micros patience_;
  const size_t max_;
  const std::function<void(What)> act_;
  LoopTimer timer_;
  std::deque<std::pair<What, MonotonicTime>> held_;  // with when each is due
};

}  // namespace millrace
