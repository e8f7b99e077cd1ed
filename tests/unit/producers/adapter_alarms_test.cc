// SPDX-License-Identifier: Apache-2.0
// Alarms of the adapter: in the same write as what they are made of, across restarts, and by limits and rules that the
// hub tells.
#include <gtest/gtest.h>

#include "safety/machine_monitor.h"
#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;
using Lines = std::vector<std::string>;

class AdapterAlarmsTest : public ::testing::Test {
 protected:
  Lines alarms() const {
    Lines lines;
    for (const EventDraft& event : bench.events) {
      if (const auto* raised = event.payload.AsAlarmRaised()) lines.push_back("raised " + raised->alarm_id);
      if (const auto* cleared = event.payload.AsAlarmCleared()) lines.push_back("cleared " + cleared->alarm_id);
    }
    return lines;
  }
  void shut_down(const std::string& text) {
    bench.update(R"({"webhooks":{"state":"shutdown","state_message":")" + text + R"("}})");
    bench.notify("notify_klippy_shutdown");
  }
  void klipper_is_back() {
    bench.notify("notify_klippy_disconnected");
    bench.status["webhooks"] = {{"state", R"("ready")"}, {"state_message", R"("Printer is ready")"}};
    bench.notify("notify_klippy_ready");
    bench.pass(std::chrono::seconds(2));
  }
  void heat_up(double temperature, int seconds) {
    for (int i = 0; i < seconds; ++i) {
      bench.update(fmt::format(R"({{"extruder":{{"temperature":{}}}}})", temperature + (i % 2) * 0.01), 1);
    }
  }

  AdapterBench bench;
};

TEST_F(AdapterAlarmsTest, EachCauseOfAShutdownIsItsAlarmWithKlippersWords) {
  const std::vector<std::pair<std::string, std::string>> causes = {
      {"Heater extruder not heating at expected rate", "m/heater_fault"},
      {"MCU 'mcu' shutdown: ADC out of range", "m/sensor_dead/klipper"},
      {"Lost communication with MCU 'mcu'", "m/mcu_lost"},
      {"Shutdown due to M112 command", "m/klipper_shutdown"}};
  bench.connect();
  for (const auto& [text, alarm] : causes) {
    bench.forget_events();
    shut_down(text);
    EXPECT_EQ(alarms(), Lines{"raised " + alarm});
    EXPECT_EQ(bench.all<schema::AlarmRaisedT>().at(0)->text, text);
    klipper_is_back();
    EXPECT_EQ(alarms(), (Lines{"raised " + alarm, "cleared " + alarm}));
  }
}

TEST_F(AdapterAlarmsTest, AnAlarmOutlivesTheAdapterAndIsClearedLater) {
  bench.connect();
  shut_down("Lost communication with MCU 'mcu'");
  bench.forget_events();
  bench.klippy_state = "shutdown";
  bench.restart(true);
  bench.pass(std::chrono::seconds(5));
  EXPECT_TRUE(alarms().empty()) << "it stands already";
  bench.klippy_state = "ready";
  klipper_is_back();
  EXPECT_EQ(alarms(), Lines{"cleared m/mcu_lost"});
}

TEST_F(AdapterAlarmsTest, LimitsAreAppliedOnceAndWatchedBy) {
  bench.connect();
  MachineSafety safety;
  safety.limits.extruder_temp_max = 200;
  safety.limits_version = 17;
  bench.adapter().watch_by(safety);
  bench.adapter().watch_by(safety);
  const auto applied = bench.all<schema::LimitsAppliedT>();
  ASSERT_EQ(applied.size(), 1u);
  EXPECT_EQ(applied[0]->version, 17u);
  EXPECT_EQ(applied[0]->limits->extruder_temp_max, 200);
  heat_up(206, 10);
  EXPECT_NE(std::ranges::count(alarms(), "raised m/temperature_above_limit/extruder"), 0);
  bench.forget_events();
  bench.restart(true);
  bench.adapter().watch_by(safety);
  EXPECT_TRUE(bench.all<schema::LimitsAppliedT>().empty()) << "also after a restart";
}

// Wherever one reads them, they are never above what the machine itself allows.
TEST_F(AdapterAlarmsTest, AppliedLimitsAreNarrowedByTheMachinesOwn) {
  bench.config = "{}";
  bench.settings = R"({"extruder":{"max_temp":300.0},"printer":{"max_velocity":300.0,"max_accel":6000.0}})";
  bench.connect();
  MachineSafety safety;
  safety.limits.extruder_temp_max = 320;
  safety.limits.acceleration_max = 9000;
  safety.limits.velocity_max = 200;
  safety.limits.bed_temp_max = 110;
  safety.limits_version = 17;
  bench.adapter().watch_by(safety);
  const auto applied = bench.all<schema::LimitsAppliedT>();
  ASSERT_EQ(applied.size(), 1u);
  EXPECT_EQ(applied[0]->limits->extruder_temp_max, 300);
  EXPECT_EQ(applied[0]->limits->acceleration_max, 6000);
  EXPECT_EQ(applied[0]->limits->velocity_max, 200);
  EXPECT_EQ(applied[0]->limits->bed_temp_max, 110);
}

TEST_F(AdapterAlarmsTest, NothingIsSaidOfLimitsThatNobodySet) {
  bench.connect();
  bench.adapter().watch_by({});
  EXPECT_TRUE(bench.all<schema::LimitsAppliedT>().empty());
}

TEST_F(AdapterAlarmsTest, AnActionIsHandedOnAfterItsEventIsStored) {
  bench.connect();
  MachineSafety safety;
  auto rule = default_setting(*find_monitor_rule("temperature_above_limit"));
  rule.action = schema::AlarmAction::heaters_off;
  safety.rules.push_back(rule);
  bench.adapter().watch_by(safety);
  Lines actions;
  bench.adapter().on_alarm_action = [&](const schema::AlarmRaisedT& alarm) {
    EXPECT_EQ(bench.all<schema::AlarmRaisedT>().back()->alarm_id, alarm.alarm_id);
    actions.push_back(alarm.alarm_id + " " + schema::EnumNameAlarmAction(alarm.action));
  };
  heat_up(260, 30);
  EXPECT_EQ(actions, Lines{"m/temperature_above_limit/extruder heaters_off"});
}

TEST_F(AdapterAlarmsTest, AMachineThatIsLeftHasNoAlarms) {
  bench.connect();
  shut_down("Lost communication with MCU 'mcu'");
  bench.adapter().leave(MoonrakerAdapter::Leaving::kDisabled);
  EXPECT_EQ(alarms(), (Lines{"raised m/mcu_lost", "cleared m/mcu_lost"}));
}

// What the back-test stands on: the log's events give the alarms that were raised live.
TEST_F(AdapterAlarmsTest, AReplayOfItsEventsGivesItsAlarms) {
  bench.connect();
  heat_up(258, 20);
  heat_up(30, 40);
  shut_down("MCU 'mcu' shutdown: Timer too close");
  bench.drop();
  bench.reconnect();
  klipper_is_back();
  heat_up(0, 100);
  bench.restart(true);
  bench.process_statistics();
  heat_up(40, 30);
  MachineMonitor monitor("m");
  Lines replayed;
  EventView view;
  for (const EventDraft& event : bench.events) {
    view_of(event, view);
    for (const AlarmTransition& transition : monitor.observe(view)) {
      replayed.push_back((transition.raised ? "raised " : "cleared ") + transition.alarm_id);
    }
  }
  EXPECT_EQ(replayed, alarms());
  EXPECT_GE(replayed.size(), 6u);
}

}  // namespace
}  // namespace millrace
