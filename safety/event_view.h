// SPDX-License-Identifier: Apache-2.0
// What monitors take notice of in one event, whether it is still a draft or is read from the log: so that the same code
// watches a machine live and looks back over its history.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "bus/envelope.h"
#include "bus/events.h"

namespace millrace {

struct SignalView {
  std::string_view object;
  std::string_view field;
  double value = 0;
};

// Texts lie in the event, which outlives the view.
struct EventView {
  EventType type = EventType::NONE;
  int64_t observed_us = 0;
  int64_t occurred_us = 0;  // 0: not said

  std::vector<SignalView> signals;  // of TelemetrySampled
  bool full = false;
  schema::MachineState state = schema::MachineState::unknown;  // of MachineStateChanged
  std::string_view text;
  std::string_view job_id;  // of JobStarted and JobFinished
  bool live = false;        // JobStarted: it begins now
  bool active = false;      // of MachineClockOff
  int64_t skew_ms = 0;
  schema::LimitSetT limits;  // of LimitsApplied
};

// Fills `view` anew; its room for signals is used again.
void view_of(const EventDraft& draft, EventView& view);
void view_of(const Envelope& envelope, EventView& view);

// The events that a monitor takes notice of.
bool is_monitored(EventType type);

}  // namespace millrace
