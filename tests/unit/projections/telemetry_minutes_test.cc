// SPDX-License-Identifier: Apache-2.0
#include "projections/telemetry_minutes.h"

#include <gtest/gtest.h>

#include <random>

#include "projections/telemetry_open_minute.h"

namespace millrace {
namespace {

MinuteBucket bucket(double minimum, double mean, double maximum, double last) {
  return {minimum, mean, maximum, last, 250, 59'750, 60, true};
}

HourOfMinutes decoded(const std::string& bytes) {
  HourOfMinutes hour;
  EXPECT_TRUE(HourOfMinutes::decode(bytes, hour));
  return hour;
}

TEST(TelemetryMinutesTest, NumbersKeepSevenDigits) {
  EXPECT_EQ(rounded_telemetry(214.9), 214.9);
  EXPECT_EQ(rounded_telemetry(214.93847261), 214.9385);
  EXPECT_EQ(rounded_telemetry(-0.0000123456789), -0.00001234568);
  EXPECT_EQ(rounded_telemetry(1'234'567'890), 1'234'568'000);
  EXPECT_EQ(rounded_telemetry(0), 0);
}

TEST(TelemetryMinutesTest, AnHourReadsBackAsItWasWritten) {
  HourOfMinutes hour;
  hour.add(0, bucket(24.1, 24.25, 24.6, 24.4));
  hour.add(59, bucket(-3.5, 0.12345, 12, 12));
  const HourOfMinutes read = decoded(hour.encode());
  EXPECT_EQ(read.size(), 2u);
  EXPECT_EQ(read.at(0), bucket(24.1, 24.25, 24.6, 24.4));
  EXPECT_EQ(read.at(59), bucket(-3.5, 0.12345, 12, 12));
}

TEST(TelemetryMinutesTest, SmallAndLargeNumbersOfOneHourStayExact) {
  HourOfMinutes hour;
  hour.add(1, bucket(1.23e-10, 1.23e-10, 1.23e-10, 1.23e-10));
  hour.add(2, bucket(9.87e14, 9.87e14, 9.87e14, 9.87e14));
  const HourOfMinutes read = decoded(hour.encode());
  EXPECT_EQ(read.at(1).mean, 1.23e-10);
  EXPECT_EQ(read.at(2).last, 9.87e14);
}

TEST(TelemetryMinutesTest, EqualMinutesHaveEqualBytesWhateverWasThereBefore) {
  HourOfMinutes grown, plain;
  grown.add(3, bucket(0.000001, 0.000001, 0.000001, 0.000001));
  grown.add(7, bucket(20, 21.123456789, 22, 21));
  grown = decoded(grown.encode());
  EXPECT_TRUE(grown.erase(3));
  EXPECT_FALSE(grown.erase(3));
  plain.add(7, bucket(20, 21.123456789, 22, 21));
  EXPECT_EQ(grown.encode(), plain.encode());
}

TEST(TelemetryMinutesTest, ANoisyTemperatureTakesAboutTenBytesAMinute) {
  HourOfMinutes hour;
  std::mt19937 random(1);
  for (size_t minute = 0; minute < 60; ++minute) {
    const double low = 214 + 0.01 * static_cast<double>(random() % 100);
    hour.add(minute, bucket(low, low + 0.0237, low + 0.05, low + 0.02));
  }
  EXPECT_LE(hour.encode().size(), 60u * 11);
}

TEST(TelemetryMinutesTest, CutOrForeignBytesAreRefused) {
  HourOfMinutes hour, read;
  hour.add(5, bucket(1, 2, 3, 2));
  const std::string bytes = hour.encode();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(HourOfMinutes::decode(std::string_view(bytes).substr(0, size), read)) << size;
    EXPECT_TRUE(read.empty());
  }
  EXPECT_FALSE(HourOfMinutes::decode(bytes + '\0', read));
  EXPECT_FALSE(HourOfMinutes::decode("\x07" + bytes.substr(1), read));
}

TEST(TelemetryMinutesTest, TwoPartsOfAMinuteAreWeightedByTheirTime) {
  const MinuteBucket whole = merged({10, 10, 10, 10, 0, 20'000, 1, false}, {40, 40, 40, 40, 20'000, 40'000, 2, true});
  EXPECT_EQ(whole, (MinuteBucket{10, 30, 40, 40, 0, 60'000, 3, true}));
}

TEST(TelemetryMinutesTest, AnOpenMinuteReadsBackExactly) {
  OpenMinute open, read;
  open.minute = 29'920'000;
  open.heard = true;
  OpenSignal& signal = open.signals[{"extruder", "temperature"}];
  signal.observe(1.0 / 3, 100);
  signal.observe(2.0 / 3, 30'100);
  ASSERT_TRUE(OpenMinute::decode(open.encode(), read));
  EXPECT_EQ(read.encode(), open.encode());
  EXPECT_DOUBLE_EQ(read.signals.begin()->second.bucket(60'100).mean, 0.5);
  EXPECT_FALSE(OpenMinute::decode(open.encode().substr(0, 20), read));
}

}  // namespace
}  // namespace millrace
