// SPDX-License-Identifier: Apache-2.0
#include "consumers/alarm_watch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using namespace testing;
using Level = schema::AlarmLevel;

class AlarmWatchTest : public ::testing::Test {
 protected:
  AlarmWatchTest() {
    WatchedMachine machine;
    machine.id = "m";
    machine.job_id = "m.1";
    machine.link_up = true;
    machine.heard_at = clock.wall();
    machine.offline.level = machine.nobody.level = Level::critical;
    sight.machines.push_back(machine);
  }
  StandingAlarm& stands(const std::string& id, Level level) {
    StandingAlarm alarm;
    alarm.id = id;
    alarm.machine = "m";
    alarm.rule = id.substr(2);
    alarm.text = "text";
    alarm.level = level;
    alarm.raised_at = clock.wall();
    sight.alarms.push_back(alarm);
    return sight.alarms.back();
  }
  std::vector<std::string> look() {
    std::vector<std::string> lines;
    const auto submit = [&](HubWrite write) {
      for (const EventDraft& event : write.events) {
        if (const auto* raised = event.payload.AsAlarmRaised()) lines.push_back("raised " + raised->alarm_id);
        if (const auto* cleared = event.payload.AsAlarmCleared()) lines.push_back("cleared " + cleared->alarm_id);
        if (const auto* up = event.payload.AsAlarmEscalated()) {
          lines.push_back(fmt::format("escalated {} {}", up->alarm_id, EnumNameAlarmLevel(up->level)));
        }
        EXPECT_EQ(event.machine, "m");
      }
      write.done(Position{1});
    };
    AlarmWatch watch(
        {}, [&](WallTime) { return Result<AlarmSight>(sight); }, submit, clock, *metrics);
    EXPECT_EQ(watch.run_once().value(), lines.size());
    return lines;
  }
  using Lines = std::vector<std::string>;

  ManualClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  AlarmSight sight;
};

TEST_F(AlarmWatchTest, MachineThatIsOfflineWhileItPrints) {
  auto& machine = sight.machines[0];
  machine.link_up = false;
  machine.disconnected_since = clock.wall();
  clock.advance(119s);
  EXPECT_EQ(look(), Lines());
  clock.advance(1s);
  EXPECT_EQ(look(), Lines{"raised m/machine_offline_while_printing"});
  stands("m/machine_offline_while_printing", Level::critical);
  EXPECT_EQ(look(), Lines()) << "once";
  machine.link_up = true;
  machine.heard_at = clock.wall();
  EXPECT_EQ(look(), Lines{"cleared m/machine_offline_while_printing"});
}

TEST_F(AlarmWatchTest, MachineThatDoesNotPrintMayBeOfflineAndSilent) {
  auto& machine = sight.machines[0];
  machine.job_id.clear();
  machine.link_up = false;
  machine.disconnected_since = clock.wall();
  clock.advance(1h);
  EXPECT_EQ(look(), Lines());
}

TEST_F(AlarmWatchTest, NobodyWatchesAMachineWhoseAdapterIsSilentOrLeft) {
  auto& machine = sight.machines[0];
  clock.advance(130s);
  EXPECT_EQ(look(), Lines{"raised m/nobody_watching"});
  machine.link_up = false;
  machine.left = true;
  EXPECT_EQ(look(), Lines{"raised m/nobody_watching"});
  stands("m/nobody_watching", Level::critical);
  machine.heard_at = clock.wall();
  machine.link_up = true;
  EXPECT_EQ(look(), Lines{"cleared m/nobody_watching"});
}

TEST_F(AlarmWatchTest, RuleThatIsOffRaisesNothingAndClearsWhatStands) {
  sight.machines[0].nobody.enabled = false;
  clock.advance(1h);
  EXPECT_EQ(look(), Lines());
  stands("m/nobody_watching", Level::caution);
  EXPECT_EQ(look(), Lines{"cleared m/nobody_watching"});
}

TEST_F(AlarmWatchTest, WhatNobodyAcknowledgesInTimeIsEscalatedOnce) {
  sight.machines[0].job_id.clear();
  auto& alarm = stands("m/heater_fault", Level::critical);
  clock.advance(9min + 59s);
  EXPECT_EQ(look(), Lines());
  clock.advance(1s);
  EXPECT_EQ(look(), Lines{"escalated m/heater_fault emergency"});
  alarm.escalated = true;
  clock.advance(1h);
  EXPECT_EQ(look(), Lines());
  alarm.escalated = false;
  alarm.acknowledged = true;
  EXPECT_EQ(look(), Lines()) << "somebody has seen it";
}

TEST_F(AlarmWatchTest, CautionWaitsForEver) {
  sight.machines[0].job_id.clear();
  stands("m/host_load", Level::caution);
  clock.advance(240h);
  EXPECT_EQ(look(), Lines());
}

TEST_F(AlarmWatchTest, WhatStillStandsAfterItsTimeOnTheShelfIsTold) {
  sight.machines[0].job_id.clear();
  auto& alarm = stands("m/temperature_drift/extruder", Level::warning);
  alarm.acknowledged = true;
  alarm.shelved_until = clock.wall() + 1h;
  clock.advance(59min);
  EXPECT_EQ(look(), Lines());
  clock.advance(1min);
  EXPECT_EQ(look(), Lines{"escalated m/temperature_drift/extruder warning"});
}

TEST_F(AlarmWatchTest, ErrorOfTheViewsTellsNothing) {
  AlarmWatch watch(
      {}, [](WallTime) { return Result<AlarmSight>(make_error(Errc::kUnavailable, "behind")); },
      [](const HubWrite&) { ADD_FAILURE(); }, clock, *metrics);
  EXPECT_EQ(watch.run_once().error().code, Errc::kUnavailable);
}

}  // namespace
}  // namespace millrace
