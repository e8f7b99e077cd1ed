// SPDX-License-Identifier: Apache-2.0
#include "web/edge/safety_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "projections/machine_state.h"
#include "web/edge/problem.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

constexpr size_t kMaxStanding = 10'000;  // alarms that are kept for the live feed
constexpr int kSlashes = 2;              // in an alarm's id; its subject may hold more

std::string with_signs(std::string_view text, char from, char to) {
  std::string changed(text);
  size_t at = 0;
  for (int i = 0; i < kSlashes && (at = changed.find(from, at)) != std::string::npos; ++i) changed[at] = to;
  return changed;
}

void write_setting(JsonWriter& json, const schema::SafetyRuleSetT& setting) {
  json.field("enabled", setting.enabled).field("level", schema::EnumNameAlarmLevel(setting.level));
  json.field("action", schema::EnumNameAlarmAction(setting.action));
  json.field("threshold", setting.threshold).field("for_s", setting.for_s);
}

const schema::SafetyRuleViewT* setting_of(const std::vector<schema::SafetyRuleViewT>& rules, std::string_view code,
                                          std::string_view machine) {
  const auto found = std::ranges::find_if(rules, [&](const schema::SafetyRuleViewT& rule) {
    return rule.setting && rule.setting->rule == code && rule.machine == machine;
  });
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace

std::string alarm_ref(std::string_view id) { return with_signs(id, '/', '~'); }
std::string alarm_id_of_ref(std::string_view ref) { return with_signs(ref, '~', '/'); }

void write_alarm(JsonWriter& json, const schema::AlarmViewT& alarm, int64_t now_us) {
  json.object().field("id", alarm.id).field("ref", alarm_ref(alarm.id)).field("machine", alarm.machine);
  json.field("rule", alarm.rule).text_or_null("subject", alarm.subject);
  json.field("state", name_of(standing_of(alarm, now_us)));
  json.field("level", schema::EnumNameAlarmLevel(alarm.level));
  json.field("action", schema::EnumNameAlarmAction(alarm.action)).field("text", alarm.text);
  json.field("value", alarm.value).field("threshold", alarm.threshold).text_or_null("job_id", alarm.job_id);
  json.field("active", alarm.active).field("acknowledged", alarm.acknowledged);
  // One that was escalated since has been seen by nobody.
  const auto if_acknowledged = [&](std::string_view said) { return alarm.acknowledged ? said : std::string_view(); };
  write_time(json, "acknowledged_at", alarm.acknowledged ? alarm.acknowledged_us : 0);
  json.text_or_null("acknowledged_by", if_acknowledged(alarm.acknowledged_by));
  json.text_or_null("note", if_acknowledged(alarm.note));
  const bool shelved = alarm.shelved_until_us > now_us;
  write_time(json, "shelved_until", shelved ? alarm.shelved_until_us : 0);
  json.text_or_null("shelved_by", shelved ? std::string_view(alarm.shelved_by) : std::string_view());
  json.text_or_null("shelve_reason", shelved ? std::string_view(alarm.shelve_reason) : std::string_view());
  json.field("escalated", alarm.escalated).field("count", alarm.count);
  write_time(json, "first_at", alarm.first_us);
  write_time(json, "raised_at", alarm.raised_us);
  write_time(json, "cleared_at", alarm.cleared_us);
  json.field("first_position", alarm.first_position).field("raised_position", alarm.raised_position);
  json.field("last_position", alarm.last_position).end();
}

void write_safety_of_machine(JsonWriter& json, const MachineSafetyState* safety, const ShownAt& at) {
  static const MachineSafetyState nothing;
  const MachineSafetyState& shown = safety != nullptr ? *safety : nothing;
  json.key("alarms").array();
  for (const auto& [id, alarm] : shown.alarms) {
    const AlarmStanding standing = standing_of(alarm, to_unix_us(at.now));
    if (standing == AlarmStanding::kShelved || standing == AlarmStanding::kCleared) continue;
    json.object().field("id", id).field("ref", alarm_ref(id)).field("rule", alarm.rule);
    json.text_or_null("subject", alarm.subject).field("level", schema::EnumNameAlarmLevel(alarm.level));
    json.field("text", alarm.text);
    write_time(json, "since", alarm.raised_us);
    json.field("acknowledged", alarm.acknowledged).end();
  }
  const schema::SafetyViewT& view = shown.view;
  json.end().key("emergency").object().field("latched", view.latched);
  write_time(json, "since", view.latched ? view.latched_us : 0);
  json.text_or_null("by", view.latched ? std::string_view(view.latched_by) : std::string_view());
  json.text_or_null("text", view.latched ? std::string_view(view.latch_text) : std::string_view());
  json.end().key("limits");
  const schema::LimitSetT* limits = view.applied ? view.applied.get() : view.limits.get();
  if (limits == nullptr) {
    json.null();
  } else {
    json.object();
    write_limits(json, *limits, false);
    json.end();
  }
  json.field("plate_clear", view.plate_clear);
}

bool limits_hold(const schema::SafetyViewT& view) { return view.applied_version == view.limits_version; }

void write_machine_limits(JsonWriter& json, const schema::SafetyViewT& view) {
  json.object().field("machine", view.machine).field("status", limits_hold(view) ? "applied" : "pending");
  json.field("version", view.limits_version).field("applied_version", view.applied_version);
  write_time(json, "changed_at", view.limits_changed_us);
  json.text_or_null("actor", view.limits_actor).text_or_null("reason", view.limits_reason);
  json.key("limits").object();
  write_limits(json, view.limits ? *view.limits : schema::LimitSetT{}, true);
  json.end().key("applied");
  if (view.applied) {
    json.object();
    write_limits(json, *view.applied, true);
    json.end();
  } else {
    json.null();
  }
  json.end();
}

void write_rule(JsonWriter& json, const MonitorRuleRow& row, const std::vector<schema::SafetyRuleViewT>& rules,
                std::string_view machine) {
  const auto* own = machine.empty() ? nullptr : setting_of(rules, row.code, machine);
  const auto* counts = own != nullptr ? own : setting_of(rules, row.code, "");
  const schema::SafetyRuleSetT standard = default_setting(row);
  json.object().field("rule", row.code).text_or_null("machine", machine);
  json.field("set_for", own != nullptr ? "machine" : counts != nullptr ? "all" : "default");
  write_setting(json, counts != nullptr ? *counts->setting : standard);
  json.key("default").object();
  write_setting(json, standard);
  json.end().text_or_null("unit", row.unit);
  json.key("threshold_min");
  row.threshold ? json.value(row.threshold_min) : json.null();
  json.key("threshold_max");
  row.threshold ? json.value(row.threshold_max) : json.null();
  json.field("raised_by", row.by == RaisedBy::kHub ? "hub" : "adapter");
  json.field("watches", row.watches).field("description", row.description);
  json.text_or_null("actor", counts != nullptr ? std::string_view(counts->actor) : std::string_view());
  write_time(json, "changed_at", counts != nullptr ? counts->changed_us : 0);
  json.end();
}

Result<std::map<std::string, MachineSafetyState>> read_safety_states(const ViewReader& reader) {
  std::map<std::string, MachineSafetyState> states;
  auto machines = read_safety(reader);
  if (!machines) return machines.error();
  for (auto& [id, view] : *machines) states[id].view = std::move(view);
  AlarmQuery query;
  query.limit = kMaxStanding;
  query.active_only = true;
  auto standing = list_alarms(reader, query);
  if (!standing) return standing.error();
  for (schema::AlarmViewT& alarm : standing->alarms) {
    auto& alarms = states[alarm.machine].alarms;
    const std::string id = alarm.id;
    alarms.emplace(id, std::move(alarm));
  }
  return states;
}

Result<MachineSafetyState> read_safety_state(const ViewReader& reader, const std::string& machine) {
  auto view = find_safety(reader, machine);
  if (!view) return view.error();
  AlarmQuery query;
  query.machine = machine;
  query.limit = kMaxStanding;
  query.active_only = true;
  auto standing = list_alarms(reader, query);
  if (!standing) return standing.error();
  MachineSafetyState state{std::move(*view), {}};
  for (schema::AlarmViewT& alarm : standing->alarms) {
    const std::string id = alarm.id;
    state.alarms.emplace(id, std::move(alarm));
  }
  return state;
}

boost::system::result<std::string, HttpResponse> known_machine(const RouteContext& context, const std::string& id) {
  const auto machine = find_machine(*context.parts.store.reader(), id);
  if (!machine) return api_problem_from(machine.error());
  if (!*machine) return machine_not_found(id);
  return id;
}

}  // namespace millrace
