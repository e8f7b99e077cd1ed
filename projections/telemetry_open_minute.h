// SPDX-License-Identifier: Apache-2.0
// The minute under way of one machine's signals: running sums, exact, so that it does not matter where one group of
// events ends and the next begins.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "projections/telemetry_minutes.h"

namespace millrace {

// An object and a field of it.
using SignalKey = std::pair<std::string, std::string>;
struct SignalKeyOrder {
  using is_transparent = void;
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    const int order = std::string_view(a.first).compare(std::string_view(b.first));
    return order != 0 ? order < 0 : std::string_view(a.second) < std::string_view(b.second);
  }
};

// Milliseconds count from the minute's beginning.
struct OpenSignal {
  double minimum = 0;
  double maximum = 0;
  double last = 0;
  double weighted = 0;  // value times milliseconds
  uint32_t first_ms = 0;
  uint32_t until_ms = 0;  // up to here the time is counted
  uint32_t covered_ms = 0;
  uint32_t count = 0;
  bool holds = false;

  void observe(double value, uint32_t at_ms);
  void cover(uint32_t until);
  // As if `last` had held until then; the minute is over at 60,000.
  MinuteBucket bucket(uint32_t until) const;
};

struct OpenMinute {
  static constexpr size_t kMaxSignals = 2048;  // an adapter sends at most 512

  int64_t minute = -1;   // Unix minutes; negative: none
  uint32_t seen_ms = 0;  // the last sample
  bool heard = false;    // a sample of the machine itself
  bool full = false;     // one that named everything
  std::map<SignalKey, OpenSignal, SignalKeyOrder> signals;

  std::string encode() const;
  static bool decode(std::string_view bytes, OpenMinute& open);
};

}  // namespace millrace
