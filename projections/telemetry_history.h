// SPDX-License-Identifier: Apache-2.0
// The view "telemetry_history": every signal of every machine by the minute, from samples and, where these are gone,
// from their summaries.  docs/telemetry.md says what a minute holds and why; telemetry_history_keys.h has the keys.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "projections/projection.h"

namespace millrace {

inline constexpr std::string_view kTelemetryHistoryView = "telemetry_history";

std::unique_ptr<const Projection> make_telemetry_history();

// One signal and the last minute in which it sent a value.
struct RecordedSignal {
  std::string object;
  std::string field;
  double last = 0;
  int64_t last_minute = 0;  // Unix minutes
};
// Every signal of the machine, by object and field; none for a machine that never sent any.  Reads two records of each.
Result<std::vector<RecordedSignal>> list_signals(const ViewReader& reader, std::string_view machine);

// The minutes of an hour (Unix hours) of which another system's values would be told in vain, one bit each: those that
// hold values of the signal, and those in which the machine itself was heard.
Result<uint64_t> known_minutes(const ViewReader& reader, std::string_view machine, std::string_view object,
                               std::string_view field, int64_t hour);

// One value per bucket of time, NaN where nothing is known.
struct SignalColumns {
  std::vector<double> minimum;
  std::vector<double> mean;  // weighted by time
  std::vector<double> maximum;
};

// [from, from + buckets * step), all in whole Unix minutes.
struct TelemetryRange {
  int64_t from = 0;
  int64_t step = 1;
  size_t buckets = 0;
  int64_t to() const { return from + step * static_cast<int64_t>(buckets); }
};

// A value that still holds, and the minute (Unix) in which it was told.
struct HeldValue {
  double value = 0;
  int64_t since_minute = 0;
};

// One machine over one range: what all of its signals share is read once.  Any threads; `reader` outlives it.
class TelemetryReader {
 public:
  static Result<TelemetryReader> open(const ViewReader& reader, std::string machine, const TelemetryRange& range);
  TelemetryReader(TelemetryReader&&) noexcept;
  ~TelemetryReader();

  // Reads a record for each hour in which the signal changed.  A signal that there is not has gaps only.
  Result<SignalColumns> read(std::string_view object, std::string_view field) const;
  // What holds when the range ends; nullopt when nothing does.
  Result<std::optional<HeldValue>> held(std::string_view object, std::string_view field) const;

  struct Impl;

 private:
  explicit TelemetryReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
