// SPDX-License-Identifier: Apache-2.0
#include "producers/history_row.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

TEST(ExactMicros, RoundsTheDecimalDigitsHalfAwayFromZero) {
  EXPECT_EQ(exact_micros(1795209786.0419543), 1795209786041954);
  EXPECT_EQ(exact_micros(1795209786.0419538), 1795209786041954);
  EXPECT_EQ(exact_micros(1795210825.2763646), 1795210825276365);  // half-to-even on a product would give ...364
  EXPECT_EQ(exact_micros(1795210555.8910296), 1795210555891030);
  EXPECT_EQ(exact_micros(0.0000005), 1);
  EXPECT_EQ(exact_micros(0.0000004), 0);
  EXPECT_EQ(exact_micros(0.9999999), 1'000'000);
  EXPECT_EQ(exact_micros(-0.0000005), -1);
  EXPECT_EQ(exact_micros(1000), 1'000'000'000);
  EXPECT_EQ(exact_micros(1.5), 1'500'000);
}

TEST(ExactMicros, RefusesWhatIsNoTime) {
  EXPECT_FALSE(exact_micros(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(exact_micros(std::numeric_limits<double>::infinity()));
  EXPECT_FALSE(exact_micros(1e300));
  EXPECT_FALSE(exact_micros(-1e300));
}

TEST(PlausibleAmount, IsFiniteNotNegativeAndBelowTenYears) {
  EXPECT_TRUE(is_plausible_amount(0));
  EXPECT_TRUE(is_plausible_amount(86400.0 * 365));
  EXPECT_FALSE(is_plausible_amount(-0.1));
  EXPECT_FALSE(is_plausible_amount(86400.0 * 366 * 11));
  EXPECT_FALSE(is_plausible_amount(std::numeric_limits<double>::quiet_NaN()));
}

TEST(RowStatus, OnlySomeWordsSettleAPrint) {
  for (const char* word : {"completed", "cancelled", "error", "klippy_shutdown", "klippy_disconnect", "anything"}) {
    EXPECT_TRUE(is_conclusive(word)) << word;
  }
  for (const char* word : {"in_progress", "server_exit", "interrupted"}) EXPECT_FALSE(is_conclusive(word)) << word;
}

}  // namespace
}  // namespace millrace
