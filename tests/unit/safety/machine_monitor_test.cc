// SPDX-License-Identifier: Apache-2.0
// Each rule on both sides, and what all alarms have in common.
#include "safety/machine_monitor.h"

#include <random>

#include "bus/json_reader.h"
#include "tests/unit/safety/monitored_machine.h"

namespace millrace {
namespace {

using namespace testing;
using State = schema::MachineState;

struct MachineMonitorTest : ::testing::Test {
  MonitoredMachine m;

  void heat(const std::string& heater, double target, double value, double power = 0) {
    m.sample({{heater, "target", target}, {heater, "temperature", value}, {heater, "power", power}});
  }
};

TEST_F(MachineMonitorTest, TemperatureAboveItsLimitIsAnAlarmOnceAndOverWhenItIsBelow) {
  m.hold(10, {{"extruder", "temperature", 254.9}});
  EXPECT_TRUE(m.told().empty()) << "5 K above the limit of 250 degrees are let go";
  m.hold(3, {{"extruder", "temperature", 255.2}});
  EXPECT_TRUE(m.told().empty()) << "it has to last";
  m.hold(20, {{"extruder", "temperature", 256}});
  EXPECT_EQ(m.told(), Lines{"raised m/temperature_above_limit/extruder"});
  EXPECT_EQ(m.last.level, schema::AlarmLevel::critical);
  EXPECT_EQ(m.last.text, "extruder is at 256.0 °C; its limit is 250.0 °C");
  m.hold(60, {{"extruder", "temperature", 254}});
  EXPECT_TRUE(m.told().empty()) << "just below is not over yet";
  m.hold(10, {{"extruder", "temperature", 250}});
  EXPECT_EQ(m.told(), Lines{"cleared m/temperature_above_limit/extruder"});
}

TEST_F(MachineMonitorTest, LimitsThatPeopleSetCountAndAreOfTheirKindOfHeater) {
  schema::LimitSetT limits;
  limits.extruder_temp_max = 290;
  limits.chamber_temp_max = 40;
  m.limits(limits);
  m.hold(20, {{"extruder1", "temperature", 285}, {"heater_bed", "temperature", 110}});
  EXPECT_TRUE(m.told().empty());
  m.hold(20, {{"temperature_sensor Chamber top", "temperature", 46}});
  EXPECT_EQ(m.told(), Lines{"raised m/temperature_above_limit/temperature_sensor Chamber top"});
}

TEST_F(MachineMonitorTest, HeaterThatWarmsAlthoughItIsOffRunsAway) {
  heat("extruder", 0, 30, 0);
  for (double value = 30; value < 44; value += 1) m.hold(2, {{"extruder", "temperature", value}});
  EXPECT_TRUE(m.told().empty());
  m.hold(10, {{"extruder", "temperature", 46}});
  EXPECT_EQ(m.told(), Lines{"raised m/temperature_runaway/extruder"});
}

TEST_F(MachineMonitorTest, NozzleThatTheBedWarmsAndCoolingDownAreNoRunaway) {
  heat("heater_bed", 110, 110);
  heat("extruder", 0, 30, 0);
  for (double value = 30; value < 80; value += 1) m.hold(2, {{"extruder", "temperature", value}});
  heat("heater_generic lamp", 250, 250);
  m.hold(5);
  heat("heater_generic lamp", 60, 249);
  for (double value = 249; value > 61; value -= 1) m.hold(1, {{"heater_generic lamp", "temperature", value}});
  EXPECT_TRUE(m.told().empty());
}

TEST_F(MachineMonitorTest, HeaterThatLeavesItsTargetDrifts) {
  heat("extruder", 210, 209.5);
  m.hold(25, {{"extruder", "temperature", 195}});
  m.hold(5, {{"extruder", "temperature", 209}});
  EXPECT_TRUE(m.told().empty()) << "it came back in time";
  m.hold(35, {{"extruder", "temperature", 200}});
  EXPECT_EQ(m.told(), Lines{"raised m/temperature_drift/extruder"});
  EXPECT_EQ(m.last.text, "extruder is at 200.0 °C and does not hold 210.0 °C");
}

TEST_F(MachineMonitorTest, RampIsNoDriftHoweverSlowUntilItGetsNoFurther) {
  heat("heater_bed", 110, 25, 1);
  double value = 25;
  for (; value < 80; value += 1) m.hold(40, {{"heater_bed", "temperature", value}});
  EXPECT_TRUE(m.told().empty()) << "1 K in 40 s is slow, and still a ramp";
  for (int i = 0; i < 100; ++i) m.hold(1, {{"heater_bed", "temperature", i % 2 == 0 ? 79.5 : 79.51}});
  EXPECT_EQ(m.told(), Lines{"raised m/temperature_drift/heater_bed"});
  EXPECT_EQ(m.last.text, "heater_bed is at 79.5 °C and gets no nearer to 110.0 °C");
}

TEST_F(MachineMonitorTest, CoolingDownToALowerTargetIsNoDrift) {
  heat("heater_bed", 60, 60);
  heat("heater_bed", 45, 60, 0);
  for (double value = 60; value > 46; value -= 0.1) m.hold(10, {{"heater_bed", "temperature", value}});
  EXPECT_TRUE(m.told().empty());
}

TEST_F(MachineMonitorTest, SensorThatSaysNothingBelievableIsDead) {
  m.hold(59, {{"temperature_sensor chamber", "temperature", 0}});
  EXPECT_TRUE(m.told().empty());
  m.hold(3, {{"temperature_sensor chamber", "temperature", 0}});
  EXPECT_EQ(m.told(), Lines{"raised m/sensor_dead/temperature_sensor chamber"});
  m.hold(12, {{"temperature_sensor chamber", "temperature", 19}});
  EXPECT_EQ(m.told(), Lines{"cleared m/sensor_dead/temperature_sensor chamber"}) << "a jump from 0 is slow enough";
  m.hold(70, {{"extruder", "temperature", -55}});
  EXPECT_EQ(m.told().front(), "raised m/sensor_dead/extruder");
}

TEST_F(MachineMonitorTest, HeatedSensorThatNeverChangesIsDeadAndAnIdleOneIsNot) {
  heat("heater_bed", 0, 23, 0);
  m.hold(600);
  EXPECT_TRUE(m.told().empty()) << "not heated";
  heat("extruder", 210, 210, 0.4);
  for (int i = 0; i < 60; ++i) m.hold(2, {{"extruder", "temperature", 210 + (i % 2) * 0.01}});
  EXPECT_TRUE(m.told().empty());
  m.hold(95);
  EXPECT_EQ(m.told(), Lines{"raised m/sensor_dead/extruder"});
}

TEST_F(MachineMonitorTest, JumpIsAnAlarmWhileItJumpsAndAMinuteLonger) {
  heat("extruder", 210, 210);
  m.hold(5);
  m.hold(1, {{"extruder", "temperature", 195}});
  EXPECT_TRUE(m.told().empty()) << "15 K/s";
  m.hold(1, {{"extruder", "temperature", 240}});
  EXPECT_EQ(m.told(), Lines{"raised m/sensor_jump/extruder"});
  m.hold(59, {{"extruder", "temperature", 211}});
  m.hold(3, {{"extruder", "temperature", 210}});
  EXPECT_EQ(m.told(), Lines{"cleared m/sensor_jump/extruder"});
}

TEST_F(MachineMonitorTest, FirstValueOfAConnectionIsNoJump) {
  heat("extruder", 0, 23, 0);
  m.hold(2);
  m.say(schema::MachineDisconnectedT{});
  m.now += 300;
  m.connect();
  m.sample({{"extruder", "temperature", 120}}, true);
  m.hold(5);
  EXPECT_TRUE(m.told().empty());
}

TEST_F(MachineMonitorTest, ToolOutsideTheLimitsThatPeopleSet) {
  m.hold(5, {{"motion_report", "live_position.x", 349}});
  EXPECT_TRUE(m.told().empty()) << "nobody set any";
  schema::LimitSetT limits;
  limits.x_max = 300;
  m.limits(limits);
  m.hold(5, {{"motion_report", "live_position.x", 300.9}});
  EXPECT_TRUE(m.told().empty());
  m.hold(5, {{"motion_report", "live_position.x", 301.5}});
  EXPECT_EQ(m.told(), Lines{"raised m/position_outside/x"});
  m.hold(7, {{"motion_report", "live_position.x", 299}});
  EXPECT_EQ(m.told(), Lines{"cleared m/position_outside/x"});
}

TEST_F(MachineMonitorTest, FanThatShouldTurnAndDoesNotWhileHot) {
  const std::vector<Value> stopped = {{"heater_fan hotend", "speed", 1}, {"heater_fan hotend", "rpm", 0}};
  m.hold(60, stopped);
  EXPECT_TRUE(m.told().empty()) << "cold";
  heat("extruder", 210, 210);
  m.hold(30, {{"heater_fan hotend", "rpm", 5160}});
  EXPECT_TRUE(m.told().empty());
  m.hold(12, stopped);
  EXPECT_EQ(m.told(), Lines{"raised m/fan_stopped_while_hot/heater_fan hotend"});
}

TEST_F(MachineMonitorTest, NoHotendFanOnWhileHot) {
  m.hold(5, {{"heater_fan hotend", "speed", 0}, {"heater_fan bed", "speed", 0}});
  heat("extruder", 0, 85, 0);
  m.hold(30);
  EXPECT_TRUE(m.told().empty());
  heat("extruder", 100, 85);
  m.hold(1, {{"extruder", "temperature", 95}});
  m.hold(12, {{"extruder", "temperature", 100}});
  EXPECT_EQ(m.told(), Lines{"raised m/fan_stopped_while_hot"});
  m.hold(12, {{"heater_fan hotend", "speed", 1}});
  EXPECT_EQ(m.told(), Lines{"cleared m/fan_stopped_while_hot"});
}

TEST_F(MachineMonitorTest, PrintInWhichNothingGoesOnHasStalled) {
  m.hold(2000);
  EXPECT_TRUE(m.told().empty()) << "it does not print";
  m.state(State::printing);
  for (int i = 0; i < 100; ++i) m.hold(60, {{"virtual_sdcard", "progress", i * 0.01}});
  m.hold(800);
  m.hold(1, {{"motion_report", "live_position.z", 5}});
  m.hold(880);
  EXPECT_TRUE(m.told().empty());
  m.hold(30);
  EXPECT_EQ(m.told(), Lines{"raised m/progress_stalled"});
  m.hold(1, {{"print_stats", "filament_used", 12}});
  EXPECT_EQ(m.told(), Lines{"cleared m/progress_stalled"});
}

TEST_F(MachineMonitorTest, LongRampAndAPauseAreNoStall) {
  m.state(State::printing);
  heat("heater_bed", 110, 25);
  for (double value = 25; value < 65; value += 1) m.hold(50, {{"heater_bed", "temperature", value}});
  EXPECT_TRUE(m.told().empty());
  heat("heater_bed", 65, 65);
  m.state(State::paused);
  m.hold(3000);
  EXPECT_TRUE(m.told().empty());
}

TEST_F(MachineMonitorTest, BytesSentAgainByAMicrocontroller) {
  double bytes = 9;
  const auto minutes = [&](int count, double each_second) {
    for (int i = 0; i < count * 60; ++i) m.hold(1, {{"mcu toolhead", "bytes_retransmit", bytes += each_second}});
  };
  minutes(10, 5);
  EXPECT_TRUE(m.told().empty()) << "300 in a minute";
  minutes(4, 20);
  EXPECT_EQ(m.told(), Lines{"raised m/mcu_errors/mcu toolhead"});
  bytes = 0;  // it was started anew
  minutes(5, 0.1);
  EXPECT_EQ(m.told(), Lines{"cleared m/mcu_errors/mcu toolhead"});
}

TEST_F(MachineMonitorTest, BusyMicrocontrollerAndBusyHost) {
  m.hold(60, {{"mcu", "mcu_task_avg", 0.00002}, {"mcu", "mcu_task_stddev", 0.00003}, {"host", "cpu_usage", 60}});
  EXPECT_TRUE(m.told().empty());
  m.hold(150, {{"mcu", "mcu_task_stddev", 0.001}, {"host", "cpu_usage", 99}});
  EXPECT_EQ(m.told(), (Lines{"raised m/mcu_overload/mcu", "raised m/host_load"}));
}

TEST_F(MachineMonitorTest, FullDiskOfTheHost) {
  m.hold(5, {{"host", "disk_total", 30e9}, {"host", "disk_free", 2e9}});
  EXPECT_TRUE(m.told().empty());
  m.hold(1, {{"host", "disk_free", 1e9}});
  EXPECT_EQ(m.told(), Lines{"raised m/host_disk"});
  m.hold(5, {{"host", "disk_free", 9e9}});
  EXPECT_EQ(m.told(), Lines{"cleared m/host_disk"});
}

TEST_F(MachineMonitorTest, ClockThatIsOff) {
  schema::MachineClockOffT off;
  off.active = true;
  off.skew_ms = 3'600'000;
  m.say(off);
  EXPECT_EQ(m.told(), Lines{"raised m/clock_off"});
  off.active = false;
  m.say(off);
  EXPECT_EQ(m.told(), Lines{"cleared m/clock_off"});
}

TEST_F(MachineMonitorTest, EachShutdownOfKlipperIsOneAlarmByItsCauseAndAtOnce) {
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"Heater extruder not heating at expected rate", "m/heater_fault"},
      {"MCU 'mcu' shutdown: ADC out of range", "m/sensor_dead/klipper"},
      {"Lost communication with MCU 'mcu'", "m/mcu_lost"},
      {"Shutdown due to webhooks request", "m/klipper_shutdown"},
      {"Shutdown due to M112 command", "m/klipper_shutdown"},
      {"MCU 'mcu' shutdown: Timer too close", "m/klipper_shutdown"},
      {"", "m/klipper_shutdown"}};
  for (const auto& [text, alarm] : texts) {
    m.state(State::shutdown, text);
    EXPECT_EQ(m.told(), Lines{"raised " + alarm}) << text;
    EXPECT_EQ(m.last.text, text);
    m.state(State::error, "Can not update MCU 'mcu' config as it is shutdown");
    m.state(State::starting);
    EXPECT_TRUE(m.told().empty()) << "it stands until Klipper works again";
    m.state(State::ready);
    EXPECT_EQ(m.told(), Lines{"cleared " + alarm}) << text;
    m.hold(700);  // so that it does not chatter
  }
}

