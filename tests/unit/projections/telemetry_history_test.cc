// SPDX-License-Identifier: Apache-2.0
#include "projections/telemetry_history.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <random>

#include "bus/sensor_names.h"
#include "consumers/telemetry_summary.h"
#include "projections/digest.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"

namespace millrace {
namespace {

using namespace testing;

constexpr int64_t kNoonMinute = kNoonUs / 60'000'000;
const std::string kPrinter = "voron-2";

class TelemetryHistoryTest : public ::testing::Test {
 protected:
  template <class PayloadT>
  void say(double seconds, PayloadT payload, const std::string& producer = kPrinter) {
    const EventDraft draft = draft_of(std::move(payload), kPrinter, at(seconds));
    const uint64_t position = events_.size() + 1;
    events_.push_back({Position{position}, at(seconds), event({producer, 1, position}, draft)});
  }
  void sample(double seconds, double value, const std::string& object = "extruder", bool full = false) {
    say(seconds, sampled({{object, "temperature", value}}, full));
  }
  void sensor(double seconds, double value) {
    say(seconds, sampled({{"sensor shelf", "humidity", value}}), std::string(kSensorsProducer));
  }
  // The machine is heard and nothing else changes.
  void heard(int from_minute, int to_minute) {
    for (int minute = from_minute; minute < to_minute; ++minute) {
      say(60 * minute + 1, sampled({{"host", "cpu_usage", 0.5 * minute}}));
    }
  }
  static WallTime at(double seconds) { return noon(static_cast<int64_t>(seconds * kSecond)); }

  void fold() { fold_each(events_.size()); }
  void fold_each(size_t group) {
    const auto projection = make_telemetry_history();
    for (size_t first = 0; first < events_.size(); first += group) {
      const std::span<const RecordedEvent> events = std::span(events_).subspan(first);
      const auto folded = fold_group(*projection, *store_->reader(), events.first(std::min(group, events.size())));
      ASSERT_TRUE(folded.has_value()) << folded.error().message();
      ASSERT_TRUE(store_->commit(folded->writes).has_value());
    }
  }

  SignalColumns read(int from_minute, size_t buckets, int64_t step = 1, const std::string& object = "extruder",
                     const std::string& field = "temperature") const {
    const auto reader = store_->reader();
    auto opened = TelemetryReader::open(*reader, kPrinter, {kNoonMinute + from_minute, step, buckets});
    return opened->read(object, field).value();
  }
  // "20 30 -": whole means, and where nothing is known.
  static std::string shown(const std::vector<double>& values) {
    std::string text;
    for (const double value : values) {
      text += text.empty() ? "" : " ";
      text += std::isnan(value) ? "-" : fmt::format("{:.6g}", value);
    }
    return text;
  }
  std::string means(int from_minute, size_t buckets, int64_t step = 1, const std::string& object = "extruder") const {
    return shown(read(from_minute, buckets, step, object).mean);
  }

