// SPDX-License-Identifier: Apache-2.0
// A log in memory with short verbs for what happens in a shop.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "bus/event_log.h"
#include "projections/apply_group.h"
#include "projections/job_history.h"
#include "projections/machine_state.h"
#include "projections/projector.h"
#include "projections/registry.h"

namespace millrace {

inline constexpr int64_t kSecond = 1'000'000;
inline constexpr int64_t kStart = 1'795'209'786'041'954;  // of the first recorded print

class Shop {
 public:
  explicit Shop(uint64_t incarnation = 1) : log(make_memory_event_log(incarnation)) {}

  // Appends one event as a commit of its own and returns the commit.
  template <class PayloadT>
  std::shared_ptr<const Commit> say(PayloadT payload, const std::string& machine = "voron-2") {
    return append({draft_of(std::move(payload), machine, from_unix_us(now_us))});
  }

  // Removes the telemetry up to here, and says so.
  std::shared_ptr<const Commit> expire_telemetry(Position through) {
    schema::TelemetryExpiredT expired;
    expired.through = through.value;
    const EventDraft draft = draft_of(std::move(expired), "", from_unix_us(now_us));
    const std::vector<Envelope> envelopes{*Envelope::build({"voron-2", 7, ++sequence}, draft)};
    now_us += kSecond / 10;
    const auto commit = log->append({envelopes, {}, from_unix_us(now_us), through});
    EXPECT_TRUE(commit.has_value());
    return std::make_shared<const Commit>(*commit);
  }

  std::shared_ptr<const Commit> append(std::vector<EventDraft> drafts) {
    std::vector<Envelope> envelopes;
    for (const EventDraft& draft : drafts) envelopes.push_back(*Envelope::build({"voron-2", 7, ++sequence}, draft));
    now_us += kSecond / 10;
    const auto commit = log->append({.envelopes = envelopes, .recorded_at = from_unix_us(now_us)});
    EXPECT_TRUE(commit.has_value());
    return std::make_shared<const Commit>(*commit);
  }

  std::vector<RecordedEvent> events() const { return log->read(Position{0}, {.events = 100'000}, {})->events; }

  std::unique_ptr<EventLog> log;
  uint64_t sequence = 0;
  int64_t now_us = kStart;
};

inline schema::MachineRegisteredT registered(const std::string& name) {
  schema::MachineRegisteredT event;
  event.name = name;
  event.kind = "printer";
  event.managed_by = "config";
  return event;
}

inline schema::MachineConnectedT connected() {
  schema::MachineConnectedT event;
  event.moonraker_version = "v0.9.3";
  event.klipper_version = "v0.12.0";
  event.hostname = "pi";
  return event;
}

inline schema::MachineDisconnectedT disconnected(const std::string& reason) {
  schema::MachineDisconnectedT event;
  event.reason = reason;
  return event;
}

inline schema::MachineStateChangedT state_changed(schema::MachineState state, const std::string& klipper = "ready") {
  schema::MachineStateChangedT event;
  event.state = state;
  event.klipper_state = klipper;
  return event;
}

struct Signal3 {
  std::string object, field;
  double value;
};
inline schema::TelemetrySampledT sampled(const std::vector<Signal3>& signals, bool full = false) {
  schema::TelemetrySampledT event;
  event.full = full;
  for (const Signal3& signal : signals) {
    event.signals.push_back(std::make_unique<schema::SignalT>());
    event.signals.back()->object = signal.object;
    event.signals.back()->field = signal.field;
    event.signals.back()->value = signal.value;
  }
  return event;
}

inline std::string row_id(int64_t start_us = kStart) { return "voron-2." + std::to_string(start_us); }

inline schema::JobStartedT started(const std::string& id, int64_t start_us, const std::string& file = "cube.gcode",
                                   schema::JobSeen seen = schema::JobSeen::live) {
  schema::JobStartedT event;
  event.job_id = id;
  event.start_us = start_us;
  event.filename = file;
  event.seen = seen;
  return event;
}

inline schema::JobFinishedT finished(const std::string& id, schema::JobOutcome outcome, schema::JobEvidence evidence,
                                     double total = 100) {
  schema::JobFinishedT event;
  event.job_id = id;
  event.outcome = outcome;
  event.evidence = evidence;
  event.total_duration = total;
  return event;
}

inline schema::JobProgressedT progressed(const std::string& id, double progress, double total) {
  schema::JobProgressedT event;
  event.job_id = id;
  event.progress = progress;
  event.total_duration = total;
  return event;
}

// Both views in a store in memory, folded without a projector.
class Views {
 public:
  Views() : store(make_memory_view_store(view_names())) {}

  void fold(const std::vector<RecordedEvent>& events) {
    for (const auto& projection : make_projections()) {
      const auto group = fold_group(*projection, *store->reader(), events);
      ASSERT_TRUE(group.has_value()) << group.error().message();
      ASSERT_TRUE(store->commit(group->writes).has_value());
    }
  }

  schema::MachineViewT machine(const std::string& id = "voron-2") const {
    auto machines = read_machines(*store->reader());
    return machines->contains(id) ? std::move(machines->at(id)) : schema::MachineViewT{};
  }
  std::vector<schema::JobViewT> jobs(JobQuery query = {}) const { return list_jobs(*store->reader(), query)->jobs; }

  std::unique_ptr<ViewStore> store;
};

}  // namespace millrace