// --- what all alarms have in common

TEST_F(MachineMonitorTest, AlarmBelongsToThePrintUnderWay) {
  schema::JobStartedT started;
  started.job_id = "m.1";
  started.seen = schema::JobSeen::live;
  m.say(started);
  m.state(State::shutdown, "Lost communication with MCU 'mcu'");
  EXPECT_EQ(m.last.job_id, "m.1");
}

TEST_F(MachineMonitorTest, AlarmThatKeepsComingBackIsRaisedThreeTimesInTenMinutesAndThenStands) {
  const auto come_and_go = [&] {
    m.hold(5, {{"extruder", "temperature", 257}});
    m.hold(8, {{"extruder", "temperature", 249}});
  };
  for (int i = 0; i < 20; ++i) come_and_go();
  auto lines = m.told();
  EXPECT_EQ(std::ranges::count(lines, "raised m/temperature_above_limit/extruder"), 3);
  EXPECT_EQ(lines.back(), "raised m/temperature_above_limit/extruder") << "it stands";
  EXPECT_EQ(m.monitor.held_back(), 17u);
  m.hold(603 - 21 * 13);
  EXPECT_TRUE(m.told().empty());
  m.hold(15);
  EXPECT_EQ(m.told(), Lines{"cleared m/temperature_above_limit/extruder"});
}