  std::vector<RecordedEvent> events_;
  std::unique_ptr<ViewStore> store_ = make_memory_view_store(view_names());
};

TEST_F(TelemetryHistoryTest, AMinutesMeanIsWeightedByTime) {
  sample(0, 20);
  sample(45, 60);  // 45 s at 20, 15 s at 60
  sample(60, 60);
  fold();
  const SignalColumns columns = read(0, 1);
  EXPECT_EQ(shown(columns.minimum), "20");
  EXPECT_EQ(shown(columns.mean), "30");
  EXPECT_EQ(shown(columns.maximum), "60");
}

TEST_F(TelemetryHistoryTest, WhatHeldWhenAMinuteBeganCounts) {
  sample(0, 20);
  sample(90, 40);  // the second minute: 30 s at 20, 30 s at 40
  sample(120, 40);
  fold();
  EXPECT_EQ(means(0, 2), "20 30");
  EXPECT_EQ(shown(read(0, 2).minimum), "20 20");
}

TEST_F(TelemetryHistoryTest, AValueHoldsWhileTheMachineIsHeard) {
  sample(0, 60, "heater_bed");
  heard(1, 4);
  fold();
  EXPECT_EQ(means(0, 5, 1, "heater_bed"), "60 60 60 60 -");
}

TEST_F(TelemetryHistoryTest, NothingHoldsOverALostLink) {
  sample(0, 60);
  heard(0, 2);
  say(150, disconnected("closed"));
  say(290, connected());
  heard(5, 7);
  sample(420, 80, "extruder", true);
  fold();
  EXPECT_EQ(means(0, 8), "60 60 - - - - - 80");
}

TEST_F(TelemetryHistoryTest, AMinuteEndsWhereTheLinkWasLost) {
  sample(0, 10);
  sample(20, 40);
  say(30, disconnected("closed"));
  sample(120, 40);
  fold();
  EXPECT_EQ(means(0, 2), "20 -");
}

TEST_F(TelemetryHistoryTest, KlippersAbsenceEndsAllButTheHostsOwnValues) {
  sample(0, 60);
  say(0, sampled({{"host", "memory_total", 8}}));
  say(70, state_changed(schema::MachineState::offline, "disconnected"));
  heard(1, 4);
  fold();
  // The bed was at 60 for the first 10 s of the second minute.
  EXPECT_EQ(means(0, 4), "60 60 - -");
  EXPECT_EQ(shown(read(0, 4, 1, "host", "memory_total").mean), "8 8 8 8");
}

TEST_F(TelemetryHistoryTest, AfterAKillWithoutALossNothingHoldsUpToTheNewConnection) {
  sample(0, 60);
  say(60, sampled({{"host", "cpu_usage", 1}}));
  say(600, connected());
  heard(10, 12);
  fold();
  EXPECT_EQ(means(0, 12), "60 60 - - - - - - - - - -");
}

TEST_F(TelemetryHistoryTest, AFullSampleEndsWhatItDoesNotName) {
  sample(0, 60);
  heard(1, 2);
  sample(120, 25, "heater_bed", true);
  heard(3, 4);
  fold();
  EXPECT_EQ(means(0, 4), "60 60 - -");
}

TEST_F(TelemetryHistoryTest, ASensorIsNotSeenThroughItsMachine) {
  sensor(0, 40);
  sensor(60, 42);
  say(70, disconnected("closed"));
  sensor(240, 50);
  fold();
  // One more minute than it was told; then silence; then it is back.
  EXPECT_EQ(shown(read(0, 5, 1, "sensor shelf", "humidity").mean), "40 42 42 - 50");
}

TEST_F(TelemetryHistoryTest, CoarserBucketsAreWeightedByWhatTheyCover) {
  sample(0, 10);
  heard(1, 3);
  sample(180, 40);
  say(240, disconnected("closed"));
  fold();
  const SignalColumns columns = read(-5, 3, 5);
  EXPECT_EQ(shown(columns.minimum), "- 10 -");
  EXPECT_EQ(shown(columns.mean), "- 17.5 -");  // 3 minutes at 10, one at 40
  EXPECT_EQ(shown(columns.maximum), "- 40 -");
}

TEST_F(TelemetryHistoryTest, ARangeBeginsWithWhatHeldBeforeIt) {
  sample(0, 60);
  heard(0, 200);
  fold();
  EXPECT_EQ(means(180, 3, 10), "60 60 -");
}

TEST_F(TelemetryHistoryTest, NothingHoldsLongerThanAnAdapterStaysSilentAboutIt) {
  sample(0, 60);
  heard(0, 500);
  fold();
  EXPECT_EQ(means(418, 4), "60 60 60 -");
}

TEST_F(TelemetryHistoryTest, NonsenseIsLeftOut) {
  sample(0, std::nan(""));
  sample(0, 1e300);
  say(0,
      sampled({{"", "temperature", 1}, {std::string(500, 'x'), "temperature", 1}, {std::string("a\0b", 3), "x", 1}}));
  fold();
  EXPECT_TRUE(list_signals(*store_->reader(), kPrinter)->empty());
}

TEST_F(TelemetryHistoryTest, SignalsAreListedWithTheirLastValues) {
  sample(0, 20);
  say(30, sampled({{"fan", "speed", 0.4}, {"extruder", "target", 210}}));
  sample(70, 25);
  sensor(90, 44);
  fold();
  const auto signals = list_signals(*store_->reader(), kPrinter).value();
  ASSERT_EQ(signals.size(), 4u);
  EXPECT_EQ(signals[0].field + signals[1].field + signals[2].object + signals[3].object,
            "targettemperaturefansensor shelf");
  EXPECT_EQ(signals[1].last, 25);
  EXPECT_EQ(signals[1].last_minute, kNoonMinute + 1);
  EXPECT_EQ(signals[2].last, 0.4);
  EXPECT_TRUE(list_signals(*store_->reader(), "voron")->empty());
}

TEST_F(TelemetryHistoryTest, AClockThatGoesBackLosesNothing) {
  sample(600, 30);
  sample(0, 20);
  sample(660, 40);
  fold();
  EXPECT_EQ(shown(read(0, 1).mean) + " " + shown(read(10, 2).mean), "20 30 40");
}

// Random events of every kind that the view knows, in about 90 minutes.
void random_events(std::mt19937_64& random, const std::function<void(double, int, double)>& say) {
  double seconds = 0;
  for (int i = 0; i < 400; ++i) {
    seconds += static_cast<double>(random() % 30'000) / 1000;
    if (random() % 40 == 0) seconds -= 100;
    say(seconds, static_cast<int>(random() % 24), static_cast<double>(random() % 1000) / 7);
  }
}

class TelemetryGroupingTest : public TelemetryHistoryTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  void happen(double seconds, int what, double value) {
    if (what == 0) return say(seconds, disconnected("closed"));
    if (what == 1) return say(seconds, connected());
    if (what == 2) return say(seconds, state_changed(schema::MachineState::offline, "disconnected"));
    if (what == 3) return sensor(seconds, value);
    if (what == 4) return sample(seconds, value, "heater_bed", true);
    say(seconds, sampled({{"extruder", "temperature", value}, {"fan", "speed", what / 24.0}}));
  }
  void happen_at_random() {
    std::mt19937_64 random(GetParam());
    random_events(random, [this](double seconds, int what, double value) { happen(seconds, what, value); });
  }
  std::string digest_of_groups(const std::vector<size_t>& ends) {
    store_ = make_memory_view_store(view_names());
    const auto projection = make_telemetry_history();
    size_t first = 0;
    for (const size_t end : ends) {
      const auto group = fold_group(*projection, *store_->reader(), std::span(events_).subspan(first, end - first));
      EXPECT_TRUE(store_->commit(group->writes).has_value());
      first = end;
    }
    return view_digest(*store_->reader(), kTelemetryHistoryView).value();
  }
};

TEST_P(TelemetryGroupingTest, AnyGroupingGivesTheSameBytes) {
  happen_at_random();
  std::mt19937_64 random(GetParam() + 1000);
  const std::string whole = digest_of_groups({events_.size()});
  for (int round = 0; round < 4; ++round) {
    std::vector<size_t> ends;
    for (size_t end = 0; end < events_.size();) ends.push_back(end = std::min(end + 1 + random() % 60, events_.size()));
    EXPECT_EQ(digest_of_groups(ends), whole) << "seed " << GetParam();
  }
}

// What retention does to samples up to `end`: summaries take their place in the log, and the view must be what a replay
// of that log gives.
TEST_P(TelemetryGroupingTest, ExpiryIsAReplayOfWhatIsLeft) {
  happen_at_random();
  const size_t end = events_.size() / 2;
  TelemetrySummary summary;
  for (size_t i = 0; i < end; ++i) summary.add(events_[i]);
  for (EventDraft& draft : summary.take()) {
    const uint64_t position = events_.size() + 1;
    events_.push_back({Position{position}, noon(), event({"hub", 1, position}, std::move(draft))});
  }
  const std::string live = digest_of_groups({events_.size()});
  std::vector<RecordedEvent> left;
  for (size_t i = 0; i < events_.size(); ++i) {
    if (i >= end || events_[i].envelope.family() == Family::kFact) left.push_back(events_[i]);
  }
  events_.swap(left);
  EXPECT_EQ(digest_of_groups({events_.size()}), live) << "seed " << GetParam();
}

TEST_F(TelemetryHistoryTest, SummariesTellWhatSamplesTold) {
  for (int second = 3; second < 1800; second += 7) {
    if (second > 600 && second < 750) continue;
    sample(second, 200 + second % 11, "extruder", second >= 750 && second < 757);
    if (second > 590 && second <= 600) say(second + 1, disconnected("closed"));
  }
  heard(30, 31);
  fold();
  const SignalColumns before = read(0, 30);
  TelemetrySummary summary;
  for (const RecordedEvent& event : events_) summary.add(event);
  events_.clear();
  for (EventDraft& draft : summary.take()) {
    events_.push_back({Position{events_.size() + 1}, noon(), event({"hub", 1, events_.size() + 1}, std::move(draft))});
  }
  fold();
  const SignalColumns after = read(0, 30);
  for (size_t i = 0; i < before.mean.size(); ++i) {
    ASSERT_EQ(std::isnan(before.mean[i]), std::isnan(after.mean[i])) << i;
    if (std::isnan(before.mean[i])) continue;
    EXPECT_NEAR(before.mean[i], after.mean[i], 0.001) << i;
    EXPECT_EQ(before.minimum[i], after.minimum[i]) << i;
    EXPECT_EQ(before.maximum[i], after.maximum[i]) << i;
  }
  EXPECT_TRUE(std::isnan(before.mean[11]));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TelemetryGroupingTest, ::testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace millrace
