// SPDX-License-Identifier: Apache-2.0
// The events that one row of Moonraker's history gives, the same whether it is told live, after a gap or by an import.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/events.h"
#include "producers/moonraker/history_row.h"

namespace millrace {

// "<machine>.<start_us>"; a second print with the same start has ordinal 2 and "-2" behind it.
std::string job_id_of_row(std::string_view machine, int64_t start_us, uint32_t ordinal);

// `skew_ms` is the adapter's clock minus the machine's, nullopt where it is not known.
schema::JobStartedT started_by_row(std::string job_id, const HistoryRow& row, schema::JobSeen seen,
                                   std::optional<int64_t> skew_ms);
// Not for a row that is in progress.
schema::JobFinishedT finished_by_row(std::string job_id, const HistoryRow& row, schema::JobSeen seen,
                                     std::optional<int64_t> skew_ms);

}  // namespace millrace
