// SPDX-License-Identifier: Apache-2.0
// What is told of seconds is what the view tells of minutes, made of the same samples by the same rules.
#include "projections/telemetry_samples.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bus/random.h"
#include "bus/sensor_names.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"

namespace millrace {
namespace {

constexpr int64_t kNoonMs = ::millrace::testing::kNoonUs / 1000;

class TelemetrySamplesTest : public ::testing::Test {
 protected:
  template <class PayloadT>
  void at(double second, PayloadT payload) {
    shop.now_us = ::millrace::testing::kNoonUs + static_cast<int64_t>(second * 1e6);
    shop.say(std::move(payload));
  }
  void sample(double second, const std::vector<Signal3>& signals, bool full = false) {
    at(second, sampled(signals, full));
  }
  // Seconds from noon.
  SignalColumns read(int64_t from_s, int64_t to_s, int64_t step_s, const std::string& object = "extruder",
                     const std::string& field = "temperature") {
    views = std::make_unique<Views>();
    views->fold(shop.events());
    const SampleRange range{kNoonMs + from_s * 1000, step_s * 1000, static_cast<size_t>((to_s - from_s) / step_s)};
    const SignalRef signal{object, field};
    auto columns = read_samples(*views->store->reader(), *shop.log, "voron-2", range, now_ms, {&signal, 1});
    EXPECT_TRUE(columns) << columns.error().message();
    return columns ? std::move(columns->front()) : SignalColumns{};
  }
  static std::string text_of(const std::vector<double>& values) {
    std::string text;
    for (const double value : values) text += std::isnan(value) ? "- " : fmt::format("{:.6g} ", value);
    return text;
  }

