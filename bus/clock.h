// SPDX-License-Identifier: Apache-2.0
// Time and randomness come from outside, so that tests and replays own them.  The real ones live in clock.cc and
// random.cc, the only places that may ask the system.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

using Micros = std::chrono::microseconds;
using WallTime = std::chrono::sys_time<Micros>;  // Unix time; may jump
struct MonotonicClock {
  using duration = Micros;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using MonotonicTime = MonotonicClock::time_point;  // never goes back; meaningless across processes

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;
  virtual MonotonicTime monotonic() const = 0;
};

// Thread-safe, stateless.
class SystemClock final : public Clock {
 public:
  WallTime wall() const override;
  MonotonicTime monotonic() const override;
};

inline WallTime from_unix_us(int64_t us) { return WallTime{Micros{us}}; }
inline int64_t to_unix_us(WallTime time) { return time.time_since_epoch().count(); }

// "2026-11-21T03:14:00.000000Z"; microseconds are always written.  What the four digits of the year
// cannot say becomes the nearest time that they can.
std::string to_rfc3339(WallTime time);
// Accepts RFC 3339 with any offset, with or without a fraction; nothing else.
std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace millrace
