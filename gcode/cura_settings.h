// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "bus/result.h"
#include "gcode/settings.h"

namespace millrace {

// The settings that Cura writes at the end of a file: `text` is what its SETTING_3 lines hold one after the other, JSON
// with escaped line ends, whose members are INI files: one for the machine and one for each extruder.  Keys of the
// machine and of the first extruder keep their names, those of the others become "extruder_1.infill_pattern"; what
// is not a value but names the profile becomes "metadata.type".  kMalformed when it is none of that.
Result<void> store_cura_settings(std::string_view text, const GcodeLimits& limits, GcodeSettings& settings);

}  // namespace millrace