  Shop shop;
  std::unique_ptr<Views> views;
  int64_t now_ms = kNoonMs + 86'400'000;
};

TEST_F(TelemetrySamplesTest, AValueHoldsUntilTheNextOne) {
  sample(0, {{"extruder", "temperature", 200}});
  sample(3, {{"extruder", "temperature", 210}});
  sample(4, {{"fan", "speed", 1}});
  sample(61, {{"fan", "speed", 0}});
  const SignalColumns columns = read(0, 8, 2);
  EXPECT_EQ(text_of(columns.mean), "200 205 210 210 ");
  EXPECT_EQ(text_of(columns.minimum), "200 200 210 210 ");
  EXPECT_EQ(text_of(columns.maximum), "200 210 210 210 ");
}

TEST_F(TelemetrySamplesTest, WhatHeldBeforeTheRangeIsTakenFromTheMinutes) {
  sample(0, {{"extruder", "temperature", 200}});
  for (int second = 10; second < 300; second += 10) sample(second, {{"fan", "speed", second / 300.0}});
  EXPECT_EQ(text_of(read(200, 204, 1).mean), "200 200 200 200 ");
}

TEST_F(TelemetrySamplesTest, ALossOfSightIsAGap) {
  sample(0, {{"extruder", "temperature", 200}});
  at(2, disconnected("timeout"));
  at(5, connected());
  sample(6, {{"extruder", "temperature", 190}}, true);
  sample(8, {{"fan", "speed", 1}});
  EXPECT_EQ(text_of(read(0, 8, 1).mean), "200 200 - - - - 190 190 ");
}

TEST_F(TelemetrySamplesTest, AConnectionWithoutALossEndsWhatWasKnownWhenItWasLastHeard) {
  sample(0, {{"extruder", "temperature", 200}});
  sample(2, {{"fan", "speed", 1}});
  at(6, connected());
  sample(7, {{"extruder", "temperature", 190}}, true);
  sample(9, {{"fan", "speed", 1}});
  EXPECT_EQ(text_of(read(0, 8, 1).mean), "200 200 - - - - - 190 ");
}

TEST_F(TelemetrySamplesTest, AFullSampleThatDoesNotNameItEndsIt) {
  sample(0, {{"extruder", "temperature", 200}});
  sample(2, {{"fan", "speed", 1}}, true);
  sample(3, {{"fan", "speed", 0}});
  EXPECT_EQ(text_of(read(0, 4, 1).mean), "200 200 - - ");
}

TEST_F(TelemetrySamplesTest, AMinuteInWhichNothingWasHeardIsAGap) {
  sample(0, {{"extruder", "temperature", 200}});
  sample(125, {{"fan", "speed", 1}});
  sample(130, {{"fan", "speed", 0}});
  EXPECT_EQ(text_of(read(50, 130, 10).mean), "200 - - - - - - 200 ");
}

TEST_F(TelemetrySamplesTest, NothingIsKnownOfTheTimeAfterTheLastSample) {
  sample(0, {{"extruder", "temperature", 200}});
  sample(2, {{"fan", "speed", 1}});
  EXPECT_EQ(text_of(read(0, 5, 1).mean), "200 200 - - - ");
}

TEST_F(TelemetrySamplesTest, AValueThatWasReplacedAtOnceStillCounts) {
  sample(0, {{"extruder", "temperature", 200}});
  sample(1, {{"extruder", "temperature", 250}});
  sample(1, {{"extruder", "temperature", 200}});
  sample(3, {{"fan", "speed", 1}});
  const SignalColumns columns = read(0, 3, 1);
  EXPECT_EQ(text_of(columns.maximum), "200 250 200 ");
  EXPECT_NEAR(columns.mean[1], 200, 1e-3);
}

TEST_F(TelemetrySamplesTest, WhatTheAdapterToldLateIsThere) {
  sample(0, {{"extruder", "temperature", 200}});
  // Observed at second 2 and 4, recorded hours later.
  std::vector<EventDraft> late;
  for (const int second : {2, 4}) {
    late.push_back(draft_of(sampled({{"extruder", "temperature", 200.0 + second}}), "voron-2",
                            from_unix_us(::millrace::testing::kNoonUs + second * kSecond)));
  }
  shop.now_us = ::millrace::testing::kNoonUs + 3 * 3600 * kSecond;
  shop.append(std::move(late));
  sample(3 * 3600 + 1, {{"fan", "speed", 1}});
  EXPECT_EQ(text_of(read(0, 6, 2).mean), "200 202 204 ");
}

TEST_F(TelemetrySamplesTest, MoreHoursThanAreReadAreRefused) {
  const SampleRange range{kNoonMs, 1000, 6 * 3600 + 1};
  Views none;
  const auto refused = read_samples(*none.store->reader(), *shop.log, "voron-2", range, now_ms, {});
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
}

TEST_F(TelemetrySamplesTest, SamplesAreKeptSinceWhatFollowsTheRemovedOnes) {
  EXPECT_EQ(*samples_since_ms(*shop.log), 0);
  for (int second = 0; second < 10; ++second) sample(second, {{"extruder", "temperature", 200}});
  shop.expire_telemetry(Position{4});
  EXPECT_EQ(*samples_since_ms(*shop.log), kNoonMs + 4'100);
  shop.expire_telemetry(Position{11});
  EXPECT_EQ(*samples_since_ms(*shop.log), shop.now_us / 1000);
}

// Minutes made of what was read by the second are the minutes of the view, whatever happened: values that come and go,
// losses of sight, full samples.
TEST_F(TelemetrySamplesTest, SecondsComeToWhatTheViewSaysOfMinutes) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    shop = Shop();
    SeededRandom random(seed);
    at(0, connected());
    sample(0, {{"extruder", "temperature", 20}}, true);
    for (int second = 1; second < 1'800; ++second) {
      const double roll = random.unit();
      if (roll < 0.002) at(second, disconnected("timeout"));
      if (roll > 0.997) {
        at(second, disconnected("timeout"));
        at(second, connected());
        sample(second, {{"extruder", "temperature", 20 + random.unit()}}, true);
      } else if (roll < 0.4) {
        sample(second, {{roll < 0.1 ? "extruder" : "fan", "temperature", std::floor(random.unit() * 100)}});
      }
    }
    sample(1'800, {{"extruder", "temperature", 1}, {"fan", "temperature", 1}});
    const SignalColumns seconds = read(0, 1'740, 1);
    const auto reader = views->store->reader();
    const auto opened = TelemetryReader::open(*reader, "voron-2", {kNoonMs / 60'000, 1, 29});
    const auto minutes = opened->read("extruder", "temperature");
    for (size_t minute = 0; minute < 29; ++minute) {
      double sum = 0, count = 0;
      double least = std::nan(""), most = std::nan("");
      for (size_t i = minute * 60; i < (minute + 1) * 60; ++i) {
        if (std::isnan(seconds.mean[i])) continue;
        sum += seconds.mean[i];
        ++count;
        if (!(least <= seconds.minimum[i])) least = seconds.minimum[i];
        if (!(most >= seconds.maximum[i])) most = seconds.maximum[i];
      }
      if (std::isnan(minutes->mean[minute]) || count == 0) continue;
      EXPECT_NEAR(minutes->minimum[minute], least, 1e-4) << minute;
      EXPECT_NEAR(minutes->maximum[minute], most, 1e-4) << minute;
      // A second in which the machine was lost or found is known in part only.
      EXPECT_NEAR(minutes->mean[minute], sum / count, std::max(0.01, (most - least) * 0.1)) << minute;
    }
  }
}

}  // namespace
}  // namespace millrace
