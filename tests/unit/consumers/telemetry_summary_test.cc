// SPDX-License-Identifier: Apache-2.0
#include "consumers/telemetry_summary.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

constexpr int64_t kSecond = 1'000'000;

struct MinuteRow {
  int minute;
  double minimum, mean, maximum, last, seconds;
  uint32_t count;
  bool operator==(const MinuteRow&) const = default;
};

void PrintTo(const MinuteRow& row, std::ostream* out) {
  *out << "{minute " << row.minute << " min " << row.minimum << " mean " << row.mean << " max " << row.maximum
       << " last " << row.last << " seconds " << row.seconds << " count " << row.count << "}";
}

class TelemetrySummaryTest : public ::testing::Test {
 protected:
  // A sample `seconds` after noon.
  void sample(double seconds, std::vector<std::pair<std::string, double>> values, bool full = false,
              const std::string& machine = "m1") {
    schema::TelemetrySampledT payload;
    payload.full = full;
    for (const auto& [object, value] : values) {
      payload.signals.push_back(std::make_unique<schema::SignalT>());
      payload.signals.back()->object = object;
      payload.signals.back()->field = "temperature";
      payload.signals.back()->value = value;
    }
    add(draft_of(std::move(payload), machine, at(seconds)));
  }
  void lose(double seconds) { add(draft_of(schema::MachineDisconnectedT{}, "m1", at(seconds))); }

  static WallTime at(double seconds) { return noon(static_cast<int64_t>(seconds * kSecond)); }
  void add(EventDraft draft) {
    ++position_;
    summary_.add({Position{position_}, noon(), event({"m1", 1, position_}, std::move(draft))});
  }

  // What take() gives, as it comes out of the log.
  std::vector<Envelope> take() {
    std::vector<Envelope> events;
    for (EventDraft& draft : summary_.take()) events.push_back(event({"hub", 1, ++hub_}, std::move(draft)));
    return events;
  }
  static std::vector<MinuteRow> rows(const std::vector<Envelope>& events, const std::string& object = "extruder") {
    std::vector<MinuteRow> found;
    for (const Envelope& envelope : events) {
      for (const auto* signal : *envelope.as<schema::TelemetrySummarised>()->signals()) {
        if (text(signal->object()) != object) continue;
        for (unsigned i = 0; i < signal->minute()->size(); ++i) {
          found.push_back({signal->minute()->Get(i), signal->minimum()->Get(i), signal->mean()->Get(i),
                           signal->maximum()->Get(i), signal->last()->Get(i), signal->seconds()->Get(i),
                           signal->count()->Get(i)});
        }
      }
    }
    return found;
  }

  TelemetrySummary summary_;
  uint64_t position_ = 0;
  uint64_t hub_ = 0;
};

using Rows = std::vector<MinuteRow>;

TEST_F(TelemetrySummaryTest, MeanIsWeightedByTime) {
  sample(0, {{"extruder", 200}});
  sample(45, {{"extruder", 240}});  // 45 s at 200, 15 s at 240
  sample(120, {{"bed", 60}});
  EXPECT_EQ(rows(take()), (Rows{{0, 200, 210, 240, 240, 60, 2}}));
}

TEST_F(TelemetrySummaryTest, RoundingDoesNotCarryTheMeanBeyondWhatWasMeasured) {
  for (int round = 0; round < 7; ++round) {
    std::vector<std::pair<std::string, double>> steady;
    for (int i = 0; i < 50; ++i) steady.emplace_back("s" + std::to_string(i), 1013.25 + i * 0.1);
    sample(0.7065479755 + round * 7.1, std::move(steady));
  }
  const auto events = take();
  for (int i = 0; i < 50; ++i) {
    for (const MinuteRow& row : rows(events, "s" + std::to_string(i))) {
      EXPECT_LE(row.minimum, row.mean);
      EXPECT_LE(row.mean, row.maximum);
    }
  }
}

