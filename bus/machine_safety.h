// SPDX-License-Identifier: Apache-2.0
// What people have set for one machine's safety, as the hub says it on config/<machine> and the adapters keep it: its
// limits and the rules of its monitors.  Values; JSON as in the API.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/result.h"
#include "schemas/event_generated.h"

namespace millrace {

struct MachineSafety {
  static constexpr size_t kMaxRules = 64;

  schema::LimitSetT limits;                   // what nobody set is not set
  uint64_t limits_version = 0;                // position of the LimitsChanged; 0 = nobody set any
  std::vector<schema::SafetyRuleSetT> rules;  // in order of their codes; a rule that is not here is at its default

  bool operator==(const MachineSafety& other) const;
};

// A limit that is a number.
struct LimitField {
  std::string_view name;  // as in schemas/safety.fbs and in JSON
  std::optional<double> schema::LimitSetT::*member;
  double least;  // what may be set: from here
  double most;   // to here
  std::string_view unit;
};
const std::array<LimitField, 17>& limit_fields();

bool same_limits(const schema::LimitSetT& a, const schema::LimitSetT& b);

// Members of an open JSON object.  With `nulls`, what is not set is null; else it is left out.
void write_limits(JsonWriter& json, const schema::LimitSetT& limits, bool nulls);
// {"rule": ..., "enabled": ..., "level": "warning", "action": "notify", "threshold": ..., "for_s": ...}
void write_rule_setting(JsonWriter& json, const schema::SafetyRuleSetT& setting);

std::optional<schema::AlarmLevel> alarm_level_from(std::string_view word);
std::optional<schema::AlarmAction> alarm_action_from(std::string_view word);

// {"limits": {...}, "limits_version": "12", "rules": [...]}
void write_machine_safety(JsonWriter& json, const MachineSafety& safety);
// kMalformed names what is wrong.  An absent member is what nobody set.
Result<MachineSafety> read_machine_safety(const Json& json);

}  // namespace millrace
