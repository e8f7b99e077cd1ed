// SPDX-License-Identifier: Apache-2.0
#include "consumers/emergency_latches.h"

namespace millrace {
namespace {

constexpr size_t kReadEvents = 1000;

bool concerns_latches(EventType type) {
  return type == EventType::EmergencyStopped || type == EventType::EmergencyLatched ||
         type == EventType::EmergencyReset;
}

}  // namespace

bool EmergencyLatches::fold(const Envelope& envelope, Position position) {
  if (!concerns_latches(envelope.type()) || envelope.machine().empty()) return false;
  Known& known = known_[std::string(envelope.machine())];
  if (position.value <= known.position) return false;
  known.position = position.value;
  known.latch = envelope.type() == EventType::EmergencyReset ? 0 : position.value;
  return true;
}

void EmergencyLatches::begin(const std::vector<Change>& known, Position through) {
  std::lock_guard lock(mutex_);
  through_ = through;
  for (const Change& change : known) {
    Known& machine = known_[change.machine];
    if (machine.position <= through.value) machine = {through.value, change.latch};
  }
}

std::vector<EmergencyLatches::Change> EmergencyLatches::take(const Commit& commit) {
  std::lock_guard lock(mutex_);
  std::map<std::string, uint64_t> changed;
  for (size_t i = 0; i < commit.envelopes.size(); ++i) {
    const Envelope& envelope = commit.envelopes[i];
    if (!fold(envelope, commit.first + i)) continue;
    const std::string machine(envelope.machine());
    changed[machine] = known_[machine].latch;
  }
  std::vector<Change> changes;
  for (const auto& [machine, latch] : changed) changes.push_back({machine, latch});
  return changes;
}

Result<void> EmergencyLatches::read(const EventLog& log) {
  EventFilter filter;
  filter.types = {EventType::EmergencyStopped, EventType::EmergencyLatched, EventType::EmergencyReset};
  Position after = through_;
  for (bool at_end = false; !at_end;) {
    const auto read = log.read(after, {.events = kReadEvents}, filter);
    if (!read) return read.error();
    std::lock_guard lock(mutex_);
    for (const RecordedEvent& event : read->events) fold(event.envelope, event.position);
    after = read->through;
    at_end = read->at_end;
  }
  return {};
}

std::vector<EmergencyLatches::Change> EmergencyLatches::all() const {
  std::lock_guard lock(mutex_);
  std::vector<Change> all;
  for (const auto& [machine, known] : known_) all.push_back({machine, known.latch});
  return all;
}

}  // namespace millrace