TEST_F(TelemetrySummaryTest, AMinuteBeginsWithWhatHeldBefore) {
  sample(0, {{"extruder", 210}});
  sample(290, {{"extruder", 0}});  // unchanged for minutes, then off 10 s before the fifth minute ends
  sample(300, {{"bed", 60}});
  EXPECT_EQ(rows(take()), (Rows{{0, 210, 210, 210, 210, 60, 1}, {4, 0, 175, 210, 0, 60, 1}}));
}

TEST_F(TelemetrySummaryTest, NothingHoldsWhileTheMachineIsLost) {
  sample(0, {{"extruder", 100}});
  lose(10);
  sample(40, {{"extruder", 20}}, true);
  sample(70, {{"bed", 60}});
  // 10 s at 100 and 20 s at 20; the 30 s between are not told.
  const auto found = rows(take());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found[0].mean, (10 * 100 + 20 * 20) / 30.0, 1e-9);
  EXPECT_EQ(found[0].seconds, 30);
  sample(130, {{"extruder", 21}});
  EXPECT_EQ(rows(take())[0].minimum, 20) << "and what came after the loss holds on";
}

TEST_F(TelemetrySummaryTest, AMinuteThatEndedInALossDoesNotGrowAfterwards) {
  sample(0, {{"extruder", 100}});
  lose(10);
  sample(70, {{"extruder", 20}}, true);
  sample(180, {{"bed", 60}});
  EXPECT_EQ(rows(take()), (Rows{{0, 100, 100, 100, 100, 10, 1}, {1, 20, 20, 20, 20, 50, 1}}));
}

TEST_F(TelemetrySummaryTest, KlippersAbsenceEndsAllButTheHostsOwnValues) {
  sample(0, {{"extruder", 100}, {"host", 40}});
  schema::MachineStateChangedT gone;
  gone.state = schema::MachineState::offline;
  add(draft_of(std::move(gone), "m1", at(10)));
  sample(60, {{"bed", 60}});
  const auto told = take();
  EXPECT_EQ(rows(told), (Rows{{0, 100, 100, 100, 100, 10, 1}}));
  EXPECT_EQ(rows(told, "host"), (Rows{{0, 40, 40, 40, 40, 60, 1}}));
}

TEST_F(TelemetrySummaryTest, ANewConnectionWithoutALossEndsWhatWasLastSeen) {
  sample(0, {{"extruder", 100}});
  sample(20, {{"bed", 60}});
  add(draft_of(schema::MachineConnectedT{}, "m1", at(50)));
  sample(60, {{"bed", 60}});
  EXPECT_EQ(rows(take()), (Rows{{0, 100, 100, 100, 100, 20, 1}}));
}

TEST_F(TelemetrySummaryTest, ASensorHoldsForTwoMinutesWhateverBecomesOfItsMachine) {
  sample(0, {{"sensor shelf", 40}});
  lose(10);
  sample(90, {{"sensor shelf", 50}});
  sample(1230, {{"sensor shelf", 60}});
  sample(1260, {{"bed", 60}});
  EXPECT_EQ(rows(take(), "sensor shelf"),
            (Rows{{0, 40, 40, 40, 40, 60, 1}, {1, 40, 45, 50, 50, 60, 1}, {20, 60, 60, 60, 60, 30, 1}}));
}

TEST_F(TelemetrySummaryTest, AMinuteInTwoPiecesAddsUp) {
  sample(0, {{"extruder", 200}});
  sample(30, {{"extruder", 220}});
  const auto first = rows(take());
  sample(45, {{"extruder", 260}});
  sample(60, {{"bed", 60}});
  const auto second = rows(take());
  ASSERT_EQ(first.size() + second.size(), 2u);
  EXPECT_EQ(first[0].seconds + second[0].seconds, 60);
  const double mean = (first[0].mean * first[0].seconds + second[0].mean * second[0].seconds) / 60;
  EXPECT_NEAR(mean, (30 * 200 + 15 * 220 + 15 * 260) / 60.0, 1e-9);
  EXPECT_EQ(second[0].minimum, 220);
  EXPECT_EQ(first[0].count + second[0].count, 3u);
}

