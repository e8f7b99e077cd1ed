// SPDX-License-Identifier: Apache-2.0
// What a minute of one signal comes to, and up to 60 of them as the compact bytes of one hour.
//
// Numbers are rounded to 7 significant digits, as a float would hold them, but in decimal: Klipper reports decimals,
// and these pack well.  The bytes depend on nothing but the minutes, so equal hours have equal bytes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace {

inline constexpr int64_t kMinuteMs = 60'000;
inline constexpr int64_t kMinutesPerHour = 60;

// Values beyond this are nonsense and kept nowhere.
inline constexpr double kMostTelemetry = 1e15;

struct MinuteBucket {
  double minimum = 0;
  double mean = 0;  // weighted by time over `covered_ms`
  double maximum = 0;
  double last = 0;
  uint32_t first_ms = 0;    // of the minute; before it nothing is told here.  0 in a summary, which includes what held
  uint32_t covered_ms = 0;  // of the minute; at most 60,000
  uint32_t count = 0;       // values sent
  bool holds = false;       // the last value held until the minute was over

  bool operator==(const MinuteBucket&) const = default;
};

// The nearest decimal of at most 7 significant digits and 12 decimals.
double rounded_telemetry(double value);

// Both of one minute, `later` being what came later: means are weighted by covered time.
MinuteBucket merged(const MinuteBucket& earlier, const MinuteBucket& later);

// The minutes of one hour by their number, 0 to 59.
class HourOfMinutes {
 public:
  bool empty() const { return present_ == 0; }
  bool has(size_t minute) const { return (present_ >> minute & 1u) != 0; }
  size_t size() const { return static_cast<size_t>(std::popcount(present_)); }
  const MinuteBucket& at(size_t minute) const { return minutes_[minute]; }
  // Rounds the numbers.  Merges with what the minute has.
  void add(size_t minute, MinuteBucket bucket);
  bool erase(size_t minute);  // false: it was not there

  std::string encode() const;
  // False, with what was read so far, for bytes that are no hour.
  static bool decode(std::string_view bytes, HourOfMinutes& hour);

 private:
  uint64_t present_ = 0;
  std::array<MinuteBucket, kMinutesPerHour> minutes_{};
};

}  // namespace millrace
