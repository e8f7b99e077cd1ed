// SPDX-License-Identifier: Apache-2.0
#include "bus/clock.h"

#include <gtest/gtest.h>

#include <limits>

#include "bus/random.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using testing::kNoonUs;
using testing::noon;

TEST(Rfc3339, TimeIsWrittenWithMicroseconds) {
  EXPECT_EQ(to_rfc3339(noon()), "2026-11-21T12:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(noon(1)), "2026-11-21T12:00:00.000001Z");
  EXPECT_EQ(to_rfc3339(from_unix_us(0)), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(from_unix_us(-1)), "1969-12-31T23:59:59.999999Z");
}

TEST(Rfc3339, LeapDaysAreDays) {
  EXPECT_EQ(to_rfc3339(*parse_rfc3339("2024-02-29T00:00:00Z")), "2024-02-29T00:00:00.000000Z");
  EXPECT_EQ(to_rfc3339(*parse_rfc3339("2000-02-29T23:59:59Z") + std::chrono::seconds(1)),
            "2000-03-01T00:00:00.000000Z");
  EXPECT_EQ(parse_rfc3339("2023-02-29T00:00:00Z"), std::nullopt);
  EXPECT_EQ(parse_rfc3339("1900-02-29T00:00:00Z"), std::nullopt);
}

TEST(Rfc3339, OffsetsLeadToTheSameInstant) {
  for (const char* same : {"2026-11-21T12:00:00Z", "2026-11-21T13:00:00+01:00", "2026-11-21T06:30:00-05:30",
                           "2026-11-22T01:00:00+13:00", "2026-11-21t12:00:00z", "2026-11-21T12:00:00-00:00"}) {
    EXPECT_EQ(parse_rfc3339(same), noon()) << same;
  }
}

TEST(Rfc3339, FractionsOfAnyLengthAreTaken) {
  EXPECT_EQ(parse_rfc3339("2026-11-21T12:00:00.5Z"), noon(500'000));
  EXPECT_EQ(parse_rfc3339("2026-11-21T12:00:00.123Z"), noon(123'000));
  EXPECT_EQ(parse_rfc3339("2026-11-21T12:00:00.000001+00:00"), noon(1));
  EXPECT_EQ(parse_rfc3339("2026-11-21T12:00:00.000001999Z"), noon(1));
  EXPECT_EQ(parse_rfc3339("2026-11-21T12:00:00." + std::string(500, '9') + "Z"), noon(999'999));
}

TEST(Rfc3339, LeapSecondIsTheNextMinute) {
  EXPECT_EQ(parse_rfc3339("2016-12-31T23:59:60Z"), parse_rfc3339("2017-01-01T00:00:00Z"));
}

TEST(Rfc3339, NothingElseIsTaken) {
  for (const char* bad : {"",
                          "now",
                          "2026-11-21",
                          "2026-11-21T12:00:00",
                          "2026-11-21 12:00:00Z",
                          "2026-11-21T12:00Z",
                          "2026-13-01T00:00:00Z",
                          "2026-00-01T00:00:00Z",
                          "2026-11-31T00:00:00Z",
                          "2026-11-21T24:00:00Z",
                          "2026-11-21T12:60:00Z",
                          "2026-11-21T12:00:61Z",
                          "2026-11-21T12:00:00.Z",
                          "2026-11-21T12:00:00Zx",
                          "2026-11-21T12:00:00+0100",
                          "2026-11-21T12:00:00+24:00",
                          "2026-11-21T12:00:00+01:60",
                          "-026-11-21T12:00:00Z",
                          "2026-1-21T12:00:00Z",
                          "20261121T120000Z",
                          " 2026-11-21T12:00:00Z",
                          "2026M11M21T12:00:00Z",
                          "2026-11-21T12Z00Z00Z",
                          "+2026-11-21T12:00:00Z"}) {
    EXPECT_EQ(parse_rfc3339(bad), std::nullopt) << bad;
  }
}

TEST(Rfc3339, EveryTimeReadsBack) {
  SeededRandom random(3);
  for (int i = 0; i < 1000; ++i) {
    const auto time = from_unix_us(static_cast<int64_t>(random.next() % 250'000'000'000'000'000u));
    EXPECT_EQ(parse_rfc3339(to_rfc3339(time)), time);
  }
}

TEST(Rfc3339, TimesBeyondFourDigitsOfTheYearBecomeTheNearest) {
  EXPECT_EQ(to_rfc3339(from_unix_us(std::numeric_limits<int64_t>::max())), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(to_rfc3339(from_unix_us(std::numeric_limits<int64_t>::min())), "0000-01-01T00:00:00.000000Z");
}

TEST(SystemClock, DoesNotGoBack) {
  const SystemClock clock;
  const auto before = clock.monotonic();
  EXPECT_GE(clock.monotonic(), before);
  EXPECT_GT(to_unix_us(clock.wall()), kNoonUs / 2);
}

}  // namespace
}  // namespace millrace
