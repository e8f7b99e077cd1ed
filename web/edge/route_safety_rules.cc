// SPDX-License-Identifier: Apache-2.0
// How monitors are set, for all machines or for one, and how often a setting would have raised an alarm.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "projections/machine_state.h"
#include "safety/back_test.h"
#include "web/edge/body_reader.h"
#include "web/edge/problem.h"
#include "web/edge/safety_json.h"

namespace millrace {
namespace {

using schema::SafetyRuleSetT;

constexpr std::chrono::hours kTestedByDefault{24 * 7};
constexpr double kMaxTestSeconds = 10;
constexpr size_t kMaxTestedMachines = 50;

std::vector<std::string_view> words_of_levels() {
  std::vector<std::string_view> words;
  for (const auto level : schema::EnumValuesAlarmLevel()) words.emplace_back(schema::EnumNameAlarmLevel(level));
  return words;
}

std::vector<std::string_view> words_of_actions() {
  std::vector<std::string_view> words;
  for (const auto action : schema::EnumValuesAlarmAction()) words.emplace_back(schema::EnumNameAlarmAction(action));
  return words;
}

HttpResponse no_such_rule(std::string_view code) {
  return api_problem(404, "rule_not_found",
                     fmt::format("there is no rule '{}'; GET /api/v1/safety/rules lists them", code.substr(0, 64)));
}

// The machine that ?machine= names, "" for all machines.
boost::system::result<std::string, HttpResponse> machine_asked(const RouteContext& context, const HttpRequest& http) {
  const auto named = machine_in(http);
  if (!named) return api_problem_from(named.error());
  if (named->empty()) return std::string();
  return known_machine(context, *named);
}

HttpResponse rule_response(const RouteContext& context, const MonitorRuleRow& row, const std::string& machine) {
  const auto rules = read_rules(*context.parts.store.reader());
  if (!rules) return api_problem_from(rules.error());
  JsonWriter json;
  write_rule(json, row, *rules, machine);
  HttpResponse response;
  response.body = json.take();
  return response;
}

// What the body says of the setting; the rest stays.
void take_setting(BodyReader& body, const MonitorRuleRow& row, SafetyRuleSetT& setting) {
  if (const auto flag = body.flag("enabled")) setting.enabled = *flag;
  if (const auto word = body.word("level", words_of_levels())) setting.level = *alarm_level_from(*word);
  if (const auto word = body.word("action", words_of_actions())) setting.action = *alarm_action_from(*word);
  if (body.is_null("threshold")) setting.threshold = row.threshold;
  if (const auto number = body.number("threshold", -1e12, 1e12)) setting.threshold = number;
  if (body.is_null("for_s")) setting.for_s = row.for_s;
  if (const auto number = body.number("for_s", 0, kMaxForS)) setting.for_s = number;
  if (const auto checked = check_rule_setting(setting); !checked) {
    const std::string& what = checked.error().context;
    body.refuse(what.substr(0, what.find(' ')), what);
  }
}

// The setting that counts now: of the machine, of all, or the default.
SafetyRuleSetT current(const std::vector<schema::SafetyRuleViewT>& rules, const MonitorRuleRow& row,
                       std::string_view machine) {
  for (SafetyRuleSetT& setting : rules_for(rules, machine)) {
    if (setting.rule == row.code) return std::move(setting);
  }
  return default_setting(row);
}

bool same(const SafetyRuleSetT& a, const SafetyRuleSetT& b) {
  return a.enabled == b.enabled && a.level == b.level && a.action == b.action && a.threshold == b.threshold &&
         a.for_s == b.for_s;
}

const schema::SafetyRuleViewT* set_for(const std::vector<schema::SafetyRuleViewT>& rules, std::string_view code,
                                       std::string_view machine) {
  for (const auto& rule : rules) {
    if (rule.machine == machine && rule.setting && rule.setting->rule == code) return &rule;
  }
  return nullptr;
}

EdgeWrite write_of(const RouteContext& context, const RouteRequest& request, const MonitorRuleRow& row,
                   const std::string& machine, std::optional<schema::SafetyRuleChangedT> event) {
  EdgeWrite write;
  if (event) {
    write.events.push_back(draft_of(std::move(*event), machine, context.parts.clock.wall()));
    write.events.back().actor = request.actor;
  }
  write.answer = [&row, machine](const RouteContext& after) { return rule_response(after, row, machine); };
  return write;
}

// --- the look back

struct TestAsked {
  BackTestOptions options;
  const MonitorRuleRow* row = nullptr;
};

void take_machines(const RouteContext& context, BodyReader& body, BackTestOptions& options) {
  const auto reader = context.parts.store.reader();
  const auto machines = read_machines(*reader);
  const auto safety = read_safety(*reader);
  if (!machines || !safety) {
    return body.refuse("machines", machines ? safety.error().context : machines.error().context);
  }
  auto wanted = body.texts("machines", kMaxTestedMachines, {.max_bytes = 64, .empty = false});
  if (!wanted || wanted->empty()) {
    wanted.emplace();
    for (const auto& [id, machine] : *machines) {
      if (!machine.removed && wanted->size() < kMaxTestedMachines) wanted->push_back(id);
    }
  }
  for (const std::string& id : *wanted) {
    if (!machines->contains(id)) body.refuse("machines", fmt::format("there is no machine '{}'", id));
    const auto known = safety->find(id);
    const bool applied = known != safety->end() && known->second.applied;
    options.machines[id] = applied ? *known->second.applied : schema::LimitSetT{};
  }
}

void take_times(const RouteContext& context, BodyReader& body, BackTestOptions& options) {
  const WallTime now = context.parts.clock.wall();
  options.to = body.time("to").value_or(now);
  options.from = body.time("from").value_or(options.to - kTestedByDefault);
  if (options.from >= options.to) {
    body.refuse("from",
                fmt::format("{} is not before to, which is {}", to_rfc3339(options.from), to_rfc3339(options.to)));
  }
  const auto horizon = body.number("horizon_s", 1, 7 * 86'400);
  if (horizon) options.horizon = Micros{static_cast<int64_t>(*horizon * 1e6)};
  const auto seconds = body.number("max_seconds", 0.1, kMaxTestSeconds);
  if (seconds) options.max_time = Micros{static_cast<int64_t>(*seconds * 1e6)};
}

TestAsked asked_of(const RouteContext& context, BodyReader& body) {
  TestAsked asked;
  body.require("rule");
  const auto code = body.text("rule", {.max_bytes = 64, .empty = false});
  asked.row = find_monitor_rule(code.value_or(""));
  if (code && asked.row == nullptr) body.refuse("rule", fmt::format("there is no rule '{}'", *code));
  if (asked.row == nullptr) return asked;
  if (asked.row->by == RaisedBy::kHub) {
    body.refuse("rule", fmt::format("'{}' is of what is not in the log: that nothing came", asked.row->code));
  }
  SafetyRuleSetT setting = default_setting(*asked.row);
  take_setting(body, *asked.row, setting);
  asked.options.rule = asked.row->rule;
  asked.options.setting = RuleSettings({&setting, 1}).of(asked.row->rule);
  take_machines(context, body, asked.options);
  take_times(context, body, asked.options);
  return asked;
}

double seconds_of(Micros time) { return static_cast<double>(time.count()) / 1e6; }

void write_hit(JsonWriter& json, const BackTestHit& hit) {
  json.object().field("machine", hit.machine).text_or_null("subject", hit.subject);
  json.field("raised_at", to_rfc3339(hit.raised_at)).key("cleared_at");
  hit.cleared_at ? json.value(to_rfc3339(*hit.cleared_at)) : json.null();
  json.field("text", hit.text).field("value", hit.value).text_or_null("job_id", hit.job_id).key("failure_at");
  hit.failure_at ? json.value(to_rfc3339(*hit.failure_at)) : json.null();
  json.text_or_null("failure", hit.failure).key("lead_s");
  hit.failure_at ? json.value(seconds_of(*hit.failure_at - hit.raised_at)) : json.null();
  json.field("position", hit.position).end();
}

void write_result(JsonWriter& json, const TestAsked& asked, const BackTestResult& result) {
  const BackTestOptions& options = asked.options;
  json.object().field("rule", asked.row->code).field("from", to_rfc3339(options.from));
  json.field("to", to_rfc3339(options.to)).key("through");
  to_unix_us(result.through) == 0 ? json.null() : json.value(to_rfc3339(result.through));
  json.text_or_null("stopped", result.stopped).field("events", result.events);
  json.field("threshold", asked.row->threshold ? std::optional(options.setting.threshold) : std::nullopt);
  json.field("for_s", options.setting.for_s).field("horizon_s", seconds_of(options.horizon));
  json.field("hit_count", result.hit_count).field("before_failure", result.before_failure);
  json.field("failures", result.failures).field("foreseen", result.foreseen).key("precision");
  const auto hits = static_cast<double>(result.hit_count);
  result.hit_count == 0 ? json.null() : json.value(static_cast<double>(result.before_failure) / hits);
  json.key("median_lead_s");
  result.lead ? json.value(seconds_of(*result.lead)) : json.null();
  json.key("hits").array();
  for (const BackTestHit& hit : result.hits) write_hit(json, hit);
  json.end().end();
}

}  // namespace

HttpResponse answer_safety_rules(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_asked(context, request.http);
  if (!machine) return machine.error();
  const auto rules = read_rules(*context.parts.store.reader());
  if (!rules) return api_problem_from(rules.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const MonitorRuleRow& row : monitor_rules()) write_rule(json, row, *rules, *machine);
  json.end().key("next_cursor").null().field("total", static_cast<uint64_t>(kMonitorRules)).end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_safety_rule(const RouteContext& context, const RouteRequest& request) {
  const MonitorRuleRow* row = find_monitor_rule(request.path.at("rule"));
  if (row == nullptr) return no_such_rule(request.path.at("rule"));
  const auto machine = machine_asked(context, request.http);
  return machine ? rule_response(context, *row, *machine) : machine.error();
}

WriteDecision change_safety_rule(const RouteContext& context, const RouteRequest& request) {
  const MonitorRuleRow* row = find_monitor_rule(request.path.at("rule"));
  if (row == nullptr) return no_such_rule(request.path.at("rule"));
  const auto machine = machine_asked(context, request.http);
  if (!machine) return machine.error();
  const auto rules = read_rules(*context.parts.store.reader());
  if (!rules) return api_problem_from(rules.error());
  const SafetyRuleSetT before = current(*rules, *row, *machine);
  SafetyRuleSetT setting = before;
  BodyReader body(request.http);
  take_setting(body, *row, setting);
  const auto reason = body.text("reason", {.max_bytes = 500});
  if (auto refused = body.problem()) return std::move(*refused);
  if (set_for(*rules, row->code, *machine) != nullptr && same(setting, before)) {
    return write_of(context, request, *row, *machine, std::nullopt);
  }
  schema::SafetyRuleChangedT event;
  event.setting = std::make_unique<SafetyRuleSetT>(setting);
  event.previous = std::make_unique<SafetyRuleSetT>(before);
  event.reason = reason.value_or("");
  return write_of(context, request, *row, *machine, std::move(event));
}

WriteDecision remove_safety_rule(const RouteContext& context, const RouteRequest& request) {
  const MonitorRuleRow* row = find_monitor_rule(request.path.at("rule"));
  if (row == nullptr) return no_such_rule(request.path.at("rule"));
  const auto machine = machine_asked(context, request.http);
  if (!machine) return machine.error();
  const auto rules = read_rules(*context.parts.store.reader());
  if (!rules) return api_problem_from(rules.error());
  const auto* held = set_for(*rules, row->code, *machine);
  if (held == nullptr) return write_of(context, request, *row, *machine, std::nullopt);
  schema::SafetyRuleChangedT event;
  event.setting = std::make_unique<SafetyRuleSetT>(default_setting(*row));
  event.previous = std::make_unique<SafetyRuleSetT>(*held->setting);
  event.removed = true;
  return write_of(context, request, *row, *machine, std::move(event));
}

HttpResponse test_safety_rule(const RouteContext& context, const RouteRequest& request) {
  BodyReader body(request.http);
  const TestAsked asked = asked_of(context, body);
  if (auto refused = body.problem()) return std::move(*refused);
  const auto result = back_test(context.parts.log, context.parts.clock, asked.options);
  if (!result) return api_problem_from(result.error());
  JsonWriter json;
  write_result(json, asked, *result);
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace millrace
