// SPDX-License-Identifier: Apache-2.0
#include "safety/back_test.h"

#include <algorithm>
#include <deque>

namespace millrace {
namespace {

constexpr std::chrono::hours kWarmUp{6};         // every value is told once in this time
constexpr std::chrono::seconds kOneFailure{60};  // a print that fails and the shutdown that it fails by
constexpr size_t kPage = 2000;

RuleSettings only(MonitorRule rule, const RuleSettings::Setting& setting) {
  RuleSettings rules;
  for (const MonitorRuleRow& row : monitor_rules()) {
    RuleSettings::Setting off = rules.of(row.rule);
    off.enabled = false;
    rules.set(row.rule, off);
  }
  RuleSettings::Setting on = setting;
  on.enabled = true;
  rules.set(rule, on);
  return rules;
}

// "failed" or "shutdown"; empty where the event tells of no failure.
std::string_view failure_in(const Envelope& envelope) {
  if (const auto* changed = envelope.as<schema::MachineStateChanged>()) {
    return changed->state() == schema::MachineState::shutdown ? "shutdown" : "";
  }
  const auto* finished = envelope.as<schema::JobFinished>();
  const bool failed = finished != nullptr && !finished->late() && finished->outcome() == schema::JobOutcome::failed;
  return failed ? "failed" : "";
}

class BackTest {
 public:
  BackTest(const EventLog& log, const Clock& clock, const BackTestOptions& options)
      : log_(log), clock_(clock), options_(options) {
    for (const auto& [id, limits] : options.machines) {
      Machine& machine =
          machines_.try_emplace(id, Machine{MachineMonitor(id, only(options.rule, options.setting))}).first->second;
      EventView seed;
      seed.type = EventType::LimitsApplied;
      seed.limits = limits;
      (void)machine.monitor.observe(seed);
    }
  }

  Result<BackTestResult> run() {
    const MonotonicTime deadline = clock_.monotonic() + options_.max_time;
    EventFilter filter;
    for (EventType type = EventType::NONE; type <= EventType::MAX;
         type = static_cast<EventType>(static_cast<int>(type) + 1)) {
      if (is_monitored(type)) filter.types.insert(type);
    }
    if (machines_.size() == 1) filter.machine = machines_.begin()->first;
    filter.to = options_.to;
    const auto first = log_.first_at(options_.from - kWarmUp);
    if (!first) return first.error();
    Position after{first->value - 1};
    for (;;) {
      const auto read = log_.read(after, {.events = kPage, .scanned = 50'000}, filter);
      if (!read) return read.error();
      for (const RecordedEvent& event : read->events) take(event);
      result_.events += read->through.value - after.value;
      after = read->through;
      if (read->at_end || after >= log_.last()) break;
      if (!read->events.empty() && read->events.back().recorded_at >= options_.to) break;
      if (result_.events >= options_.max_events) result_.stopped = "events";
      if (clock_.monotonic() >= deadline) result_.stopped = "time";
      if (!result_.stopped.empty()) break;
      const auto end = end_position();
      if (!end) return end.error();
      if (after + 1 >= *end) break;
    }
    finish();
    return std::move(result_);
  }

 private:
  struct Pending {  // a hit that no failure has followed yet
    WallTime at{};
    size_t index = 0;  // into hits; as many as there are: it is only counted
  };
  struct Machine {
    MachineMonitor monitor;
    std::map<std::string, size_t> standing = {};  // alarm id -> index into hits
    std::deque<Pending> pending = {};
    std::optional<WallTime> failed_at = {};
  };

  // Of the first event that is no longer asked for.
  Result<Position> end_position() {
    if (!end_) {
      const auto found = log_.first_at(options_.to);
      if (!found) return found.error();
      end_ = *found;
    }
    return *end_;
  }

  void take(const RecordedEvent& event) {
    const auto found = machines_.find(event.envelope.machine());
    // What the hub, an import or another sensor says of a machine did not pass the machine's monitor either.
    if (found == machines_.end() || event.envelope.producer() != event.envelope.machine()) return;
    Machine& machine = found->second;
    result_.through = event.recorded_at;
    view_of(event.envelope, view_);
    const bool counts = event.recorded_at >= options_.from;
    for (const AlarmTransition& transition : machine.monitor.observe(view_)) {
      if (transition.raised && counts) {
        hit(machine, found->first, event, transition);
      } else if (const auto stands = machine.standing.find(transition.alarm_id); stands != machine.standing.end()) {
        result_.hits[stands->second].cleared_at = event.envelope.observed_at();
        machine.standing.erase(stands);
      }
    }
    if (const auto failure = failure_in(event.envelope); counts && !failure.empty()) {
      failed(machine, event.envelope.observed_at(), failure);
    }
  }

  void hit(Machine& machine, const std::string& id, const RecordedEvent& event, const AlarmTransition& transition) {
    ++result_.hit_count;
    machine.pending.push_back({event.envelope.observed_at(), result_.hits.size()});
    if (machine.pending.size() > options_.max_hits) machine.pending.pop_front();
    if (result_.hits.size() >= options_.max_hits) return;
    machine.standing[transition.alarm_id] = result_.hits.size();
    BackTestHit made;
    made.machine = id;
    made.subject = transition.subject;
    made.raised_at = event.envelope.observed_at();
    made.text = transition.text;
    made.value = transition.value;
    made.job_id = transition.job_id;
    made.position = event.position.value;
    result_.hits.push_back(std::move(made));
  }

  void failed(Machine& machine, WallTime at, std::string_view what) {
    if (machine.failed_at && at - *machine.failed_at < kOneFailure) return;
    machine.failed_at = at;
    ++result_.failures;
    bool foreseen = false;
    for (const Pending& pending : std::exchange(machine.pending, {})) {
      if (at - pending.at > options_.horizon) continue;
      foreseen = true;
      ++result_.before_failure;
      leads_.push_back(at - pending.at);
      if (pending.index >= result_.hits.size()) continue;
      result_.hits[pending.index].failure_at = at;
      result_.hits[pending.index].failure = what;
    }
    if (foreseen) ++result_.foreseen;
  }

  void finish() {
    if (leads_.empty()) return;
    const auto middle = leads_.begin() + static_cast<std::ptrdiff_t>(leads_.size() / 2);
    std::nth_element(leads_.begin(), middle, leads_.end());
    result_.lead = *middle;
  }

  const EventLog& log_;
  const Clock& clock_;
  const BackTestOptions& options_;
  std::map<std::string, Machine, std::less<>> machines_;
  std::optional<Position> end_;
  EventView view_;
  std::vector<Micros> leads_;
  BackTestResult result_;
};

}  // namespace

Result<BackTestResult> back_test(const EventLog& log, const Clock& clock, const BackTestOptions& options) {
  return BackTest(log, clock, options).run();
}

}  // namespace millrace