TEST_F(MachineMonitorTest, RuleThatIsOffRaisesNothingAndClearsWhatStood) {
  m.hold(10, {{"extruder", "temperature", 257}});
  EXPECT_EQ(m.told().size(), 1u);
  schema::SafetyRuleSetT off = default_setting(*find_monitor_rule("temperature_above_limit"));
  off.enabled = false;
  m.monitor.set_rules(RuleSettings({&off, 1}));
  m.hold(10, {{"extruder", "temperature", 257}});
  EXPECT_EQ(m.told(), Lines{"cleared m/temperature_above_limit/extruder"});
}

TEST_F(MachineMonitorTest, SettingsGiveLevelActionThresholdAndTime) {
  schema::SafetyRuleSetT set = default_setting(*find_monitor_rule("temperature_above_limit"));
  set.level = schema::AlarmLevel::emergency;
  set.action = schema::AlarmAction::heaters_off;
  set.threshold = 0;
  set.for_s = 0;
  m.monitor.set_rules(RuleSettings({&set, 1}));
  m.hold(1, {{"extruder", "temperature", 250.1}});
  ASSERT_EQ(m.told().size(), 1u);
  EXPECT_EQ(m.last.level, schema::AlarmLevel::emergency);
  EXPECT_EQ(m.last.action, schema::AlarmAction::heaters_off);
}

