// SPDX-License-Identifier: Apache-2.0
// What 3d-print-logger's parser had read of a sliced file, its table job_details, as the event that tells such things.
#pragma once

#include <string>
#include <string_view>

#include "bus/events.h"
#include "producers/moonraker/job_file.h"

namespace millrace {

// `detail_json` is the row as an object by columns.  `keep` takes the picture and settings that are too large for an
// event; what it cannot keep is a warning.  Its source is "3d-print-logger", so that what is read from the file itself
// takes its place.  What that parser is known to get wrong is left out: support_enabled is taken from the settings, not
// from the column.
schema::JobMetadataReadT sliced_from(std::string_view detail_json, std::string job_id, std::string filename,
                                     const KeepBlob& keep);

}  // namespace millrace
