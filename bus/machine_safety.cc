// SPDX-License-Identifier: Apache-2.0
#include "bus/machine_safety.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace millrace {
namespace {

constexpr size_t kMaxRuleName = 64;

std::string text_of(const MachineSafety& safety) {
  JsonWriter json;
  write_machine_safety(json, safety);
  return json.take();
}

Error malformed(std::string what) { return make_error(Errc::kMalformed, "safety of a machine: " + std::move(what)); }

Result<schema::LimitSetT> read_limits(const Json& json) {
  schema::LimitSetT limits;
  for (const LimitField& field : limit_fields()) {
    const auto value = member(json, field.name);
    if (!value) continue;
    const auto number = as_number(*value);
    if (!number || *number < field.least || *number > field.most) {
      return malformed(
          fmt::format("{} is '{}': expected {} to {}", field.name, to_text(*value), field.least, field.most));
    }
    limits.*field.member = number;
  }
  limits.require_plate_cleared = flag_member(json, "require_plate_cleared");
  return limits;
}

Result<schema::SafetyRuleSetT> read_rule(const Json& json) {
  schema::SafetyRuleSetT setting;
  const auto level = alarm_level_from(text_member(json, "level").value_or(""));
  const auto action = alarm_action_from(text_member(json, "action").value_or(""));
  const auto enabled = flag_member(json, "enabled");
  setting.rule = text_member(json, "rule").value_or("");
  if (setting.rule.empty() || setting.rule.size() > kMaxRuleName || !level || !action || !enabled) {
    return malformed("a rule without rule, enabled, level or action");
  }
  setting.enabled = *enabled;
  setting.level = *level;
  setting.action = *action;
  setting.threshold = number_member(json, "threshold");
  setting.for_s = number_member(json, "for_s");
  return setting;
}

}  // namespace

// A machine of 10 km or 10,000 degrees is a slip of the finger.
const std::array<LimitField, 17>& limit_fields() {
  using schema::LimitSetT;
  static const std::array<LimitField, 17> fields = {{
      {"extruder_temp_max", &LimitSetT::extruder_temp_max, 0, 1000, "°C"},
      {"bed_temp_max", &LimitSetT::bed_temp_max, 0, 1000, "°C"},
      {"chamber_temp_max", &LimitSetT::chamber_temp_max, 0, 1000, "°C"},
      {"x_min", &LimitSetT::x_min, -10'000, 10'000, "mm"},
      {"x_max", &LimitSetT::x_max, -10'000, 10'000, "mm"},
      {"y_min", &LimitSetT::y_min, -10'000, 10'000, "mm"},
      {"y_max", &LimitSetT::y_max, -10'000, 10'000, "mm"},
      {"z_min", &LimitSetT::z_min, -10'000, 10'000, "mm"},
      {"z_max", &LimitSetT::z_max, -10'000, 10'000, "mm"},
      {"velocity_max", &LimitSetT::velocity_max, 0, 10'000, "mm/s"},
      {"acceleration_max", &LimitSetT::acceleration_max, 0, 1'000'000, "mm/s2"},
      {"pwm_min", &LimitSetT::pwm_min, 0, 1, ""},
      {"pwm_max", &LimitSetT::pwm_max, 0, 1, ""},
      {"fan_min", &LimitSetT::fan_min, 0, 1, ""},
      {"fan_max", &LimitSetT::fan_max, 0, 1, ""},
      {"feedrate_min", &LimitSetT::feedrate_min, 0, 1'000'000, "mm/min"},
      {"feedrate_max", &LimitSetT::feedrate_max, 0, 1'000'000, "mm/min"},
  }};
  return fields;
}

bool MachineSafety::operator==(const MachineSafety& other) const { return text_of(*this) == text_of(other); }

bool same_limits(const schema::LimitSetT& a, const schema::LimitSetT& b) {
  return a.require_plate_cleared == b.require_plate_cleared &&
         std::ranges::all_of(limit_fields(),
                             [&](const LimitField& field) { return a.*field.member == b.*field.member; });
}

void write_limits(JsonWriter& json, const schema::LimitSetT& limits, bool nulls) {
  for (const LimitField& field : limit_fields()) {
    if (nulls || limits.*field.member) json.field(field.name, limits.*field.member);
  }
  if (nulls || limits.require_plate_cleared) json.field("require_plate_cleared", limits.require_plate_cleared);
}

void write_rule_setting(JsonWriter& json, const schema::SafetyRuleSetT& setting) {
  json.object().field("rule", setting.rule).field("enabled", setting.enabled);
  json.field("level", schema::EnumNameAlarmLevel(setting.level));
  json.field("action", schema::EnumNameAlarmAction(setting.action));
  json.field("threshold", setting.threshold).field("for_s", setting.for_s).end();
}

std::optional<schema::AlarmLevel> alarm_level_from(std::string_view word) {
  for (const schema::AlarmLevel level : schema::EnumValuesAlarmLevel()) {
    if (word == schema::EnumNameAlarmLevel(level)) return level;
  }
  return std::nullopt;
}

std::optional<schema::AlarmAction> alarm_action_from(std::string_view word) {
  for (const schema::AlarmAction action : schema::EnumValuesAlarmAction()) {
    if (word == schema::EnumNameAlarmAction(action)) return action;
  }
  return std::nullopt;
}

void write_machine_safety(JsonWriter& json, const MachineSafety& safety) {
  json.object().key("limits").object();
  write_limits(json, safety.limits, false);
  json.end().field("limits_version", std::to_string(safety.limits_version)).key("rules").array();
  for (const schema::SafetyRuleSetT& rule : safety.rules) write_rule_setting(json, rule);
  json.end().end();
}

Result<MachineSafety> read_machine_safety(const Json& json) {
  MachineSafety safety;
  if (const auto limits = member(json, "limits")) {
    auto read = read_limits(*limits);
    if (!read) return read.error();
    safety.limits = std::move(*read);
  }
  const auto version = text_member(json, "limits_version").value_or("0");
  const auto [end, failed] = std::from_chars(version.data(), version.data() + version.size(), safety.limits_version);
  if (failed != std::errc{} || end != version.data() + version.size()) return malformed("limits_version is no number");
  const auto rules = member(json, "rules");
  simdjson::dom::array items;
  if (!rules) return safety;
  if (rules->get_array().get(items) != simdjson::SUCCESS || items.size() > MachineSafety::kMaxRules) {
    return malformed(fmt::format("rules are no array of at most {}", MachineSafety::kMaxRules));
  }
  for (const Json item : items) {
    auto rule = read_rule(item);
    if (!rule) return rule.error();
    safety.rules.push_back(std::move(*rule));
  }
  return safety;
}

}  // namespace millrace