TEST_F(MachineMonitorTest, NothingThatWasAboutToBeAnAlarmSurvivesAnotherConnectionAndWhatStoodDoes) {
  heat("extruder", 210, 210);
  m.hold(25, {{"extruder", "temperature", 190}, {"heater_bed", "temperature", 130}});
  EXPECT_EQ(m.told(), Lines{"raised m/temperature_above_limit/heater_bed"});
  m.say(schema::MachineDisconnectedT{});
  m.now += 3600;
  m.connect();
  m.sample({{"extruder", "temperature", 190}, {"extruder", "target", 210}, {"heater_bed", "temperature", 130}}, true);
  m.hold(20);
  EXPECT_TRUE(m.told().empty());
  m.sample({{"extruder", "temperature", 191}}, true);
  EXPECT_EQ(m.told(), Lines{"cleared m/temperature_above_limit/heater_bed"}) << "the bed was taken away";
}

TEST_F(MachineMonitorTest, ClockThatIsSetMakesNoAlarm) {
  heat("extruder", 210, 210);
  m.hold(2, {{"extruder", "temperature", 195}});
  m.now += 86'400;
  m.hold(1, {{"extruder", "temperature", 196}});
  m.now -= 86'400;
  m.hold(1, {{"extruder", "temperature", 200}});
  m.hold(3, {{"extruder", "temperature", 209}});
  m.hold(31, {{"extruder", "temperature", 196}});
  EXPECT_EQ(m.told(), Lines{"raised m/temperature_drift/extruder"});
}

