// SPDX-License-Identifier: Apache-2.0
#include "safety/monitor_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

using enum RaisedBy;
using enum MonitorRule;
using Level = schema::AlarmLevel;
using Action = schema::AlarmAction;

// No rule does more than to notify unless somebody sets it so: Klipper has its own checks that stop heaters, and a
// pause or a stop that comes from a wrong threshold ruins a print.
const std::array<MonitorRuleRow, kMonitorRules> kRows = {{
    {kTemperatureAboveLimit, "temperature_above_limit", kAdapter, Level::critical, Action::notify, 5, 0, 500, "K", 3, 5,
     "extruders, beds and chambers", "A temperature is more than the threshold above the machine's limit"},
    {kTemperatureRunaway, "temperature_runaway", kAdapter, Level::critical, Action::notify, 15, 1, 500, "K", 5, 10,
     "heaters",
     "A heater gets warmer although it should not: it is above its target by the threshold and was not before"},
    {kTemperatureDrift, "temperature_drift", kAdapter, Level::warning, Action::notify, 8, 0.5, 500, "K", 30, 10,
     "heaters", "A heater has left its target by the threshold, or no longer gets nearer to it while it should"},
    {kSensorDead, "sensor_dead", kAdapter, Level::critical, Action::notify, -20, -273, 0, "°C", 60, 10,
     "temperature sensors",
     "A sensor says nothing believable: at or below the threshold, exactly 0, or the same value "
     "while its heater is powered"},
    {kSensorJump, "sensor_jump", kAdapter, Level::warning, Action::notify, 20, 1, 1000, "K/s", 0, 60,
     "temperature sensors", "A temperature changes faster than anything real can"},
    {kPositionOutside, "position_outside", kAdapter, Level::warning, Action::notify, 1, 0, 1000, "mm", 2, 5,
     "the toolhead", "The tool is more than the threshold outside the limits that people have set"},
    {kFanStoppedWhileHot, "fan_stopped_while_hot", kAdapter, Level::critical, Action::notify, 100, 0, 100'000, "rpm",
     10, 10, "fans",
     "A fan that should turn is slower than the threshold, or no hotend fan is on, while an extruder is hot"},
    {kProgressStalled, "progress_stalled", kAdapter, Level::warning, Action::notify, std::nullopt, 0, 0, "", 900, 0,
     "the print under way", "Nothing moves, heats or is read from the file although the machine prints"},
    {kMcuErrors, "mcu_errors", kAdapter, Level::warning, Action::notify, 600, 1, 1e9, "bytes/min", 60, 120,
     "microcontrollers", "So many bytes had to be sent again or made no sense: a bad cable or interference"},
    {kMcuOverload, "mcu_overload", kAdapter, Level::warning, Action::notify, 0.0025, 0.0001, 1, "s", 30, 30,
     "microcontrollers", "Average and three deviations of a task's time are above the threshold"},
    {kHostLoad, "host_load", kAdapter, Level::caution, Action::record, 95, 1, 100, "%", 120, 60, "Klipper's host",
     "The host's processor is busier than the threshold"},
    {kHostDisk, "host_disk", kAdapter, Level::warning, Action::notify, 5, 0, 100, "%", 0, 0, "Klipper's host",
     "Less of the disk with the G-code files is free than the threshold"},
    {kMachineOfflineWhilePrinting, "machine_offline_while_printing", kHub, Level::critical, Action::notify,
     std::nullopt, 0, 0, "", 120, 0, "the link to the machine",
     "Moonraker cannot be reached although a print is under way"},
    {kNobodyWatching, "nobody_watching", kHub, Level::critical, Action::notify, std::nullopt, 0, 0, "", 120, 0,
     "the machine's adapter", "No adapter tells of the machine although a print is under way"},
    {kClockOff, "clock_off", kAdapter, Level::caution, Action::record, std::nullopt, 0, 0, "", 0, 0,
     "the machine's clock", "The machine's clock is wrong by more than people would notice"},
    {kKlipperShutdown, "klipper_shutdown", kAdapter, Level::critical, Action::notify, std::nullopt, 0, 0, "", 0, 0,
     "Klipper", "Klipper has shut down"},
    {kHeaterFault, "heater_fault", kAdapter, Level::critical, Action::notify, std::nullopt, 0, 0, "", 0, 0, "Klipper",
     "Klipper has shut down because a heater does not do what it should"},
    {kMcuLost, "mcu_lost", kAdapter, Level::critical, Action::notify, std::nullopt, 0, 0, "", 0, 0, "Klipper",
     "Klipper has shut down because a microcontroller no longer answers"},
}};

RuleSettings::Setting setting_of(const schema::SafetyRuleSetT& said, const MonitorRuleRow& row) {
  RuleSettings::Setting setting;
  setting.enabled = said.enabled;
  setting.level = said.level;
  setting.action = said.action;
  setting.threshold = said.threshold.value_or(row.threshold.value_or(0));
  setting.for_s = said.for_s.value_or(row.for_s);
  return setting;
}

}  // namespace

std::span<const MonitorRuleRow> monitor_rules() { return kRows; }

const MonitorRuleRow& row_of(MonitorRule rule) { return kRows[static_cast<size_t>(rule)]; }

const MonitorRuleRow* find_monitor_rule(std::string_view code) {
  const auto found = std::ranges::find(kRows, code, &MonitorRuleRow::code);
  return found == kRows.end() ? nullptr : &*found;
}

Result<void> check_rule_setting(const schema::SafetyRuleSetT& setting) {
  const MonitorRuleRow* row = find_monitor_rule(setting.rule);
  const auto wrong = [](std::string what) { return make_error(Errc::kInvalidArgument, std::move(what)); };
  if (row == nullptr) return wrong(fmt::format("rule '{}': there is no such rule", setting.rule.substr(0, 64)));
  if (setting.threshold && !row->threshold) {
    return wrong(fmt::format("threshold {}: rule {} has none", *setting.threshold, row->code));
  }
  if (setting.threshold && !(*setting.threshold >= row->threshold_min && *setting.threshold <= row->threshold_max)) {
    return wrong(fmt::format("threshold {}: expected {} to {} {}", *setting.threshold, row->threshold_min,
                             row->threshold_max, row->unit));
  }
  if (setting.for_s && !(*setting.for_s >= 0 && *setting.for_s <= kMaxForS)) {
    return wrong(fmt::format("for_s {}: expected 0 to {}", *setting.for_s, kMaxForS));
  }
  // What the hub raises, it can only tell: it has no way to a machine that is not seen.
  if (row->by == kHub && setting.action > Action::notify) {
    return wrong(fmt::format("action {}: rule {} can only record or notify",
                             schema::EnumNameAlarmAction(setting.action), row->code));
  }
  return {};
}

schema::SafetyRuleSetT default_setting(const MonitorRuleRow& row) {
  schema::SafetyRuleSetT setting;
  setting.rule = row.code;
  setting.enabled = true;
  setting.level = row.level;
  setting.action = row.action;
  setting.threshold = row.threshold;
  setting.for_s = row.for_s;
  return setting;
}

RuleSettings::RuleSettings() {
  for (const MonitorRuleRow& row : kRows) set(row.rule, setting_of(default_setting(row), row));
}

RuleSettings::RuleSettings(std::span<const schema::SafetyRuleSetT> settings) : RuleSettings() {
  for (const schema::SafetyRuleSetT& said : settings) {
    if (!check_rule_setting(said)) continue;
    const MonitorRuleRow& row = *find_monitor_rule(said.rule);
    set(row.rule, setting_of(said, row));
  }
}

}  // namespace millrace