TEST_F(TelemetrySummaryTest, AnotherProcessGoesOnWhereOneStopped) {
  sample(0, {{"extruder", 210}});
  sample(50, {{"bed", 60}});
  const auto told = take();
  TelemetrySummary other;
  for (const Envelope& envelope : told) other.go_on_after(envelope);
  summary_ = std::move(other);
  sample(70, {{"extruder", 0}});
  sample(120, {{"bed", 61}});
  const auto found = rows(take());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].maximum, 210);
  EXPECT_EQ(found[0].minimum, 0);
}

TEST_F(TelemetrySummaryTest, WhatAnImportToldHoldsNoLonger) {
  sample(0, {{"extruder", 210}});
  const auto told = take();
  auto imported = draft_of(schema::TelemetrySummarisedT{}, "m1", at(55));
  imported.payload.AsTelemetrySummarised()->from_us = to_unix_us(at(0));
  auto signal = std::make_unique<schema::SignalMinutesT>();
  signal->object = "extruder";
  signal->field = "temperature";
  signal->minute = {0};
  signal->last = {999};
  imported.payload.AsTelemetrySummarised()->signals.push_back(std::move(signal));
  TelemetrySummary other;
  other.go_on_after(told.at(0));
  other.go_on_after(event({"hub", 1, ++hub_}, std::move(imported)));
  summary_ = std::move(other);
  sample(70, {{"extruder", 0}});
  EXPECT_EQ(rows(take()).at(0).maximum, 210);
}

TEST_F(TelemetrySummaryTest, HoursAndMachinesAreEventsOfTheirOwnWithTheirPositions) {
  sample(0, {{"extruder", 1}});
  sample(3600, {{"extruder", 2}});
  sample(3600, {{"extruder", 3}}, false, "m2");
  const auto events = take();
  ASSERT_EQ(events.size(), 3u);
  const auto* first = events[0].as<schema::TelemetrySummarised>();
  EXPECT_EQ(first->from_us(), kNoonUs);
  EXPECT_EQ(first->first_position(), 1u);
  EXPECT_EQ(first->last_position(), 2u);
  EXPECT_EQ(events[1].as<schema::TelemetrySummarised>()->from_us(), kNoonUs + 3600 * kSecond);
  EXPECT_EQ(events[2].machine(), "m2");
  EXPECT_TRUE(take().empty()) << "told once";
}

TEST_F(TelemetrySummaryTest, ManySignalsAreSplitIntoEventsThatFit) {
  for (int minute = 0; minute < 60; ++minute) {
    std::vector<std::pair<std::string, double>> values;
    for (int i = 0; i < 120; ++i) values.emplace_back("temperature_sensor number_" + std::to_string(i), minute + i);
    sample(60 * minute, std::move(values));
  }
  const auto events = take();  // building one that does not fit would throw
  EXPECT_GT(events.size(), 5u);
  size_t bytes = 0;
  for (const Envelope& envelope : events) bytes += envelope.bytes().size();
  EXPECT_GT(summary_.taken_bytes(), bytes / 2);
  EXPECT_LT(summary_.taken_bytes(), bytes * 2);
  EXPECT_EQ(rows(events, "temperature_sensor number_7").size(), 60u);
}

TEST_F(TelemetrySummaryTest, ClocksThatGoBackAndValuesThatAreNoNumbersDoNoHarm) {
  sample(100, {{"extruder", 5}});
  sample(20, {{"extruder", 7}});
  sample(110, {{"extruder", std::numeric_limits<double>::quiet_NaN()}});
  sample(115, {{"extruder", 6}});
  for (const MinuteRow& row : rows(take())) {
    EXPECT_LE(row.minimum, row.mean);
    EXPECT_LE(row.mean, row.maximum);
    EXPECT_GE(row.seconds, 0);
    EXPECT_LE(row.seconds, 60);
  }
}

}  // namespace
}  // namespace millrace
