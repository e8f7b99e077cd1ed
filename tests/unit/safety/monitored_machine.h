// SPDX-License-Identifier: Apache-2.0
// Events of one machine with short verbs, and the alarms that its monitor makes of them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "safety/machine_monitor.h"
#include "tests/support/event_fixtures.h"

namespace millrace::testing {

struct Value {
  std::string object;
  std::string field;
  double value;
};

inline EventDraft sample_at(double seconds, const std::vector<Value>& values, bool full = false) {
  schema::TelemetrySampledT event;
  event.full = full;
  for (const Value& value : values) {
    event.signals.push_back(std::make_unique<schema::SignalT>());
    event.signals.back()->object = value.object;
    event.signals.back()->field = value.field;
    event.signals.back()->value = value.value;
  }
  const WallTime at = noon(static_cast<int64_t>(seconds * 1e6));
  return draft_of(std::move(event), "m", at, at);
}

inline std::string line_of(const AlarmTransition& transition) {
  return fmt::format("{} {}", transition.raised ? "raised" : "cleared", transition.alarm_id);
}

class MonitoredMachine {
 public:
  explicit MonitoredMachine(RuleSettings rules = {}) : rules(rules), monitor("m", rules) {
    connect();
    state(schema::MachineState::ready);
  }

  void connect() { say(schema::MachineConnectedT{}); }
  void state(schema::MachineState state, const std::string& text = "") {
    schema::MachineStateChangedT event;
    event.state = state;
    event.text = text;
    say(std::move(event));
  }
  void limits(const schema::LimitSetT& limits) {
    schema::LimitsAppliedT event;
    event.limits = std::make_unique<schema::LimitSetT>(limits);
    say(std::move(event));
  }
  template <class PayloadT>
  void say(PayloadT payload) {
    take(draft_of(std::move(payload), "m", noon(static_cast<int64_t>(now * 1e6))));
  }
  void sample(const std::vector<Value>& values, bool full = false) { take(sample_at(now, values, full)); }
  // Each second for so long the values, and something that always changes.
  void hold(double seconds, const std::vector<Value>& values = {}) {
    for (double end = now + seconds; now < end;) {
      now += 1;
      auto all = values;
      all.push_back({"temperature_sensor pi", "temperature", 40 + (++ticks % 2) * 0.1});
      sample(all);
    }
  }
  void take(const EventDraft& event) {
    EventView view;
    view_of(event, view);
    for (AlarmTransition& transition : monitor.observe(view)) {
      lines.push_back(line_of(transition));
      last = std::move(transition);
    }
  }
  std::vector<std::string> told() { return std::exchange(lines, {}); }

  RuleSettings rules;
  MachineMonitor monitor;
  double now = 0;
  int ticks = 0;
  std::vector<std::string> lines;
  AlarmTransition last;
};

using Lines = std::vector<std::string>;

}  // namespace millrace::testing
