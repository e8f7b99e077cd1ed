// SPDX-License-Identifier: Apache-2.0
// The routes of limits, rules and alarms.
#include "web/edge/access/route_access.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr std::string_view kText = R"({"type":"string"})";
constexpr std::string_view kTime = R"({"type":"string","format":"date-time"})";
constexpr std::string_view kLimit = R"({"type":"integer","minimum":1,"maximum":500,"default":50})";
constexpr Parameter kMachine{"machine", kText, "Only of this machine"};
constexpr Parameter kForMachine{"machine", kText,
                                "For this machine; otherwise for all that have no setting of their own"};

Route read(std::string_view pattern, std::string_view operation, std::string_view summary,
           std::vector<Parameter> parameters, std::string_view answer,
           HttpResponse (*respond)(const RouteContext&, const RouteRequest&)) {
  return {"GET", pattern, operation, summary, RunsOn::kWorker, true, std::move(parameters), answer, respond};
}

Route change(std::string_view method, std::string_view pattern, std::string_view operation, std::string_view summary,
             std::vector<Parameter> parameters, std::string_view answer,
             WriteDecision (*decide)(const RouteContext&, const RouteRequest&), std::string_view body) {
  return {method, pattern, operation, summary, RunsOn::kWrite, false, std::move(parameters),
          answer, nullptr, decide,    body};
}

}  // namespace

std::vector<Route> safety_routes() {
  return {
      read("/api/v1/safety/limits", "safetyLimits", "What commands may ask of each machine", {}, "MachineLimitsList",
           answer_safety_limits),
      read("/api/v1/safety/limits/{machine}", "machineLimits",
           "As people set them, and as the machine's adapter works by them", {}, "MachineLimits",
           answer_machine_limits),
      needs(Needs::kAdminister,
            change("PUT", "/api/v1/safety/limits/{machine}", "replaceMachineLimits",
                   "Says all limits anew; what is left out is at its default. 202 until the adapter works by them", {},
                   "MachineLimits", replace_machine_limits, "LimitFields")),
      needs(Needs::kAdminister,
            change("PATCH", "/api/v1/safety/limits/{machine}", "changeMachineLimits",
                   "Changes what is named; null gives a limit its default. 202 until the adapter works by them", {},
                   "MachineLimits", change_machine_limits, "LimitFields")),
      read("/api/v1/safety/rules", "safetyRules", "Every rule of the monitors and how it is set", {kForMachine},
           "SafetyRuleList", answer_safety_rules),
      read("/api/v1/safety/rules/{rule}", "safetyRule", "One rule and how it is set", {kForMachine}, "SafetyRule",
           answer_safety_rule),
      needs(Needs::kAdminister, change("PUT", "/api/v1/safety/rules/{rule}", "changeSafetyRule",
                                       "Sets a rule; what is left out stays, null gives a number its default",
                                       {kForMachine}, "SafetyRule", change_safety_rule, "SafetyRuleFields")),
      needs(Needs::kAdminister, change("DELETE", "/api/v1/safety/rules/{rule}", "removeSafetyRule",
                                       "Takes the setting away: that for all, or else the default, holds again",
                                       {kForMachine}, "SafetyRule", remove_safety_rule, "")),
      needs(Needs::kRead, {"POST",
                           "/api/v1/safety/rules/test",
                           "testSafetyRule",
                           "How often a rule would have raised an alarm over the log, and how long before failures",
                           RunsOn::kWorker,
                           false,
                           {},
                           "RuleTest",
                           test_safety_rule,
                           nullptr,
                           "RuleTestFields"}),
      read("/api/v1/safety/alarms", "alarms", "Alarms by their ids, also those that are over",
           {kMachine,
            {"state", R"({"enum":["active","acknowledged","shelved","cleared"]})", "Only in this state"},
            {"level", R"({"enum":["normal","caution","warning","critical","emergency"]})", "Of this level or above"},
            {"rule", kText, "Only of this rule"},
            {"limit", kLimit, "At most so many items"},
            {"cursor", kText, "The next_cursor of the page before"}},
           "AlarmList", answer_alarms),
      read("/api/v1/safety/alarms/{alarm}", "alarm", "One alarm, by its ref", {}, "Alarm", answer_alarm),
      needs(Needs::kOperate, change("POST", "/api/v1/safety/alarms/{alarm}/acknowledge", "acknowledgeAlarm",
                                    "Somebody has seen it", {}, "Alarm", acknowledge_alarm, "AlarmNote")),
      needs(Needs::kOperate, change("POST", "/api/v1/safety/alarms/{alarm}/shelve", "shelveAlarm",
                                    "It is quiet until then", {}, "Alarm", shelve_alarm, "AlarmShelf")),
      needs(Needs::kOperate, change("POST", "/api/v1/safety/alarms/{alarm}/unshelve", "unshelveAlarm",
                                    "It is no longer quiet", {}, "Alarm", unshelve_alarm, "AlarmUnshelf")),
      read("/api/v1/safety/events", "safetyEvents", "Events of the log that concern safety, oldest first",
           {kMachine,
            {"type", kText, "Only these types, comma-separated"},
            {"after", R"({"type":"integer","minimum":0})", "Only behind this position"},
            {"from", kTime, "Recorded at or after"},
            {"to", kTime, "Recorded before"},
            {"limit", kLimit, "At most so many items"},
            {"cursor", kText, "The next_cursor of the page before"}},
           "EventList", answer_safety_events),
      read("/api/v1/safety/summary", "safetySummary", "Safety in numbers", {kMachine}, "SafetySummary",
           answer_safety_summary),
  };
}

}  // namespace millrace