TEST_F(MachineMonitorTest, StateIsBoundedWhateverAMachineSays) {
  for (int i = 0; i < 500; ++i) {
    const std::string name = fmt::format("heater_generic {:060}", i);
    m.hold(1, {{name, "temperature", 0}, {name, "target", 100}, {name + "x", "temperature", -300}});
  }
  m.hold(200);
  EXPECT_LE(m.monitor.standing().size(), MachineMonitor::kMaxWatches);
  JsonWriter all, brief;
  m.monitor.encode(all);
  m.monitor.encode(brief, true);
  EXPECT_LT(all.text().size(), 32u << 10);
  EXPECT_LT(brief.text().size(), 16u << 10);
}

TEST_F(MachineMonitorTest, BrokenStateIsRefusedAndChangesNothing) {
  m.hold(10, {{"extruder", "temperature", 257}});
  JsonReader reader;
  for (const std::string text :
       {R"({})", R"({"version":1})", R"({"version":2,"now":5,"state":3,"watches":[]})",
        R"({"version":1,"now":5,"state":99,"watches":[]})", R"({"version":1,"now":5,"state":3,"watches":[["x","",1]]})",
        R"({"version":1,"now":5,"state":3,"watches":[["host_load","",1]]})",
        R"({"version":1,"now":5,"state":3,"watches":[],"fans":[["fan","a","b"]]})"}) {
    EXPECT_FALSE(m.monitor.restore(reader.parse(text).value())) << text;
  }
  EXPECT_EQ(m.monitor.standing(), Lines{"m/temperature_above_limit/extruder"});
}

