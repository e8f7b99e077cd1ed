// SPDX-License-Identifier: Apache-2.0
// When a machine was lost from sight and seen again, by facts: the records under 'e' of the view telemetry_history.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/envelope.h"

namespace millrace {

enum class Sight : uint8_t {
  kLost = 1,         // the link is gone
  kFound = 2,        // the link is new: what was known before it no longer is
  kKlipperGone = 3,  // Moonraker still answers
  kKlipperBack = 4,
};

struct SightChange {
  uint32_t at_ms = 0;  // of the hour
  Sight sight = Sight::kLost;
};

// Whether what was known of the object ends there.
bool ends(Sight sight, std::string_view object);

// What a fact says about who is seen; nullopt for any other event.
std::optional<Sight> sight_in(const Envelope& envelope);

// An adapter tells everything every 6 hours: what is older than that was not told by one that lives.
inline constexpr int64_t kLongestHoldMinutes = 7 * 60;
// The producer of sensors tells a fresh one each minute.
inline constexpr int64_t kLongestSensorHoldMinutes = 1;

inline constexpr size_t kMaxSightChanges = 1'000;  // of one hour; more are left out
std::string encode_sight(const std::vector<SightChange>& changes);
// False for bytes that are none.
bool decode_sight(std::string_view bytes, std::vector<SightChange>& changes);

// Minutes of an hour as bits: the records under 'p'.
struct HeardMinutes {
  uint64_t heard = 0;
  uint64_t full = 0;  // a sample that named everything
};
std::string encode_heard(const HeardMinutes& minutes);
bool decode_heard(std::string_view bytes, HeardMinutes& minutes);

}  // namespace millrace
