// SPDX-License-Identifier: Apache-2.0
// One projection over one group of events: what is to be written, not yet written.
#pragma once

#include <span>
#include <vector>

#include "projections/projection.h"

namespace millrace {

inline constexpr size_t kMaxGroupApplied = 4096;  // events folded into one commit

struct FoldedGroup {
  std::vector<ViewWrite> writes;
  ChangedKeys changed;
};

// kIo or kCorrupt when the view could not be read.
Result<FoldedGroup> fold_group(const Projection& projection, const ViewReader& reader,
                               std::span<const RecordedEvent> events);

}  // namespace millrace
