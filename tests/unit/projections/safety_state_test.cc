// SPDX-License-Identifier: Apache-2.0
#include "projections/safety_state.h"

#include "tests/unit/projections/shop.h"

namespace millrace {
namespace {

using Level = schema::AlarmLevel;
const std::string kId = "voron-2/temperature_drift/extruder";

class SafetyStateTest : public ::testing::Test {
 protected:
  template <class PayloadT>
  void say(PayloadT payload, const std::string& actor = "", const std::string& machine = "voron-2") {
    std::vector<EventDraft> drafts;
    drafts.push_back(draft_of(std::move(payload), machine, from_unix_us(shop.now_us)));
    drafts.back().actor = actor;
    shop.append(std::move(drafts));
  }
  void raise(const std::string& id = kId, Level level = Level::warning) {
    schema::AlarmRaisedT event;
    event.alarm_id = id;
    event.rule = "temperature_drift";
    event.subject = "extruder";
    event.level = level;
    event.text = "it drifts";
    event.value = 9;
    event.job_id = "voron-2.1";
    say(std::move(event));
  }
  template <class PayloadT>
  void about(PayloadT event, const std::string& actor = "") {
    event.alarm_id = kId;
    say(std::move(event), actor);
  }
  std::shared_ptr<const ViewReader> reader() {
    views = std::make_unique<Views>();
    views->fold(shop.events());
    return views->store->reader();
  }
  schema::AlarmViewT alarm() { return find_alarm(*reader(), kId).value().value(); }
  schema::SafetyViewT machine() { return find_safety(*reader(), "voron-2").value(); }

