// SPDX-License-Identifier: Apache-2.0
// Any event as JSON, by the schema's own reflection: a new event type needs no code here.
// {"position":1,"recorded_at":..,"id":{"producer","epoch","sequence"},"type","machine","occurred_at","observed_at",
//  "actor","correlation","causation","payload":{...}}.  Times RFC 3339; fields named *_us stay integers; epochs are
// strings (they may exceed 2^53 in a hub's events); enums are their names; NaN and infinity are null; bytes are base64.
#pragma once

#include <string>

#include "bus/envelope.h"

namespace millrace {

std::string event_to_json(const RecordedEvent& event);
// The payload alone.
std::string payload_to_json(const Envelope& envelope);

}  // namespace millrace
