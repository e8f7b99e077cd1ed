// SPDX-License-Identifier: Apache-2.0
// Signals at any resolution of whole seconds, from the samples of the log, for as long as these are kept.  What held
// when the range began is taken from the view "telemetry_history"; the rules for what holds, and for gaps, are the
// view's (docs/telemetry.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bus/event_log.h"
#include "projections/telemetry_history.h"

namespace millrace {

// [from_ms, to_ms()) in Unix milliseconds of the observer's clock.
struct SampleRange {
  int64_t from_ms = 0;
  int64_t step_ms = 1000;
  size_t buckets = 0;
  int64_t to_ms() const { return from_ms + step_ms * static_cast<int64_t>(buckets); }
};

// At most so many hours in one range: 22,000 samples of a machine.
inline constexpr int64_t kMaxSampleHours = 6;
// At most so many events of all machines are passed on the way: 6 hours of 180 machines.
inline constexpr uint64_t kMaxSampleEvents = 4'000'000;

// From when on (Unix milliseconds) the log has every sample; 0: it never removed any.  kCorrupt, kIo.
Result<int64_t> samples_since_ms(const EventLog& log);

struct SignalRef {
  std::string_view object;
  std::string_view field;
};

// The columns of each signal.  Nothing is known after `now_ms`.  A sample counts that was recorded at most 12 hours
// after the range's end.  kTooLarge beyond kMaxSampleEvents, kInvalidArgument beyond kMaxSampleHours; kCorrupt, kIo.
Result<std::vector<SignalColumns>> read_samples(const ViewReader& reader, const EventLog& log,
                                                const std::string& machine, const SampleRange& range, int64_t now_ms,
                                                std::span<const SignalRef> signals);

}  // namespace millrace
