// SPDX-License-Identifier: Apache-2.0
// Bounds the bytes that were handed to a connection and not yet acknowledged.  Thread-safe.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "bus/clock.h"

namespace millrace {

class FlightControl {
 public:
  // So long without any acknowledgement what is on its way counts as lost: a client library may forget a message, and
  // nobody may wait for it for ever.
  static constexpr std::chrono::seconds kForgotten{10};

  // `clock` outlives this.
  FlightControl(uint64_t most, const Clock& clock) : most_(most), clock_(clock) {}

  // A message's own mark, handed back when it is acknowledged; nullopt when there is no room.  One message always goes,
  // however large (below 4 GiB).
  std::optional<uint64_t> take_off(uint64_t size);
  // True when there is room again for somebody who was refused.
  bool land(uint64_t mark);
  // A new connection: what was on its way before is not acknowledged any more.
  void begin();

 private:
  const uint64_t most_;
  const Clock& clock_;
  std::mutex mutex_;
  uint32_t generation_ = 0;
  uint64_t bytes_ = 0;
  bool refused_ = false;
  MonotonicTime landed_{};  // last, or when the first of those on their way took off
};

}  // namespace millrace
