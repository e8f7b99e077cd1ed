// SPDX-License-Identifier: Apache-2.0
// Many jobs of the view job_history at once, in less time than one by one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "projections/view_store.h"
#include "schemas/view_generated.h"

namespace millrace {

// The jobs as they are shown, in the order of `ids`; nullopt for one that there is not.  Those that lie next to each
// other in the view, such as the prints of one machine in a page of a list, are read in one go.  kCorrupt, kIo.
Result<std::vector<std::optional<schema::JobViewT>>> read_jobs(const ViewReader& reader,
                                                               std::span<const std::string> ids);

}  // namespace millrace
