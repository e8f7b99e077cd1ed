// SPDX-License-Identifier: Apache-2.0
#include "bus/flight_control.h"

#include <utility>

namespace millrace {

std::optional<uint64_t> FlightControl::take_off(uint64_t size) {
  std::lock_guard lock(mutex_);
  const MonotonicTime now = clock_.monotonic();
  if (bytes_ > 0 && bytes_ + size > most_) {
    if (now - landed_ < kForgotten) {
      refused_ = true;
      return std::nullopt;
    }
    ++generation_;
    bytes_ = 0;
  }
  if (bytes_ == 0) landed_ = now;
  bytes_ += size;
  return uint64_t{generation_} << 32 | size;
}

bool FlightControl::land(uint64_t mark) {
  std::lock_guard lock(mutex_);
  if (mark >> 32 != generation_) return false;
  bytes_ -= mark & 0xFFFF'FFFF;
  landed_ = clock_.monotonic();
  return std::exchange(refused_, false);
}

void FlightControl::begin() {
  std::lock_guard lock(mutex_);
  ++generation_;
  bytes_ = 0;
  refused_ = false;
}

}  // namespace millrace
