// SPDX-License-Identifier: Apache-2.0
// Which print an event means, in every view that keeps prints: keys "j/<job id>" and "r/<machine>/<start_us>" as in
// job_history_keys.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/envelope.h"
#include "projections/view_batch.h"

namespace millrace {

// The job that an event of a print names; empty for an event that concerns none, names none, or is no machine's.
std::string_view job_named_by(const Envelope& envelope);

// A row of a print that has a local id leads to that id; any other id stays as it is.
std::string job_of_row(ViewBatch& batch, std::string_view machine, std::string_view named);

// From now on the row's id means the job `id`.  Gives the row's own id when it already stands as a job of its own in
// this view: that one is the same print, and the caller makes one of the two.
std::optional<std::string> give_row_to(ViewBatch& batch, std::string_view machine, std::string_view id,
                                       int64_t start_us);

}  // namespace millrace
