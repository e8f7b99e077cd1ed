// SPDX-License-Identifier: Apache-2.0
// How the events of one commit and one family lie together in one stored value.
//
//   u32 magic "MRG1", u32 count, i64 recorded_at_us, u64 first position, u32 size of the body, u32 form of the body,
//   the body, the first 8 bytes of the SHA-256 of everything before.
//   Body (form 1: in pieces of 64 KiB less 64 bytes, each as u32 stored size and an LZ4 block; form 0: as it is):
//   count x { u32 position - first position, u32 length }, padding to 8, the envelopes, each padded to 8.
// Little-endian.  Envelopes begin at multiples of 8, so that a body in aligned memory can be read in place.
// Compressing here and not in the store makes its write-ahead log and its memory smaller too.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bus/envelope.h"
#include "bus/sha256.h"

namespace millrace {

inline constexpr size_t kGroupDigestBytes = 8;  // at the end of the stored value

struct EventGroup {
  WallTime recorded_at{};
  Position first;                     // of the group's first event
  std::vector<RecordedEvent> events;  // ascending; share the group's bytes
};

struct GroupMember {
  Position position;
  std::string_view bytes;
};

// Keeps its buffers from one group to the next.  One thread calls; a group of many pieces is shared with a second one
// of its own, which sleeps otherwise: compressing takes most of an append's time (docs/performance.md).
class GroupEncoder {
 public:
  // Without digests only to measure what they cost: such a group does not decode.
  enum class Digests { kYes, kNo };
  explicit GroupEncoder(Digests digests = Digests::kYes);
  ~GroupEncoder();

  // Precondition: members ascend, at least one, spanning less than 2^32 positions.  The result is valid until the next
  // call; `digest` is the SHA-256 of all but its last 8 bytes.
  std::string_view encode(WallTime recorded_at, std::span<const GroupMember> members, Sha256& digest);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// kCorrupt when the bytes are not what encode() wrote.
Result<EventGroup> decode_group(std::string_view value);
// The same; `digest` becomes what encode() gave for the group, and stays as it was on an error.
Result<EventGroup> decode_group(std::string_view value, Sha256& digest);

// Where a group may begin in bytes of any kind, from `from` on, and how long it is if it is one; for salvage.
// nullopt when there is none.
struct GroupPlace {
  size_t offset = 0;
  size_t length = 0;
};
std::optional<GroupPlace> find_group(std::string_view bytes, size_t from);

}  // namespace millrace
