// SPDX-License-Identifier: Apache-2.0
#include "bus/clock_watch.h"

#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

TEST(ClockWatch, TimeThatPassesIsNoJump) {
  ManualClock clock;
  ClockWatch watch(clock);
  for (const Micros pause : {Micros{0}, Micros{1s}, Micros{3600s}, Micros{24h}}) {
    clock.advance(pause);
    EXPECT_FALSE(watch.check());
  }
}

TEST(ClockWatch, AClockThatWasSetIsToldOnceWithBothTimes) {
  ManualClock clock;
  ClockWatch watch(clock);
  for (const Micros by : {Micros{3h}, -Micros{5h}, Micros{24h * 365}}) {
    clock.advance(1s);
    const WallTime before = clock.wall();
    clock.set_wall(before + by);
    const auto jump = watch.check();
    ASSERT_TRUE(jump);
    EXPECT_EQ(jump->by, by);
    EXPECT_EQ(jump->before, before);
    EXPECT_EQ(jump->after, before + by);
    EXPECT_FALSE(watch.check());
  }
}

TEST(ClockWatch, SlewingIsNoJump) {
  ManualClock clock;
  ClockWatch watch(clock);
  for (int second = 0; second < 1000; ++second) {
    clock.advance(1s);
    clock.set_wall(clock.wall() + 500us);
    EXPECT_FALSE(watch.check());
  }
}

TEST(ClockWatch, TheEventSaysWhoseClockAndHowFar) {
  const EventDraft draft = clock_jumped({-Micros{2s}, noon(), noon() - 2s}, "adapter", "m1");
  const Envelope envelope = event({"m1", 1, 1}, draft);
  const auto* jumped = envelope.as<schema::ClockJumped>();
  ASSERT_NE(jumped, nullptr);
  EXPECT_EQ(text(jumped->clock()), "adapter");
  EXPECT_EQ(jumped->by_us(), -2'000'000);
  EXPECT_EQ(jumped->before_us(), kNoonUs);
  EXPECT_EQ(envelope.machine(), "m1");
}

}  // namespace
}  // namespace millrace
