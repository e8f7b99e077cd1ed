// SPDX-License-Identifier: Apache-2.0
// The event schema's description of itself, for code that walks any event without naming its fields.  For bus/ alone:
// it brings FlatBuffers' reflection along.
#pragma once

#include <flatbuffers/reflection.h>

#include "bus/events.h"

namespace millrace {

const reflection::Schema& event_schema();
// The table of a payload; nullptr for a type that this program does not know.
const reflection::Object* payload_object(EventType type);

}  // namespace millrace
