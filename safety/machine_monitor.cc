// SPDX-License-Identifier: Apache-2.0
// The fold: events become what is known of the machine, sightings become alarms.  The rules are in
// monitor_judgement.cc.
#include "safety/machine_monitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "safety/failure_cause.h"

namespace millrace {
namespace {

constexpr double kProgress = 1;  // K nearer to the target: it still gets there
constexpr double kReached = 3;   // K from the target
constexpr double kMinuteUs = 60e6;

int64_t to_us(double seconds) { return std::llround(seconds * 1e6); }

bool starts_with_word(std::string_view object, std::string_view word) {
  return object.starts_with(word) && (object.size() == word.size() || object[word.size()] == ' ');
}

bool has_temperature(std::string_view object) {
  return object.starts_with("extruder") || object == "heater_bed" || starts_with_word(object, "heater_generic") ||
         starts_with_word(object, "temperature_sensor") || starts_with_word(object, "temperature_fan");
}

bool is_fan(std::string_view object) {
  return object == "fan" || starts_with_word(object, "fan_generic") || starts_with_word(object, "heater_fan") ||
         starts_with_word(object, "controller_fan");
}

bool is_mcu(std::string_view object) { return starts_with_word(object, "mcu"); }

// The one of that name, made when there is room; nullptr beyond `most`.
template <class Record>
Record* named(std::map<std::string, Record, std::less<>>& records, std::string_view name, size_t most) {
  const auto found = records.find(name);
  if (found != records.end()) return &found->second;
  if (records.size() >= most) return nullptr;
  return &records.try_emplace(std::string(name)).first->second;
}

template <class Record>
void keep_named(std::map<std::string, Record, std::less<>>& records, const std::vector<SignalView>& signals) {
  std::erase_if(records, [&](const auto& entry) {
    return std::ranges::none_of(signals, [&](const SignalView& signal) { return signal.object == entry.first; });
  });
}

// Of facts, which hold whether or not the machine is seen.
bool is_of_facts(MonitorRule rule) {
  return rule == MonitorRule::kClockOff || rule == MonitorRule::kKlipperShutdown || rule == MonitorRule::kHeaterFault ||
         rule == MonitorRule::kMcuLost;
}

}  // namespace

std::string alarm_id_of(std::string_view machine, std::string_view rule, std::string_view subject) {
  return subject.empty() ? fmt::format("{}/{}", machine, rule) : fmt::format("{}/{}/{}", machine, rule, subject);
}

MachineMonitor::MachineMonitor(std::string machine, RuleSettings rules)
    : machine_(std::move(machine)), rules_(std::move(rules)) {}

std::vector<AlarmTransition> MachineMonitor::observe(const EventView& event) {
  if (!is_monitored(event.type)) return {};
  pass_time(event.observed_us);
  transitions_.clear();
  sighted_.clear();
  moved_ = false;
  bool full = false;
  switch (event.type) {
    case EventType::MachineConnected:
    case EventType::MachineDisconnected:
    case EventType::FirmwareRestarted:
      forget_values();
      break;
    case EventType::TelemetrySampled:
      take_sample(event);
      full = event.full;
      break;
    case EventType::MachineStateChanged:
      take_state(event);
      break;
    case EventType::JobStarted:
      if (event.live) job_id_ = event.job_id;
      break;
    case EventType::JobFinished:
      if (event.job_id == job_id_) job_id_.clear();
      break;
    case EventType::MachineClockOff:
      clock_off_ = event.active;
      clock_skew_s_ = static_cast<double>(event.skew_ms) / 1000;
      break;
    default:
      limits_ = event.limits;
      break;
  }
  judge_all(full);
  return std::exchange(transitions_, {});
}

void MachineMonitor::pass_time(int64_t observed_us) {
  if (last_event_us_ != 0) now_ += std::clamp<int64_t>(observed_us - last_event_us_, 0, kMaxStep);
  last_event_us_ = observed_us;
}

// Another connection: what the values did meanwhile is not known, so nothing that was about to be an alarm is one.
void MachineMonitor::forget_values() {
  temperatures_.clear();
  fans_.clear();
  mcus_.clear();
  position_ = {};
  live_position_ = false;
  cpu_usage_.reset();
  disk_free_.reset();
  disk_total_.reset();
  had_sample_ = false;
  for (auto& [key, watch] : watches_) {
    if (!is_of_facts(key.first)) watch.bad_since = watch.ok_since = 0;
  }
}

void MachineMonitor::take_sample(const EventView& event) {
  if (event.full) {
    keep_named(temperatures_, event.signals);
    keep_named(fans_, event.signals);
    keep_named(mcus_, event.signals);
  }
  // A rate needs two samples of one connection.  Values that do not change are not sent, so what holds now was also
  // that of the sample before.
  for (auto& [name, sensor] : temperatures_) sensor.before = had_sample_ ? sensor.value : std::nullopt;
  for (const SignalView& signal : event.signals) {
    if (std::isfinite(signal.value)) take_signal(signal);
  }
  // By the machine's clock, where both samples have it: a replay may run faster than the adapter's.
  const bool by_machine = event.occurred_us != 0 && sample_occurred_us_ != 0;
  const double seconds = std::max(0.5, static_cast<double>(event.occurred_us - sample_occurred_us_) / 1e6);
  for (auto& [name, sensor] : temperatures_) {
    sensor.jump = sensor.before && by_machine ? std::abs(*sensor.value - *sensor.before) / seconds : 0;
  }
  for (auto& [name, sensor] : temperatures_) settle(sensor);
  had_sample_ = true;
  sample_occurred_us_ = event.occurred_us;
}

void MachineMonitor::take_signal(const SignalView& signal) {
  const auto axis = [&](std::string_view prefix) -> std::optional<size_t> {
    if (!signal.field.starts_with(prefix) || signal.field.size() != prefix.size() + 1) return std::nullopt;
    const size_t index = std::string_view("xyz").find(signal.field.back());
    return index == std::string_view::npos ? std::nullopt : std::optional(index);
  };
  if (has_temperature(signal.object)) {
    if (auto* sensor = named(temperatures_, signal.object, kMaxObjects)) {
      take_temperature(*sensor, signal.field, signal.value);
    }
  } else if (is_fan(signal.object)) {
    auto* fan = named(fans_, signal.object, kMaxObjects);
    if (fan != nullptr && signal.field == "speed") fan->speed = signal.value;
    if (fan != nullptr && signal.field == "rpm") fan->rpm = signal.value;
  } else if (is_mcu(signal.object)) {
    if (auto* mcu = named(mcus_, signal.object, kMaxObjects)) take_mcu(*mcu, signal.field, signal.value);
  } else if (signal.object == "motion_report") {
    moved_ = true;
    if (const auto at = axis("live_position.")) {
      live_position_ = true;
      position_[*at] = signal.value;
    }
  } else if (signal.object == "toolhead") {
    moved_ = true;
    if (const auto at = axis("position."); at && !live_position_) position_[*at] = signal.value;
  } else if (signal.object == "virtual_sdcard" || signal.object == "gcode_move") {
    moved_ = true;
  } else if (signal.object == "print_stats") {
    if (signal.field == "filament_used" || signal.field == "current_layer") moved_ = true;
  } else if (signal.object == "host") {
    if (signal.field == "cpu_usage") cpu_usage_ = signal.value;
    if (signal.field == "disk_free") disk_free_ = signal.value;
    if (signal.field == "disk_total") disk_total_ = signal.value;
  }
}

void MachineMonitor::take_temperature(Temperature& sensor, std::string_view field, double value) {
  if (field == "temperature") {
    if (sensor.value != value) sensor.changed_at = now_;
    sensor.value = value;
  } else if (field == "power") {
    sensor.power = value;
  } else if (field == "target") {
    if (sensor.target == value) return;
    sensor.target = value;
    sensor.improved_at = 0;  // begun anew once the whole sample is known
  }
}

void MachineMonitor::take_mcu(Mcu& mcu, std::string_view field, double value) {
  if (field == "bytes_retransmit") mcu.retransmitted = value;
  if (field == "bytes_invalid") mcu.invalid = value;
  if (field == "mcu_task_avg") mcu.task_average = value;
  if (field == "mcu_task_stddev") mcu.task_deviation = value;
  const double total = mcu.retransmitted + mcu.invalid;
  if (!mcu.counting || total < mcu.counted) {
    mcu.counting = true;
    mcu.counted = total;
    mcu.counted_at = now_;
    mcu.errors.reset();
  }
}

// Follows a heater on its way to the target.
void MachineMonitor::settle(Temperature& heater) {
  if (!heater.value || !heater.target) return;
  const double distance = std::abs(*heater.value - *heater.target);
  if (heater.improved_at == 0) {
    heater.lowest = *heater.value;
    heater.best = distance;
    heater.improved_at = now_;
    heater.reached = false;
  }
  heater.lowest = std::min(heater.lowest, *heater.value);
  if (distance <= kReached) heater.reached = true;
  if (heater.reached || distance > heater.best - kProgress) return;
  heater.best = distance;
  heater.improved_at = now_;
  if (*heater.target > 0) moved_ = true;
}

void MachineMonitor::take_state(const EventView& event) {
  using State = schema::MachineState;
  moved_ = true;
  state_ = event.state;
  if (event.state == State::shutdown) {
    cause_ = failure_cause(event.text, {});
    cause_text_ = event.text.substr(0, 500);
  } else if (klipper_works()) {
    cause_.clear();
    cause_text_.clear();
  }
}

// Also while nobody has said: a look back begins somewhere.
bool MachineMonitor::klipper_works() const {
  using State = schema::MachineState;
  return state_ == State::unknown || state_ == State::ready || state_ == State::printing || state_ == State::paused ||
         state_ == State::running;
}

void MachineMonitor::judge_all(bool full) {
  for (auto& [name, mcu] : mcus_) {
    const auto passed = static_cast<double>(now_ - mcu.counted_at);
    if (!mcu.counting || passed < kMinuteUs) continue;
    const double total = mcu.retransmitted + mcu.invalid;
    mcu.errors = (total - mcu.counted) / (passed / kMinuteUs);
    mcu.counted = total;
    mcu.counted_at = now_;
  }
  judge_facts();
  judge_temperatures();
  judge_position();
  judge_fans();
  for (const auto& [name, mcu] : mcus_) judge_mcu(name, mcu);
  judge_host();
  sweep(full);
}

bool MachineMonitor::is_chattering(const Watch& watch) const {
  return watch.raises.front() != 0 && now_ - watch.raises.front() < kChatterTime;
}

// The watch whose alarm has to be raised now; nullptr otherwise.
MachineMonitor::Watch* MachineMonitor::due(const Sighting& sighting) {
  const RuleSettings::Setting& setting = rules_.of(sighting.rule);
  if (!setting.enabled) return nullptr;
  WatchKey key(sighting.rule, sighting.subject);
  auto found = watches_.find(key);
  if (found == watches_.end()) {
    if (sighting.verdict != Verdict::kBad || watches_.size() >= kMaxWatches) return nullptr;
    found = watches_.try_emplace(key).first;
  }
  sighted_.push_back(std::move(key));
  Watch& watch = found->second;
  const int64_t clear_us = sighting.at_once ? 0 : to_us(row_of(sighting.rule).clear_s);
  const int64_t raise_us = sighting.at_once ? 0 : to_us(setting.for_s);
  if (sighting.verdict == Verdict::kBad) {
    if (watch.ok_since != 0 && now_ - watch.ok_since >= clear_us) ++held_back_;
    watch.ok_since = 0;
    if (watch.bad_since == 0) watch.bad_since = now_;
    return !watch.standing && now_ - watch.bad_since >= raise_us ? &watch : nullptr;
  }
  watch.bad_since = 0;
  if (sighting.verdict == Verdict::kBetween) watch.ok_since = 0;
  if (!watch.standing || sighting.verdict == Verdict::kBetween) return nullptr;
  if (watch.ok_since == 0) watch.ok_since = now_;
  if (now_ - watch.ok_since >= clear_us && !is_chattering(watch)) clear(found->first, watch, "it is over");
  return nullptr;
}

void MachineMonitor::raise(const Sighting& sighting, Watch& watch, std::string text) {
  const RuleSettings::Setting& setting = rules_.of(sighting.rule);
  watch.standing = true;
  std::rotate(watch.raises.begin(), watch.raises.begin() + 1, watch.raises.end());
  watch.raises.back() = now_;
  AlarmTransition raised;
  raised.raised = true;
  raised.alarm_id = alarm_id_of(machine_, row_of(sighting.rule).code, sighting.subject);
  raised.rule = sighting.rule;
  raised.subject = sighting.subject;
  raised.level = setting.level;
  raised.action = setting.action;
  raised.text = std::move(text);
  raised.value = sighting.value;
  raised.threshold = sighting.threshold;
  raised.job_id = job_id_;
  transitions_.push_back(std::move(raised));
}

void MachineMonitor::clear(const WatchKey& key, Watch& watch, std::string text) {
  watch.standing = false;
  watch.bad_since = watch.ok_since = 0;
  AlarmTransition cleared;
  cleared.rule = key.first;
  cleared.subject = key.second;
  cleared.alarm_id = alarm_id_of(machine_, row_of(key.first).code, key.second);
  cleared.text = std::move(text);
  cleared.job_id = job_id_;
  transitions_.push_back(std::move(cleared));
}

// What no rule has looked at: its rule is off, or a full sample no longer has its subject.
void MachineMonitor::sweep(bool full) {
  for (auto& [key, watch] : watches_) {
    if (!rules_.of(key.first).enabled) {
      watch.bad_since = 0;
      if (watch.standing) clear(key, watch, "the rule is off");
      continue;
    }
    const bool seen = std::ranges::find(sighted_, key) != sighted_.end();
    if (seen || !full || is_of_facts(key.first)) continue;
    watch.bad_since = 0;
    if (watch.standing) clear(key, watch, "it is no longer there");
  }
  std::erase_if(watches_, [this](const auto& entry) {
    const Watch& watch = entry.second;
    return !watch.standing && watch.bad_since == 0 && now_ - watch.raises.back() >= kChatterTime;
  });
}

std::vector<AlarmTransition> MachineMonitor::end_all(const std::string& text) {
  transitions_.clear();
  for (auto& [key, watch] : watches_) {
    if (watch.standing) clear(key, watch, text);
  }
  forget_values();
  cause_.clear();
  clock_off_ = false;
  return std::exchange(transitions_, {});
}

std::vector<std::string> MachineMonitor::standing(schema::AlarmLevel least) const {
  std::vector<std::string> ids;
  for (const auto& [key, watch] : watches_) {
    if (watch.standing && rules_.of(key.first).level >= least)
      ids.push_back(alarm_id_of(machine_, row_of(key.first).code, key.second));
  }
  return ids;
}

}  // namespace millrace
