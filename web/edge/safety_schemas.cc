// SPDX-License-Identifier: Apache-2.0
// The schemas of limits, rules and alarms.
#include "bus/machine_safety.h"
#include "web/edge/api_document.h"
#include "web/edge/schema_parts.h"

namespace millrace {
namespace {

constexpr std::string_view kAlarmAction = R"({"enum":["record","notify","pause","heaters_off","emergency_stop"]})";
constexpr std::string_view kFlagOrNull = R"({"type":["boolean","null"]})";

Fields limit_set_fields() {
  Fields fields;
  for (const LimitField& field : limit_fields()) fields.push_back({field.name, "number?"});
  fields.push_back({"require_plate_cleared", kFlagOrNull});
  return fields;
}

std::string machine_limits() {
  const std::string limits = object_of(limit_set_fields());
  return object_of({{"machine", "text"},
                    {"status", R"({"enum":["applied","pending"]})"},
                    {"version", "integer"},
                    {"applied_version", "integer"},
                    {"changed_at", "time?"},
                    {"actor", "text?"},
                    {"reason", "text?"},
                    {"limits", limits},
                    {"applied", R"({"anyOf":[{"type":"null"},)" + limits + "]}"}});
}

std::string limit_body() {
  Fields fields = limit_set_fields();
  fields.push_back({"reason", "text"});
  return body_of(fields);
}

std::string safety_rule() {
  const std::string standard = object_of({{"enabled", "flag"},
                                          {"level", kAlarmLevel},
                                          {"action", kAlarmAction},
                                          {"threshold", "number?"},
                                          {"for_s", "number?"}});
  return object_of({{"rule", "text"},
                    {"machine", "text?"},
                    {"set_for", R"({"enum":["machine","all","default"]})"},
                    {"enabled", "flag"},
                    {"level", kAlarmLevel},
                    {"action", kAlarmAction},
                    {"threshold", "number?"},
                    {"for_s", "number?"},
                    {"default", standard},
                    {"unit", "text?"},
                    {"threshold_min", "number?"},
                    {"threshold_max", "number?"},
                    {"raised_by", R"({"enum":["adapter","hub"]})"},
                    {"watches", "text"},
                    {"description", "text"},
                    {"actor", "text?"},
                    {"changed_at", "time?"}});
}

Fields rule_setting_fields() {
  return {{"enabled", "flag"},
          {"level", kAlarmLevel},
          {"action", kAlarmAction},
          {"threshold", "number?"},
          {"for_s", "number?"}};
}

std::string rule_body() {
  Fields fields = rule_setting_fields();
  fields.push_back({"reason", "text"});
  return body_of(fields);
}

std::string rule_test_body() {
  Fields fields = rule_setting_fields();
  fields.push_back({"rule", "text"});
  fields.push_back({"machines", kTexts});
  fields.push_back({"from", "time"});
  fields.push_back({"to", "time"});
  fields.push_back({"horizon_s", "number"});
  fields.push_back({"max_seconds", "number"});
  return body_of(fields, R"("rule")");
}

std::string rule_test() {
  const std::string hits = R"({"type":"array","items":)" +
                           object_of({{"machine", "text"},
                                      {"subject", "text?"},
                                      {"raised_at", "time"},
                                      {"cleared_at", "time?"},
                                      {"text", "text"},
                                      {"value", "number?"},
                                      {"job_id", "text?"},
                                      {"failure_at", "time?"},
                                      {"failure", "text?"},
                                      {"lead_s", "number?"},
                                      {"position", "integer"}}) +
                           "}";
  return object_of({{"rule", "text"},
                    {"from", "time"},
                    {"to", "time"},
                    {"through", "time?"},
                    {"stopped", R"({"enum":["events","time",null]})"},
                    {"events", "integer"},
                    {"threshold", "number?"},
                    {"for_s", "number"},
                    {"horizon_s", "number"},
                    {"hit_count", "integer"},
                    {"before_failure", "integer"},
                    {"failures", "integer"},
                    {"foreseen", "integer"},
                    {"precision", "number?"},
                    {"median_lead_s", "number?"},
                    {"hits", hits}});
}

std::string alarm() {
  return object_of({{"id", "text"},
                    {"ref", "text"},
                    {"machine", "text"},
                    {"rule", "text"},
                    {"subject", "text?"},
                    {"state", R"({"enum":["active","acknowledged","shelved","cleared"]})"},
                    {"level", kAlarmLevel},
                    {"action", kAlarmAction},
                    {"text", "text"},
                    {"value", "number?"},
                    {"threshold", "number?"},
                    {"job_id", "text?"},
                    {"active", "flag"},
                    {"acknowledged", "flag"},
                    {"acknowledged_at", "time?"},
                    {"acknowledged_by", "text?"},
                    {"note", "text?"},
                    {"shelved_until", "time?"},
                    {"shelved_by", "text?"},
                    {"shelve_reason", "text?"},
                    {"escalated", "flag"},
                    {"count", "integer"},
                    {"first_at", "time?"},
                    {"raised_at", "time?"},
                    {"cleared_at", "time?"},
                    {"first_position", "integer"},
                    {"raised_position", "integer"},
                    {"last_position", "integer"}});
}

std::string safety_summary() {
  const auto list = [](const Fields& fields) { return R"({"type":"array","items":)" + object_of(fields) + "}"; };
  const std::string days = list({{"date", "text"}, {"count", "integer"}});
  const std::string top = list({{"rule", "text"}, {"count", "integer"}});
  return object_of({{"machine", "text?"},
                    {"total_events", "integer"},
                    {"emergency_stops", "integer"},
                    {"temperature_violations", "integer"},
                    {"position_violations", "integer"},
                    {"pwm_violations", "integer"},
                    {"bounds_violations", "integer"},
                    {"state_changes_logged", "integer"},
                    {"last_emergency_stop", "time?"},
                    {"last_violation", "time?"},
                    {"standing", "integer"},
                    {"unacknowledged", "integer"},
                    {"shelved", "integer"},
                    {"standing_over_an_hour", "integer"},
                    {"acknowledged", "integer"},
                    {"median_ack_s", "number?"},
                    {"alarms_per_day", days},
                    {"chattering", kTexts},
                    {"top_rules", top}});
}

}  // namespace

const std::vector<std::pair<std::string_view, std::string>>& safety_schemas() {
  static const std::vector<std::pair<std::string_view, std::string>> schemas = {
      {"MachineLimits", machine_limits()},
      {"MachineLimitsList", list_of("MachineLimits")},
      {"LimitFields", limit_body()},
      {"SafetyRule", safety_rule()},
      {"SafetyRuleList", list_of("SafetyRule")},
      {"SafetyRuleFields", rule_body()},
      {"RuleTest", rule_test()},
      {"RuleTestFields", rule_test_body()},
      {"Alarm", alarm()},
      {"AlarmList", list_of("Alarm")},
      {"AlarmNote", body_of({{"note", "text"}})},
      {"AlarmShelf", body_of({{"until", "time"}, {"for_s", "number"}, {"reason", "text"}})},
      {"AlarmUnshelf", body_of({{"reason", "text"}})},
      {"SafetySummary", safety_summary()},
  };
  return schemas;
}

}  // namespace millrace
