// SPDX-License-Identifier: Apache-2.0
// Where an adapter's events go.  The runner behind it numbers them, keeps them in the outbox and publishes them.
#pragma once

#include <string_view>
#include <vector>

#include "bus/events.h"

namespace millrace {

class EventSink {
 public:
  virtual ~EventSink() = default;

  // The id that the first event of the next emit() will get.
  virtual EventId next_id() const = 0;

  // Takes the events in order, together with the adapter's own state after them, in one atomic write.  Never blocks on
  // the network.  An outbox that is full drops telemetry first and says so in an event of its own.
  virtual void emit(std::vector<EventDraft> events, std::string_view state) = 0;
};

}  // namespace millrace