// --- the same events give the same alarms

std::vector<EventDraft> some_history(uint32_t seed) {
  std::mt19937 random(seed);
  const auto chance = [&](double share) { return std::uniform_real_distribution<>(0, 1)(random) < share; };
  const auto between = [&](double a, double b) { return std::uniform_real_distribution<>(a, b)(random); };
  std::vector<EventDraft> events;
  double now = 0;
  double extruder = 20, bed = 20, target = 0, bytes = 0, rpm = 5000;
  const auto say = [&](auto payload) {
    events.push_back(draft_of(std::move(payload), "m", noon(static_cast<int64_t>(now * 1e6))));
  };
  const auto full = [&] {
    say(schema::MachineConnectedT{});
    events.push_back(sample_at(now,
                               {{"extruder", "temperature", extruder},
                                {"extruder", "target", target},
                                {"heater_bed", "temperature", bed},
                                {"heater_fan h", "speed", 1},
                                {"heater_fan h", "rpm", rpm}},
                               true));
  };
  full();
  for (int i = 0; i < 3000; ++i) {
    now += chance(0.002) ? between(-1000, 1000) : 1;
    if (chance(0.004)) target = chance(0.3) ? 0 : between(180, 255);
    if (chance(0.003)) rpm = chance(0.5) ? 0 : 5000;
    extruder += std::clamp((target - extruder) * 0.2, -4.0, 8.0) + between(-0.2, 0.2);
    if (chance(0.003)) extruder += between(-60, 60);
    bed += between(-1, 1);
    bytes += between(0, 25);
    std::vector<Value> values = {{"extruder", "temperature", extruder}, {"mcu", "bytes_retransmit", bytes}};
    if (chance(0.5)) values.push_back({"extruder", "target", target});
    if (chance(0.5)) values.push_back({"heater_fan h", "rpm", rpm});
    if (chance(0.5)) values.push_back({"heater_bed", "temperature", chance(0.02) ? 0 : bed});
    if (chance(0.3)) values.push_back({"extruder", "power", between(0, 1)});
    events.push_back(sample_at(now, values));
    if (chance(0.004)) {
      schema::MachineStateChangedT state;
      state.state = chance(0.3) ? State::shutdown : chance(0.5) ? State::printing : State::ready;
      state.text = chance(0.5) ? "Lost communication with MCU 'mcu'" : "Timer too close";
      say(std::move(state));
    }
    if (chance(0.002)) {
      say(schema::MachineDisconnectedT{});
      full();
    }
  }
  return events;
}

Lines alarms_of(MachineMonitor& monitor, const std::vector<EventDraft>& events, size_t from, size_t to) {
  Lines lines;
  EventView view;
  for (size_t i = from; i < to; ++i) {
    view_of(events[i], view);
    for (const AlarmTransition& transition : monitor.observe(view)) {
      lines.push_back(
          fmt::format("{} {} {} {}", i, line_of(transition), transition.text, transition.value.value_or(0)));
    }
  }
  return lines;
}

TEST(MachineMonitorReplay, SavedAndRestoredAnywhereItGivesTheSameAlarms) {
  size_t alarms = 0;
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    const auto events = some_history(seed);
    MachineMonitor whole("m");
    const Lines expected = alarms_of(whole, events, 0, events.size());
    alarms += expected.size();
    std::mt19937 random(seed);
    MachineMonitor part("m");
    Lines found;
    for (size_t from = 0; from < events.size();) {
      const size_t to = std::min(events.size(), from + 1 + random() % 200);
      const Lines lines = alarms_of(part, events, from, to);
      found.insert(found.end(), lines.begin(), lines.end());
      JsonWriter json;
      part.encode(json);
      MachineMonitor next("m");
      JsonReader reader;
      ASSERT_TRUE(next.restore(reader.parse(json.text()).value())) << json.text();
      part = std::move(next);
      from = to;
    }
    ASSERT_EQ(found, expected) << "seed " << seed;
  }
  EXPECT_GT(alarms, 100u) << "these histories would prove nothing";
}

