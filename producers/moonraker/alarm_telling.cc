// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/alarm_telling.h"

#include "bus/json_reader.h"
#include "bus/logging.h"

namespace millrace {
namespace {

constexpr size_t kMaxSaved = 64 * 1024;
constexpr size_t kMaxDepth = 8;

void restore(MachineMonitor& monitor, std::string_view saved, const std::string& machine) {
  if (saved.empty()) return;
  JsonReader reader(kMaxSaved, kMaxDepth);
  const auto json = reader.parse(saved);
  const auto restored = json ? monitor.restore(*json) : Result<void>(json.error());
  if (!restored) log_warn("adapter", "{}: its monitor begins anew: {}", machine, restored.error().message());
}

}  // namespace

AlarmTelling::AlarmTelling(EventBatch& out, std::string_view saved, uint64_t& limits_version, Metrics& metrics)
    : out_(out),
      limits_version_(limits_version),
      raised_(metrics.counter("millrace_adapter_alarms_total", "Alarms raised", {{"machine", out.machine()}})),
      held_back_(metrics.counter("millrace_adapter_alarms_held_back_total",
                                 "Times that an alarm which keeps coming back was not raised once more",
                                 {{"machine", out.machine()}})),
      monitor_(out.machine()) {
  restore(monitor_, saved, out.machine());
}

void AlarmTelling::watch_by(const MachineSafety& safety, const schema::LimitSetT& applied) {
  monitor_.set_rules(RuleSettings(safety.rules));
  if (safety.limits_version == limits_version_ && (limits_version_ == 0 || same_limits(applied, monitor_.limits())))
    return;
  limits_version_ = safety.limits_version;
  tell_limits(applied);
}

void AlarmTelling::limits_hold(const schema::LimitSetT& applied) {
  if (limits_version_ != 0 && !same_limits(applied, monitor_.limits())) tell_limits(applied);
}

void AlarmTelling::tell_limits(const schema::LimitSetT& limits) {
  schema::LimitsAppliedT applied;
  applied.version = limits_version_;
  applied.limits = std::make_unique<schema::LimitSetT>(limits);
  out_.add(std::move(applied));
}

void AlarmTelling::watch() {
  const uint64_t held_back = monitor_.held_back();
  std::vector<AlarmTransition> transitions;
  for (const EventDraft& event : out_.events()) {
    if (!is_monitored(event.payload.type)) continue;
    view_of(event, view_);
    for (AlarmTransition& transition : monitor_.observe(view_)) transitions.push_back(std::move(transition));
  }
  held_back_.add(static_cast<double>(monitor_.held_back() - held_back));
  tell(transitions);
}

void AlarmTelling::end_all() { tell(monitor_.end_all("the machine is no longer watched")); }

std::string AlarmTelling::state() const {
  JsonWriter json;
  monitor_.encode(json, true);
  return json.take();
}

void AlarmTelling::tell(const std::vector<AlarmTransition>& transitions) {
  for (const AlarmTransition& transition : transitions) {
    if (!transition.raised) {
      schema::AlarmClearedT cleared;
      cleared.alarm_id = transition.alarm_id;
      cleared.text = transition.text;
      out_.add(std::move(cleared));
      continue;
    }
    schema::AlarmRaisedT raised;
    raised.alarm_id = transition.alarm_id;
    raised.rule = row_of(transition.rule).code;
    raised.subject = transition.subject;
    raised.level = transition.level;
    raised.action = transition.action;
    raised.text = transition.text;
    raised.value = transition.value;
    raised.threshold = transition.threshold;
    raised.job_id = transition.job_id;
    raised_.add();
    if (raised.action > schema::AlarmAction::notify) actions_.push_back(raised);
    out_.add(std::move(raised));
  }
}

}  // namespace millrace
