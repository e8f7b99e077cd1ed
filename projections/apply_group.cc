// SPDX-License-Identifier: Apache-2.0
#include "projections/apply_group.h"

namespace millrace {

Result<FoldedGroup> fold_group(const Projection& projection, const ViewReader& reader,
                               std::span<const RecordedEvent> events) {
  ViewBatch batch(reader, std::string(projection.name()));
  FoldedGroup group;
  projection.apply_group(events, batch, group.changed);
  if (batch.error()) return *batch.error();
  for (const auto& [key, value] : batch.changes()) group.writes.push_back({batch.view(), key, value});
  return group;
}

}  // namespace millrace
