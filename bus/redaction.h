// SPDX-License-Identifier: Apache-2.0
// Making names in facts unreadable.  An event keeps its place, its length and everything but the named bytes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bus/envelope.h"
#include "bus/event_log.h"

namespace millrace {

// At least one of the two is set.
struct RedactionRule {
  // This job's file name, user, object names, metadata, and what people wrote about it (notes, title, tags, link,
  // captions), in each of its events.
  std::string job_id;
  // This text wherever a fact says it, also as JSON escapes it: a person's name, a customer's.
  std::string text;
};

// The same event with what the rule names overwritten byte for byte with '*' (and JSON that is given up as a whole with
// "{}" and spaces); nullopt when there is nothing to overwrite, or the event is telemetry.
std::optional<Envelope> redacted(const Envelope& envelope, const RedactionRule& rule);

// The facts that the rule changes, as they will be.  Reads all of the log's facts.  kInvalidArgument for a rule that
// names nothing or a text of fewer than 2 bytes.
Result<std::vector<RecordedEvent>> find_redactions(const EventLog& log, const RedactionRule& rule);

// Replaces them in the log, together with a FactsRedacted event that keeps the chain provable, and destroys the old
// bytes in the log's files.  For a log that nobody else has open.  Gives the event's position.
Result<Position> redact(EventLog& log, const std::vector<RecordedEvent>& changed, const std::string& subject,
                        const std::string& reason, const Clock& clock);

}  // namespace millrace
