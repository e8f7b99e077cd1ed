// SPDX-License-Identifier: Apache-2.0
// The table of projections: one row each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "projections/projection.h"

namespace millrace {

std::vector<std::unique_ptr<const Projection>> make_projections();
// nullptr for an unknown name.
std::unique_ptr<const Projection> make_projection(std::string_view name);
std::vector<std::string> projection_names();
// What a store must hold for them: their names and that of the checkpoints.
std::vector<std::string> view_names();

}  // namespace millrace
