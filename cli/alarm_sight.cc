// SPDX-License-Identifier: Apache-2.0
#include "cli/alarm_sight.h"

#include <algorithm>

#include "projections/machine_state.h"
#include "projections/safety_state.h"
#include "safety/monitor_rules.h"

namespace millrace {
namespace {

constexpr size_t kMaxAlarms = 10'000;  // looked at once; the others are cleared or acknowledged first

HubRule hub_rule(const RuleSettings& rules, MonitorRule rule) {
  const RuleSettings::Setting& setting = rules.of(rule);
  return {setting.enabled, setting.level, setting.action,
          std::chrono::milliseconds(static_cast<int64_t>(setting.for_s * 1000))};
}

StandingAlarm standing(const schema::AlarmViewT& view) {
  StandingAlarm alarm;
  alarm.id = view.id;
  alarm.machine = view.machine;
  alarm.rule = view.rule;
  alarm.text = view.text;
  alarm.level = view.level;
  alarm.acknowledged = view.acknowledged;
  alarm.escalated = view.escalated;
  alarm.raised_at = from_unix_us(view.raised_us);
  if (view.shelved_until_us != 0) alarm.shelved_until = from_unix_us(view.shelved_until_us);
  return alarm;
}

WatchedMachine watched(const schema::MachineViewT& view, const std::vector<schema::SafetyRuleViewT>& rules,
                       WallTime began) {
  WatchedMachine machine;
  machine.id = view.id;
  const bool looked_after = !view.removed && (!view.settings || view.settings->enabled);
  const bool prints = view.job && view.job->outcome == schema::JobOutcome::running;
  if (looked_after && prints) machine.job_id = view.job->id;
  machine.link_up = view.link_up;
  machine.left = view.disconnect_reason == "stopped";
  if (view.disconnected_since_us != 0)
    machine.disconnected_since = std::max(began, from_unix_us(view.disconnected_since_us));
  machine.heard_at = std::max(began, from_unix_us(view.last_recorded_us));
  const RuleSettings settings(rules_for(rules, view.id));
  machine.offline = hub_rule(settings, MonitorRule::kMachineOfflineWhilePrinting);
  machine.nobody = hub_rule(settings, MonitorRule::kNobodyWatching);
  return machine;
}

}  // namespace

Result<AlarmSight> alarm_sight(const ViewReader& reader, WallTime now, WallTime began) {
  AlarmSight sight;
  AlarmQuery query;
  query.now_us = to_unix_us(now);
  query.limit = kMaxAlarms;
  query.active_only = true;
  const auto page = list_alarms(reader, query);
  if (!page) return page.error();
  for (const schema::AlarmViewT& alarm : page->alarms) sight.alarms.push_back(standing(alarm));
  const auto machines = read_machines(reader);
  if (!machines) return machines.error();
  const auto rules = read_rules(reader);
  if (!rules) return rules.error();
  for (const auto& [id, machine] : *machines) sight.machines.push_back(watched(machine, *rules, began));
  return sight;
}

}  // namespace millrace
