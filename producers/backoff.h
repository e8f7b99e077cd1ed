// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>

#include "bus/clock.h"
#include "bus/random.h"

namespace millrace {

// How long to wait before attempt number `failures` + 1: `least` doubled with each failure up to `most`, shifted by up
// to a fifth, so that many machines that were lost together do not come back together.  Never above `most`.
inline Micros backoff(int failures, std::chrono::milliseconds least, std::chrono::milliseconds most, Random& random) {
  constexpr int kMaxDoublings = 20;  // beyond any sensible `most`
  const Micros doubled = Micros(least) * (int64_t{1} << std::clamp(failures, 0, kMaxDoublings));
  const double wanted = static_cast<double>(std::min(doubled, Micros(most)).count()) * random.between(0.8, 1.2);
  return std::min(Micros(static_cast<int64_t>(wanted)), Micros(most));
}

}  // namespace millrace
