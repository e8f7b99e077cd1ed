// SPDX-License-Identifier: Apache-2.0
#include "projections/checkpoint.h"

#include "projections/record.h"

namespace millrace {

ViewWrite write_of(const Checkpoint& checkpoint) {
  schema::ViewCheckpointT record;
  record.version = checkpoint.version;
  record.position = checkpoint.position.value;
  record.incarnation = checkpoint.incarnation;
  return {std::string(kCheckpointView), checkpoint.projection, encode_record<schema::ViewCheckpoint>(record)};
}

Result<std::optional<Checkpoint>> read_checkpoint(const ViewReader& reader, std::string_view projection) {
  const auto stored = reader.get(kCheckpointView, projection);
  if (!stored) return stored.error();
  if (!*stored) return std::optional<Checkpoint>{};
  auto record = decode_record<schema::ViewCheckpoint>(**stored);
  if (!record) return std::optional<Checkpoint>{};
  return std::optional(
      Checkpoint{std::string(projection), record->version, Position{record->position}, std::move(record->incarnation)});
}

}  // namespace millrace
