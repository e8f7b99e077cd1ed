// SPDX-License-Identifier: Apache-2.0
// Which witness of a job's end wins, and what its times mean: shared by the views that show jobs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bus/events.h"

namespace millrace {

// The end that a view holds, and one that arrives.  `position` 0: no end.
struct EndEvidence {
  schema::JobEvidence rank = schema::JobEvidence::none;
  uint64_t position = 0;
};
// True when `candidate` replaces `held`: the higher rank, at equal rank the earlier position.
bool wins(const EndEvidence& candidate, const EndEvidence& held);

// The outcome of a JobFinished.  nullopt for "running", which ends nothing; "unknown" reads as interrupted.
std::optional<schema::JobOutcome> ending_of(schema::JobOutcome outcome);

// A time of the machine's clock as it is shown.
struct ShownTime {
  int64_t us = 0;  // 0: not known
  bool corrected = false;
};
// Adds the skew when the machine's clock was wrong by more than 5 s: smaller differences are latency.
ShownTime shown_time(int64_t machine_us, std::optional<int64_t> skew_ms);

// When it ended by the machine's clock: the row's end, else when the end occurred; 0 when neither is known.
int64_t end_machine_us(const schema::JobFinished& finished, int64_t occurred_us);
// When the adapter saw it end, for a machine that gave no time; 0 when it was not seen as it happened.
int64_t end_fallback_us(const schema::JobFinished& finished, int64_t observed_us);

// The start_us in "<machine>.<start_us>"; nullopt for a local id, an id with a suffix, or another machine's.
std::optional<int64_t> row_start_of(std::string_view job_id, std::string_view machine);

// Finite, not negative and below ten years of seconds (or 10,000 km of filament), else nullopt.
std::optional<double> plausible(std::optional<double> number);

}  // namespace millrace