  Shop shop;
  std::unique_ptr<Views> views;
};

TEST_F(SafetyStateTest, AlarmGoesThroughItsLife) {
  raise();
  auto now = alarm();
  EXPECT_TRUE(now.active);
  EXPECT_EQ(now.count, 1u);
  EXPECT_EQ(now.text, "it drifts");
  EXPECT_EQ(standing_of(now, shop.now_us), AlarmStanding::kActive);

  schema::AlarmAcknowledgedT acknowledged;
  acknowledged.note = "on my way";
  about(acknowledged, "anna");
  now = alarm();
  EXPECT_EQ(standing_of(now, shop.now_us), AlarmStanding::kAcknowledged);
  EXPECT_EQ(now.acknowledged_by, "anna");
  EXPECT_EQ(now.note, "on my way");

  schema::AlarmShelvedT shelved;
  shelved.until_us = shop.now_us + 3600 * kSecond;
  shelved.reason = "the sensor is on order";
  about(shelved, "ben");
  now = alarm();
  EXPECT_EQ(standing_of(now, shop.now_us), AlarmStanding::kShelved);
  EXPECT_EQ(standing_of(now, shelved.until_us), AlarmStanding::kAcknowledged) << "a shelf ends by itself";

  schema::AlarmEscalatedT escalated;
  escalated.level = Level::critical;
  about(escalated);
  now = alarm();
  EXPECT_EQ(now.level, Level::critical);
  EXPECT_EQ(standing_of(now, shop.now_us), AlarmStanding::kActive) << "it has to be seen anew";

  about(schema::AlarmClearedT{});
  now = alarm();
  EXPECT_EQ(standing_of(now, shop.now_us), AlarmStanding::kCleared);
  EXPECT_NE(now.cleared_us, 0);
}

TEST_F(SafetyStateTest, RaisedAgainItIsTheSameAlarmAndNobodyHasSeenIt) {
  raise();
  about(schema::AlarmAcknowledgedT{}, "anna");
  about(schema::AlarmClearedT{});
  raise();
  const auto now = alarm();
  EXPECT_EQ(now.count, 2u);
  EXPECT_FALSE(now.acknowledged);
  EXPECT_EQ(now.cleared_us, 0);
  EXPECT_LT(now.first_us, now.raised_us);
}

TEST_F(SafetyStateTest, ToldTwiceWhileItStandsItIsOneAlarm) {
  raise();
  about(schema::AlarmAcknowledgedT{}, "anna");
  raise();
  EXPECT_EQ(alarm().count, 1u);
  EXPECT_TRUE(alarm().acknowledged);
}

TEST_F(SafetyStateTest, EventsOfAlarmsThatNobodyKnowsOrOfAnotherMachineMeanNothing) {
  about(schema::AlarmClearedT{});
  about(schema::AlarmAcknowledgedT{});
  raise("other/temperature_drift");
  raise("");
  raise(std::string("voron-2/") + std::string(300, 'x'));
  EXPECT_TRUE(list_alarms(*reader(), {}).value().alarms.empty());
}

TEST_F(SafetyStateTest, ListsFilterAndGoOnWhereThePageBeforeEnded) {
  for (const char* subject : {"a", "b", "c", "d"}) {
    raise(std::string("voron-2/temperature_drift/") + subject, *subject < 'c' ? Level::warning : Level::critical);
  }
  AlarmQuery query;
  query.now_us = shop.now_us;
  query.limit = 3;
  const auto page = list_alarms(*reader(), query).value();
  EXPECT_EQ(page.alarms.size(), 3u);
  query.after = page.next;
  EXPECT_EQ(list_alarms(*reader(), query).value().alarms.at(0).id, "voron-2/temperature_drift/d");
  query = {};
  query.level = Level::critical;
  EXPECT_EQ(list_alarms(*reader(), query).value().alarms.size(), 2u);
  query.machine = "voron";
  EXPECT_TRUE(list_alarms(*reader(), query).value().alarms.empty());
}

TEST_F(SafetyStateTest, LimitsAreThoseThatPeopleSetAndThoseThatAreApplied) {
  schema::LimitsChangedT changed;
  changed.limits = std::make_unique<schema::LimitSetT>();
  changed.limits->bed_temp_max = 100;
  changed.reason = "cable";
  say(std::move(changed), "anna");
  auto now = machine();
  EXPECT_EQ(now.limits->bed_temp_max, 100);
  EXPECT_EQ(now.limits_version, 1u);
  EXPECT_EQ(now.limits_actor, "anna");
  EXPECT_NE(now.applied_version, now.limits_version);
  schema::LimitsAppliedT applied;
  applied.version = 1;
  applied.limits = std::make_unique<schema::LimitSetT>();
  applied.limits->bed_temp_max = 90;
  say(std::move(applied));
  now = machine();
  EXPECT_EQ(now.applied_version, 1u);
  EXPECT_EQ(now.applied->bed_temp_max, 90);
}

TEST_F(SafetyStateTest, EmergencyLatchesUntilItIsReset) {
  schema::EmergencyStoppedT stopped;
  stopped.reason = "smoke";
  say(stopped, "anna");
  schema::EmergencyLatchedT seen;
  seen.text = "Shutdown due to webhooks request";
  say(seen);
  EXPECT_TRUE(machine().latched);
  EXPECT_EQ(machine().latched_by, "anna");
  EXPECT_EQ(machine().latch_text, "smoke");
  say(state_changed(schema::MachineState::ready));
  EXPECT_TRUE(machine().latched) << "whatever Klipper does";
  say(schema::EmergencyResetT{}, "ben");
  EXPECT_FALSE(machine().latched);
}

TEST_F(SafetyStateTest, PlateIsClearUntilTheNextPrint) {
  EXPECT_FALSE(machine().plate_clear.has_value());
  say(schema::PlateClearedT{});
  EXPECT_EQ(machine().plate_clear, true);
  say(started("voron-2.1", kStart, "old.gcode", schema::JobSeen::history));
  EXPECT_EQ(machine().plate_clear, true) << "an old print that is told now";
  say(started("voron-2.2", kStart + 5));
  EXPECT_EQ(machine().plate_clear, false);
  say(schema::PlateClearedT{});
  say(finished("voron-2.2", schema::JobOutcome::completed, schema::JobEvidence::conclusive));
  EXPECT_EQ(machine().plate_clear, false);
}

TEST_F(SafetyStateTest, RuleOfTheMachineWinsOverThatForAllUntilItIsTakenAway) {
  const auto set = [&](double threshold, const std::string& machine, bool removed = false) {
    schema::SafetyRuleChangedT event;
    event.setting = std::make_unique<schema::SafetyRuleSetT>();
    event.setting->rule = "temperature_drift";
    event.setting->enabled = true;
    event.setting->threshold = threshold;
    event.removed = removed;
    say(std::move(event), "anna", machine);
  };
  const auto threshold = [&](const std::string& machine) {
    const auto rules = rules_for(read_rules(*reader()).value(), machine);
    return rules.empty() ? -1 : rules.at(0).threshold.value();
  };
  EXPECT_EQ(threshold("voron-2"), -1);
  set(5, "");
  set(3, "voron-2");
  EXPECT_EQ(threshold("voron-2"), 3);
  EXPECT_EQ(threshold("ender-3"), 5);
  set(3, "voron-2", true);
  EXPECT_EQ(threshold("voron-2"), 5);
  const auto told = told_safety(machine(), read_rules(*reader()).value(), "voron-2");
  EXPECT_EQ(told.version, 3u) << "also that it was taken away is told";
  EXPECT_EQ(told.safety.rules.size(), 1u);
}

TEST_F(SafetyStateTest, CountsAlarmsRefusalsAndStops) {
  for (int i = 0; i < 3; ++i) {
    raise();
    about(schema::AlarmClearedT{});
  }
  schema::CommandRejectedT rejected;
  rejected.reasons.push_back(std::make_unique<schema::RefusalT>());
  rejected.reasons.back()->rule = "pwm_limit";
  say(std::move(rejected));
  say(schema::EmergencyStoppedT{});
  std::map<std::string, uint64_t> counts;
  for (const auto& count : read_safety_counts(*reader()).value()) counts[count.rule] = count.count;
  EXPECT_EQ(counts["temperature_drift"], 3u);
  EXPECT_EQ(counts["refused:pwm_limit"], 1u);
  EXPECT_EQ(counts["emergency_stops"], 1u);
  EXPECT_EQ(counts["events"], 5u);
  EXPECT_EQ(read_chattering(*reader(), 0).value(), std::vector<std::string>{kId});
  const auto days = read_alarm_days(*reader(), 0).value();
  ASSERT_EQ(days.size(), 1u);
  EXPECT_EQ(days[0].count, 3u);
}

TEST_F(SafetyStateTest, WhatTheHubSaysOfAMachineIsNoSignOfLife) {
  say(registered("Voron 2"));
  (void)reader();
  const int64_t heard = views->machine().last_recorded_us;
  raise();
  say(schema::LimitsChangedT{});
  (void)reader();
  EXPECT_EQ(views->machine().last_recorded_us, heard);
}

}  // namespace
}  // namespace millrace