TEST(MachineMonitorReplay, BriefStateIsEnoughWhereAConnectionFollows) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    auto events = some_history(seed);
    MachineMonitor whole("m"), part("m");
    const Lines expected = alarms_of(whole, events, 0, events.size());
    Lines found;
    size_t from = 0;
    for (size_t i = 0; i < events.size(); ++i) {
      if (events[i].payload.type != EventType::MachineConnected) continue;
      const Lines lines = alarms_of(part, events, from, i);
      found.insert(found.end(), lines.begin(), lines.end());
      JsonWriter json;
      part.encode(json, true);
      JsonReader reader;
      MachineMonitor next("m");
      ASSERT_TRUE(next.restore(reader.parse(json.text()).value())) << json.text();
      part = std::move(next);
      from = i;
    }
    const Lines lines = alarms_of(part, events, from, events.size());
    found.insert(found.end(), lines.begin(), lines.end());
    ASSERT_EQ(found, expected) << "seed " << seed;
  }
}

TEST(MachineMonitorReplay, EventsOfTheLogGiveTheAlarmsThatTheDraftsGave) {
  const auto events = some_history(3);
  MachineMonitor live("m"), replayed("m");
  const Lines expected = alarms_of(live, events, 0, events.size());
  Lines found;
  EventView view;
  for (size_t i = 0; i < events.size(); ++i) {
    const Envelope envelope = event({"m", 7, i + 1}, events[i]);
    view_of(envelope, view);
    for (const AlarmTransition& transition : replayed.observe(view)) {
      found.push_back(
          fmt::format("{} {} {} {}", i, line_of(transition), transition.text, transition.value.value_or(0)));
    }
  }
  EXPECT_EQ(found, expected);
}

TEST(MonitorRules, EachCodeIsThereOnceAndItsDefaultsAreAllowed) {
  std::set<std::string_view> codes;
  for (const MonitorRuleRow& row : monitor_rules()) {
    EXPECT_TRUE(codes.insert(row.code).second) << row.code;
    EXPECT_EQ(&row_of(row.rule), &row);
    EXPECT_TRUE(check_rule_setting(default_setting(row))) << row.code;
    EXPECT_LE(row.action, schema::AlarmAction::notify) << row.code << ": nothing acts unless somebody says so";
  }
  EXPECT_EQ(codes.size(), kMonitorRules);
}

TEST(MonitorRules, WrongSettingsAreRefusedWithWhatWouldBeRight) {
  auto set = default_setting(*find_monitor_rule("temperature_drift"));
  set.threshold = 501;
  EXPECT_EQ(check_rule_setting(set).error().context, "threshold 501: expected 0.5 to 500 K");
  set.threshold = std::nan("");
  EXPECT_FALSE(check_rule_setting(set));
  set.threshold = 5;
  set.for_s = -1;
  EXPECT_EQ(check_rule_setting(set).error().context, "for_s -1: expected 0 to 86400");
  set = default_setting(*find_monitor_rule("nobody_watching"));
  set.action = schema::AlarmAction::pause;
  EXPECT_EQ(check_rule_setting(set).error().context, "action pause: rule nobody_watching can only record or notify");
  set = default_setting(*find_monitor_rule("mcu_lost"));
  set.threshold = 1;
  EXPECT_EQ(check_rule_setting(set).error().context, "threshold 1: rule mcu_lost has none");
  set.rule = "no_such_rule";
  EXPECT_FALSE(check_rule_setting(set));
}

}  // namespace
}  // namespace millrace
