// SPDX-License-Identifier: Apache-2.0
// The binary FlatBuffers schemas (.bfbs) that a log carries, so that it can be read without the program, and so that a
// program knows a log that is newer than itself.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bus/ids.h"
#include "bus/result.h"

namespace millrace {

// One stretch of a log: from `since` to the next one's, events were written with this schema.
struct LogSchema {
  Position since;
  uint32_t crc = 0;  // CRC-32 of `bfbs`
  std::string bfbs;
};

// The schema that this program writes events with.
std::string_view own_event_schema();
uint32_t own_event_schema_crc();

// kIncompatible, naming the first part, when `bfbs` has an event type, field or enum value that `known` does not have;
// kCorrupt when it is no schema.  Schemas only ever grow, so whatever is not newer can be read.
Result<void> check_schema_known(std::string_view bfbs, std::string_view known = own_event_schema());

}  // namespace millrace
