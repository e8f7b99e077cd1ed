// SPDX-License-Identifier: Apache-2.0
// The tamper-evident chain over commits (decision 4).  Each link is
//   SHA-256(previous link, first position, count, SHA-256 of the facts' group, SHA-256 of the telemetry's group),
// numbers as 8 bytes big-endian, and 32 zero bytes for a family that the commit does not have.  The telemetry's hash
// stays when the telemetry goes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "bus/sha256.h"

namespace millrace {

struct ChainLink {
  uint64_t first = 0;
  uint64_t count = 0;
  Sha256 facts{};
  Sha256 telemetry{};
  Sha256 link{};
};

// The link after `previous`; `facts` and `telemetry` are the digests of the groups, zero for none.
ChainLink next_link(const Sha256& previous, uint64_t first, uint64_t count, const Sha256& facts,
                    const Sha256& telemetry, Sha256Digester& digester);

std::string encode_link(const ChainLink& link);
// False when `bytes` is not an encoded link.
bool decode_link(std::string_view bytes, ChainLink& link);

}  // namespace millrace
