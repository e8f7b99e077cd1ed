// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "gcode/metadata.h"

namespace millrace {

// One JSON object with every field by its name, null where it is not known; of the thumbnail the size, the format and
// how many bytes it has.  "source" is "file".
std::string to_json(const GcodeMetadata& metadata);

}  // namespace millrace
