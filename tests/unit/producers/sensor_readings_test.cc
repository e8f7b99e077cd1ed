// SPDX-License-Identifier: Apache-2.0
#include "producers/sensors/sensor_readings.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kTopic = "tele/shelf/SENSOR";

class SensorReadingsTest : public ::testing::Test {
 protected:
  SensorReadings& readings(std::vector<SensorEntry> entries = {humidity()}) {
    return readings_.emplace(std::move(entries), clock_, *metrics_);
  }
  static SensorEntry humidity() {
    return {std::string(kTopic), "AM2301.Humidity", "voron-2", "sensor shelf", "humidity", 600s};
  }
  static std::string said(double value) { return fmt::format(R"({{"AM2301":{{"Humidity":{}}}}})", value); }
  // "voron-2 sensor shelf.humidity=41.5; ..."
  std::string taken() {
    std::string text;
    for (const EventDraft& event : readings_->take()) {
      for (const auto& signal : event.payload.AsTelemetrySampled()->signals) {
        text += fmt::format("{}{} {}.{}={}", text.empty() ? "" : "; ", event.machine, signal->object, signal->field,
                            signal->value);
      }
    }
    return text;
  }
  double refused(const std::string& reason) {
    return metrics_->counter("millrace_sensor_refused_total", "", {{"reason", reason}}).value();
  }

  ::millrace::testing::ManualClock clock_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::optional<SensorReadings> readings_;
};

TEST_F(SensorReadingsTest, ANumberInJsonBecomesASampleOfItsMachine) {
  readings().on_message(kTopic, said(41.5), false);
  EXPECT_EQ(readings_->next_deadline(), clock_.monotonic());
  EXPECT_EQ(taken(), "voron-2 sensor shelf.humidity=41.5");
  EXPECT_EQ(taken(), "");
}

TEST_F(SensorReadingsTest, ChangesAreToldAtMostOnceASecond) {
  readings().on_message(kTopic, said(41), false);
  (void)taken();
  for (int i = 0; i < 5; ++i) {
    clock_.advance(100ms);
    readings_->on_message(kTopic, said(42 + i), false);
    EXPECT_EQ(taken(), "");
  }
  clock_.advance(500ms);
  EXPECT_EQ(readings_->next_deadline(), clock_.monotonic());
  EXPECT_EQ(taken(), "voron-2 sensor shelf.humidity=46");
}

TEST_F(SensorReadingsTest, AFreshValueIsToldAgainAndAnOldOneIsNot) {
  readings().on_message(kTopic, said(41), false);
  int told = 0;
  for (; readings_->next_deadline() && told < 100; ++told) {
    clock_.advance(*readings_->next_deadline() - clock_.monotonic());
    EXPECT_EQ(taken(), "voron-2 sensor shelf.humidity=41");
  }
  EXPECT_EQ(told, 12);  // at once, and every 50 s for 10 minutes
  clock_.advance(600s);
  EXPECT_EQ(taken(), "");
  readings_->on_message(kTopic, said(41), false);
  EXPECT_EQ(taken(), "voron-2 sensor shelf.humidity=41");
}

TEST_F(SensorReadingsTest, OneMessageMayHoldNumbersOfSeveralMachines) {
  SensorEntry other = humidity();
  other.machine = "ender-3";
  other.json_path = "values.1";
  readings({humidity(), other}).on_message(kTopic, R"({"AM2301":{"Humidity":40},"values":[1,2]})", false);
  EXPECT_EQ(taken(), "ender-3 sensor shelf.humidity=2; voron-2 sensor shelf.humidity=40");
}

TEST_F(SensorReadingsTest, ThePayloadItselfMayBeTheNumber) {
  SensorEntry entry = humidity();
  entry.json_path.clear();
  readings({entry}).on_message(kTopic, " -1.5e1\n", false);
  EXPECT_EQ(taken(), "voron-2 sensor shelf.humidity=-15");
}

TEST_F(SensorReadingsTest, ANumberMayStandInQuotes) {
  readings().on_message(kTopic, R"({"AM2301":{"Humidity":" 41.5 "}})", false);
  EXPECT_EQ(taken(), "voron-2 sensor shelf.humidity=41.5");
}

TEST_F(SensorReadingsTest, WhatHoldsNoNumberIsRefusedAndCounted) {
  SensorEntry plain = humidity();
  plain.json_path.clear();
  readings({plain});
  for (const std::string_view payload : {"", "warm", "21,5", "21.5 C", "nan", "inf", "1e999", "0x10", "{}"}) {
    readings_->on_message(kTopic, payload, false);
  }
  EXPECT_EQ(refused("no_number"), 9);
  readings();
  for (const std::string_view payload :
       {R"({"AM2301":{}})", R"({"AM2301":{"Humidity":"41 %"}})", R"({"AM2301":{"Humidity":null}})", R"([])", "41",
        R"({"AM2301":{"Humidity":NaN}})", R"({"AM2301":{"Humidity":[41]}})", "{"}) {
    readings_->on_message(kTopic, payload, false);
  }
  EXPECT_EQ(refused("no_number"), 17);
  EXPECT_EQ(taken(), "");
}

TEST_F(SensorReadingsTest, RetainedAndHugeMessagesAreRefused) {
  readings().on_message(kTopic, said(41), true);
  EXPECT_EQ(refused("retained"), 1);
  readings_->on_message(kTopic, said(41) + std::string(SensorReadings::kMaxPayload, ' '), false);
  EXPECT_EQ(refused("too_large"), 1);
  readings_->on_message("another/topic", said(41), false);
  EXPECT_EQ(taken(), "");
}

}  // namespace
}  // namespace millrace
