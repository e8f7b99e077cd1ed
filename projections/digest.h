// SPDX-License-Identifier: Apache-2.0
// A view rebuilt from the log, and a view as one SHA-256 number: equal digests mean equal views, byte for byte.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "bus/event_log.h"
#include "projections/view_store.h"

namespace millrace {

// Lower-case hexadecimal, over every key and value in key order, each preceded by its length (8 bytes, big-endian).
Result<std::string> view_digest(const ViewReader& reader, std::string_view view);

// Only the events that the projection takes notice of, or every one; the view is the same.
enum class RebuildReads { kNeeded, kAll };

// Folds the log from its first position to `until` into a view in memory.  kNotFound for an unknown projection.  Any
// thread that may read the log.
Result<std::unique_ptr<ViewStore>> rebuild_view(const EventLog& log, std::string_view projection, Position until,
                                                RebuildReads reads = RebuildReads::kNeeded);
// Its digest.
Result<std::string> rebuild_digest(const EventLog& log, std::string_view projection, Position until);

}  // namespace millrace
