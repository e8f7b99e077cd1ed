// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/history_row.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

TEST(UnixMicros, AreTheNearestOfTheProductHalvesToEven) {
  EXPECT_EQ(unix_micros(1795209786.0419543), 1795209786041954);
  EXPECT_EQ(unix_micros(1795209786.0419538), 1795209786041954);
  EXPECT_EQ(unix_micros(1795210825.2763646), 1795210825276364);  // the product is ...364.5
  EXPECT_EQ(unix_micros(1795210555.8910296), 1795210555891030);  // the product is ...029.5
  EXPECT_EQ(unix_micros(0.9999999), 1'000'000);
  EXPECT_EQ(unix_micros(-1.5), -1'500'000);
  EXPECT_EQ(unix_micros(1000), 1'000'000'000);
}

TEST(UnixMicros, RefusesWhatIsNoTime) {
  EXPECT_FALSE(unix_micros(std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(unix_micros(std::numeric_limits<double>::infinity()));
  EXPECT_FALSE(unix_micros(1e300));
  EXPECT_FALSE(unix_micros(-1e300));
}

TEST(PlausibleAmount, IsFiniteNotNegativeAndBelowTenYears) {
  EXPECT_TRUE(is_plausible_amount(0));
  EXPECT_TRUE(is_plausible_amount(86400.0 * 365));
  EXPECT_FALSE(is_plausible_amount(-0.1));
  EXPECT_FALSE(is_plausible_amount(86400.0 * 366 * 11));
  EXPECT_FALSE(is_plausible_amount(std::numeric_limits<double>::quiet_NaN()));
}

TEST(HistoryRowText, AnEndBeforeTheStartIsUnknownAndTheRowIsKept) {
  testing::ManualClock clock;
  auto metrics = make_metrics();
  ProtocolErrors errors("m", clock, metrics->counter("errors", ""));
  JsonReader reader;
  const auto json = reader.parse(R"({"start_time":1790000000.5,"end_time":1789990000,"status":"completed"})");
  const auto row = read_history_row(*json, errors);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->end_us, 0);
  EXPECT_NE(row->auxiliary_json.find("1789990000"), std::string::npos);
}

TEST(RowStatus, OnlySomeWordsSettleAPrint) {
  for (const char* word : {"completed", "cancelled", "error", "klippy_shutdown", "klippy_disconnect", "anything"}) {
    EXPECT_TRUE(is_conclusive(word)) << word;
  }
  for (const char* word : {"in_progress", "server_exit", "interrupted"}) EXPECT_FALSE(is_conclusive(word)) << word;
}

}  // namespace
}  // namespace millrace
