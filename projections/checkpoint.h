// SPDX-License-Identifier: Apache-2.0
// How far a projection has come, stored beside the views under its name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/ids.h"
#include "projections/view_store.h"

namespace millrace {

inline constexpr std::string_view kCheckpointView = "checkpoints";

struct Checkpoint {
  std::string projection;
  uint32_t version = 0;
  Position position;
  std::string incarnation;  // of the log
};

ViewWrite write_of(const Checkpoint& checkpoint);
// nullopt when none is stored, or one that cannot be read: the view is then rebuilt.
Result<std::optional<Checkpoint>> read_checkpoint(const ViewReader& reader, std::string_view projection);

}  // namespace millrace
