// SPDX-License-Identifier: Apache-2.0
#include "consumers/alarm_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "bus/event_log.h"
#include "bus/logging.h"

namespace millrace {
namespace {

using Level = schema::AlarmLevel;

constexpr std::string_view kOffline = "machine_offline_while_printing";
constexpr std::string_view kNobody = "nobody_watching";

Level higher(Level level) {
  return level == Level::emergency ? level : static_cast<Level>(static_cast<uint8_t>(level) + 1);
}

bool is_shelved(const StandingAlarm& alarm, WallTime now) { return alarm.shelved_until && *alarm.shelved_until > now; }

std::string seconds_of(WallTime now, WallTime since) {
  return fmt::format("{:.0f} s", std::chrono::duration<double>(now - since).count());
}

EventDraft raised(const WatchedMachine& machine, std::string_view rule, const HubRule& setting, std::string text,
                  WallTime now) {
  schema::AlarmRaisedT event;
  event.alarm_id = fmt::format("{}/{}", machine.id, rule);
  event.rule = rule;
  event.level = setting.level;
  event.action = setting.action;
  event.text = std::move(text);
  event.job_id = machine.job_id;
  return draft_of(std::move(event), machine.id, now);
}

EventDraft cleared(const std::string& machine, std::string_view rule, WallTime now) {
  schema::AlarmClearedT event;
  event.alarm_id = fmt::format("{}/{}", machine, rule);
  event.text = "it is over";
  return draft_of(std::move(event), machine, now);
}

EventDraft escalated(const StandingAlarm& alarm, Level level, std::string text, WallTime now) {
  schema::AlarmEscalatedT event;
  event.alarm_id = alarm.id;
  event.level = level;
  event.text = std::move(text);
  return draft_of(std::move(event), alarm.machine, now);
}

}  // namespace

AlarmWatch::AlarmWatch(AlarmWatchOptions options, Look look, std::function<void(HubWrite)> submit, const Clock& clock,
                       Metrics& metrics)
    : options_(options),
      look_(std::move(look)),
      submit_(std::move(submit)),
      clock_(clock),
      standing_(metrics.gauge("millrace_alarms_standing", "Alarms that stand, of all machines")),
      unacknowledged_(metrics.gauge("millrace_alarms_unacknowledged",
                                    "Alarms that stand, are not shelved and were acknowledged by nobody")) {}

AlarmWatch::~AlarmWatch() { stop(); }

void AlarmWatch::start() {
  thread_.start(options_.interval, [this] {
    const auto told = run_once();
    if (!told) log_warn("alarms", "what is due is not told for now: {}", told.error().message());
  });
}

void AlarmWatch::stop() { thread_.stop(); }

std::chrono::minutes AlarmWatch::patience(Level level) const {
  switch (level) {
    case Level::normal:
      return std::chrono::minutes{0};
    case Level::caution:
      return options_.caution_waits;
    case Level::warning:
      return options_.warning_waits;
    case Level::critical:
      return options_.critical_waits;
    case Level::emergency:
      return options_.emergency_waits;
  }
  return std::chrono::minutes{0};
}

void AlarmWatch::look_at_machine(const WatchedMachine& machine, const AlarmSight& sight, WallTime now,
                                 std::vector<EventDraft>& events) const {
  const auto stands = [&](std::string_view rule) {
    return std::ranges::any_of(
        sight.alarms, [&](const StandingAlarm& alarm) { return alarm.machine == machine.id && alarm.rule == rule; });
  };
  const bool prints = !machine.job_id.empty();
  // A link that is down was told by an adapter that is there; one that ended says nothing more.
  const bool down = prints && !machine.link_up && !machine.left;
  const bool silent = prints && (machine.link_up || machine.left);
  const WallTime since = machine.disconnected_since.value_or(machine.heard_at);
  const auto judge = [&](std::string_view rule, const HubRule& setting, bool bad, bool over, std::string text) {
    if (stands(rule)) {
      if (over || !setting.enabled) events.push_back(cleared(machine.id, rule, now));
    } else if (bad && setting.enabled) {
      events.push_back(raised(machine, rule, setting, std::move(text), now));
    }
  };
  judge(kOffline, machine.offline, down && now - since >= machine.offline.hold, !down,
        "Moonraker cannot be reached for " + seconds_of(now, since) + " although a print is under way");
  const bool unheard = silent && now - machine.heard_at >= machine.nobody.hold;
  judge(
      kNobody, machine.nobody, unheard, !unheard,
      "no adapter has told of the machine for " + seconds_of(now, machine.heard_at) + " although a print is under way");
}

void AlarmWatch::look_at_alarm(const StandingAlarm& alarm, WallTime now, std::vector<EventDraft>& events) const {
  if (alarm.shelved_until) {
    if (is_shelved(alarm, now)) return;
    events.push_back(escalated(alarm, alarm.level, "it is no longer shelved and still stands: " + alarm.text, now));
    return;
  }
  const auto waits = patience(alarm.level);
  if (alarm.acknowledged || alarm.escalated || waits.count() == 0 || now - alarm.raised_at < waits) return;
  events.push_back(escalated(alarm, higher(alarm.level),
                             fmt::format("nobody acknowledged it in {} minutes: {}", waits.count(), alarm.text), now));
}

Result<size_t> AlarmWatch::run_once() {
  const WallTime now = clock_.wall();
  const auto sight = look_(now);
  if (!sight) return sight.error();
  standing_.set(static_cast<double>(sight->alarms.size()));
  unacknowledged_.set(static_cast<double>(std::ranges::count_if(
      sight->alarms, [&](const StandingAlarm& alarm) { return !alarm.acknowledged && !is_shelved(alarm, now); })));
  std::vector<EventDraft> events;
  for (const WatchedMachine& machine : sight->machines) look_at_machine(machine, *sight, now, events);
  for (const StandingAlarm& alarm : sight->alarms) look_at_alarm(alarm, now, events);
  if (events.empty()) return size_t{0};
  // What finds no room in one group is told at the next look.
  if (events.size() > EventLog::kMaxGroupEvents) {
    events.erase(events.begin() + static_cast<std::ptrdiff_t>(EventLog::kMaxGroupEvents), events.end());
  }
  const size_t told = events.size();
  std::promise<Result<Position>> written;
  submit_(
      {std::move(events), std::nullopt, [&written](const Result<Position>& outcome) { written.set_value(outcome); }});
  const auto outcome = written.get_future().get();
  if (!outcome) return outcome.error();
  return told;
}

}  // namespace millrace
