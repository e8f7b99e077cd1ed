// SPDX-License-Identifier: Apache-2.0
// How often and how far apart what was read in vain is read again: 1, 2, 4, 8 and 16 s after each failure, shifted by
// up to a fifth, so that many machines that failed together are not asked together.  The numbers are those of the
// older system.  For reads alone: a command is never sent a second time by itself.
#pragma once

#include "producers/backoff.h"

namespace millrace {

inline constexpr int kMaxReadRetries = 5;

// Before retry number `retries` + 1.
inline Micros read_pause(int retries, Random& random) {
  return backoff(retries, std::chrono::seconds(1), std::chrono::seconds(16), random);
}

}  // namespace millrace
