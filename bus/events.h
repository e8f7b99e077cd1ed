// SPDX-License-Identifier: Apache-2.0
// The vocabulary of events: the generated types of schemas/event.fbs under the names that the rest of the house uses.
// Building: fill a JobStartedT (a plain struct with std::string and optional members) and wrap it in an EventDraft.
// Reading: Envelope::as<schema::JobStarted>() gives the verified table in place, or nullptr.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "bus/ids.h"
#include "schemas/event_generated.h"

namespace millrace {

using EventType = schema::Payload;

// "JobStarted"; "NONE" for no payload and "" for a type that this program does not know.
std::string_view name_of(EventType type);
// The reverse; nullopt for an unknown name.
std::optional<EventType> event_type_from(std::string_view name);

// Facts are kept for ever; telemetry for a limited time, and it is dropped first where something must be dropped.
enum class Family { kFact, kTelemetry };
Family family_of(EventType type);

// An event before it has an identity.  The producer's runner numbers it and turns it into an Envelope.
struct EventDraft {
  schema::PayloadUnion payload;
  std::string machine;     // empty: concerns no machine
  WallTime occurred_at{};  // the machine's clock; zero when it did not say
  WallTime observed_at{};  // the adapter's clock
  std::string actor;
  std::string correlation;
  std::optional<EventId> causation;
};

// EventDraft around one payload struct, e.g. draft_of(schema::JobStartedT{...}, "voron-2", now).
template <class PayloadT>
EventDraft draft_of(PayloadT payload, std::string machine, WallTime observed_at, WallTime occurred_at = {}) {
  EventDraft draft;
  draft.payload.Set(std::move(payload));
  draft.machine = std::move(machine);
  draft.observed_at = observed_at;
  draft.occurred_at = occurred_at;
  return draft;
}

// FlatBuffers strings may be absent: absent reads as empty.
inline std::string_view text(const flatbuffers::String* value) {
  return value == nullptr ? std::string_view{} : std::string_view{value->c_str(), value->size()};
}

}  // namespace millrace
