// SPDX-License-Identifier: Apache-2.0
// How the events of one commit and one family lie together in one stored value.
//
//   u32 magic "MRG1", u32 count, i64 recorded_at_us, u64 first position,
//   count x { u32 position - first position, u32 length }, padding to 8,
//   the envelopes, each padded to 8, u32 CRC-32 of everything before it.
// Little-endian.  Envelopes begin at multiples of 8, so that a value copied to aligned memory can be read in place.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bus/envelope.h"

namespace millrace {

struct EventGroup {
  WallTime recorded_at{};
  Position first;                     // of the group's first event
  std::vector<RecordedEvent> events;  // ascending; share the group's bytes
};

struct GroupMember {
  Position position;
  std::string_view bytes;
};

// Precondition: members ascend, at least one, spanning less than 2^32 positions.
std::string encode_group(WallTime recorded_at, std::span<const GroupMember> members);

// kCorrupt when the bytes are not what encode_group() wrote.
Result<EventGroup> decode_group(std::string_view value);

// CRC-32 (IEEE 802.3), also of the outbox's records.
uint32_t crc32_of(std::string_view bytes, uint32_t seed = 0);

}  // namespace millrace
