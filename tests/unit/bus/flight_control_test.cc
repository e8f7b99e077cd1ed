// SPDX-License-Identifier: Apache-2.0
#include "bus/flight_control.h"

#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

class FlightControlTest : public ::testing::Test {
 protected:
  ManualClock clock_;
  FlightControl flight_{100, clock_};
};

TEST_F(FlightControlTest, RefusesWhatFindsNoRoomAndTellsOnceOfRoom) {
  const auto first = flight_.take_off(60);
  const auto second = flight_.take_off(40);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(flight_.take_off(1));
  EXPECT_TRUE(flight_.land(*first));
  EXPECT_FALSE(flight_.land(*second)) << "told already";
  EXPECT_TRUE(flight_.take_off(100));
}

TEST_F(FlightControlTest, OneMessageAlwaysGoes) {
  const auto large = flight_.take_off(1'000);
  ASSERT_TRUE(large);
  EXPECT_FALSE(flight_.take_off(1));
  EXPECT_TRUE(flight_.land(*large));
}

TEST_F(FlightControlTest, ANewConnectionBeginsEmptyAndKnowsNothingOfTheOldOne) {
  const auto old = flight_.take_off(100);
  flight_.begin();
  const auto mine = flight_.take_off(100);
  ASSERT_TRUE(mine);
  EXPECT_FALSE(flight_.take_off(1));
  EXPECT_FALSE(flight_.land(*old));
  EXPECT_FALSE(flight_.take_off(1)) << "the old one's landing gives no room";
  EXPECT_TRUE(flight_.land(*mine));
}

TEST_F(FlightControlTest, WhatIsNeverAcknowledgedIsForgottenInTheEnd) {
  const auto lost = flight_.take_off(90);
  clock_.advance(std::chrono::seconds(5));
  const auto slow = flight_.take_off(10);
  EXPECT_FALSE(flight_.take_off(1));
  EXPECT_TRUE(flight_.land(*slow));
  clock_.advance(std::chrono::seconds(9));
  EXPECT_FALSE(flight_.take_off(50)) << "something landed 9 s ago";
  clock_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(flight_.take_off(50));
  EXPECT_FALSE(flight_.land(*lost));
  EXPECT_FALSE(flight_.take_off(60));
}

}  // namespace
}  // namespace millrace
