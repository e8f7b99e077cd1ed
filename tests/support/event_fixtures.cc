// SPDX-License-Identifier: Apache-2.0
#include "tests/support/event_fixtures.h"

#include <cstdlib>

namespace millrace::testing {

Envelope event(const EventId& id, EventDraft draft) { return Envelope::build(id, draft).value(); }

Envelope fact(const std::string& producer, uint64_t epoch, uint64_t sequence, const std::string& machine) {
  schema::MachineStateChangedT payload;
  payload.state = schema::MachineState::ready;
  payload.text = "event " + std::to_string(sequence);
  return event({producer, epoch, sequence}, draft_of(std::move(payload), machine.empty() ? producer : machine,
                                                     noon(static_cast<int64_t>(sequence))));
}

Envelope fact_of_size(const std::string& producer, uint64_t epoch, uint64_t sequence, size_t bytes) {
  constexpr size_t kOverhead = 140;
  schema::MachineStateChangedT payload;
  payload.text = std::string(bytes > kOverhead ? bytes - kOverhead : 1, static_cast<char>('a' + sequence % 26));
  return event({producer, epoch, sequence}, draft_of(std::move(payload), producer, noon()));
}

Envelope telemetry(const std::string& producer, uint64_t epoch, uint64_t sequence, const std::string& machine) {
  schema::TelemetrySampledT payload;
  auto signal = std::make_unique<schema::SignalT>();
  signal->object = "extruder";
  signal->field = "temperature";
  signal->value = 200.0 + static_cast<double>(sequence);
  payload.signals.push_back(std::move(signal));
  return event({producer, epoch, sequence}, draft_of(std::move(payload), machine.empty() ? producer : machine,
                                                     noon(static_cast<int64_t>(sequence))));
}

Envelope epoch_opened(const std::string& producer, uint64_t epoch, EventOrder previous) {
  schema::EpochOpenedT payload;
  payload.previous_epoch = previous.epoch;
  payload.previous_last_sequence = previous.sequence;
  return event({producer, epoch, 1}, draft_of(std::move(payload), producer, noon()));
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-test-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

TemporaryDirectory::~TemporaryDirectory() {
  if (std::getenv("MILLRACE_KEEP_FOLDERS") != nullptr) return;  // to look at what a failed test left
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace millrace::testing
