// SPDX-License-Identifier: Apache-2.0
// The table of rules by which machines are watched: what each looks at, when it raises an alarm, and what it does by
// itself.  docs/alarms.md explains each.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bus/result.h"
#include "schemas/event_generated.h"

namespace millrace {

enum class MonitorRule : uint8_t {
  kTemperatureAboveLimit,
  kTemperatureRunaway,
  kTemperatureDrift,
  kSensorDead,
  kSensorJump,
  kPositionOutside,
  kFanStoppedWhileHot,
  kProgressStalled,
  kMcuErrors,
  kMcuOverload,
  kHostLoad,
  kHostDisk,
  kMachineOfflineWhilePrinting,
  kNobodyWatching,
  kClockOff,
  kKlipperShutdown,
  kHeaterFault,
  kMcuLost,
};
inline constexpr size_t kMonitorRules = 18;

// Who raises it: the adapter sees the machine, the hub alone sees that the machine or its adapter is not seen.
enum class RaisedBy { kAdapter, kHub };

struct MonitorRuleRow {
  MonitorRule rule;
  std::string_view code;  // stable, in events and in the API
  RaisedBy by;
  schema::AlarmLevel level;  // unless somebody sets another
  schema::AlarmAction action;
  std::optional<double> threshold;  // not set: the rule has none
  double threshold_min;             // what may be set
  double threshold_max;
  std::string_view unit;  // of the threshold and of the alarm's value
  double for_s;           // it has to hold for so long
  double clear_s;         // and to be over for so long
  std::string_view watches;
  std::string_view description;
};

std::span<const MonitorRuleRow> monitor_rules();
const MonitorRuleRow& row_of(MonitorRule rule);
// nullptr for an unknown code.
const MonitorRuleRow* find_monitor_rule(std::string_view code);

inline constexpr double kMaxForS = 86'400;

// What is wrong with a setting: kInvalidArgument names the field, its value and what would be right.
Result<void> check_rule_setting(const schema::SafetyRuleSetT& setting);
// The rule as it is without any setting.
schema::SafetyRuleSetT default_setting(const MonitorRuleRow& row);

// How each rule is set for one machine.  A value.
class RuleSettings {
 public:
  struct Setting {
    bool enabled = true;
    schema::AlarmLevel level{};
    schema::AlarmAction action{};
    double threshold = 0;  // 0 for a rule that has none
    double for_s = 0;
  };

  // All at their defaults.
  RuleSettings();
  // The defaults with `settings` over them; unknown rules and settings that check_rule_setting() refuses are left out.
  explicit RuleSettings(std::span<const schema::SafetyRuleSetT> settings);

  const Setting& of(MonitorRule rule) const { return settings_[static_cast<size_t>(rule)]; }
  void set(MonitorRule rule, const Setting& setting) { settings_[static_cast<size_t>(rule)] = setting; }

 private:
  std::array<Setting, kMonitorRules> settings_;
};

}  // namespace millrace
