// SPDX-License-Identifier: Apache-2.0
// Facts into the words that all slicers share: one function for each family of slicers, which know only their own keys.
#pragma once

#include "gcode/facts.h"

namespace millrace {

GcodeMetadata normalised_slic3r(const GcodeFacts& facts, const GcodeLimits& limits);
GcodeMetadata normalised_cura(const GcodeFacts& facts, const GcodeLimits& limits);
GcodeMetadata normalised_simplify3d(const GcodeFacts& facts, const GcodeLimits& limits);
GcodeMetadata normalised_ideamaker(const GcodeFacts& facts, const GcodeLimits& limits);
GcodeMetadata normalised_kisslicer(const GcodeFacts& facts, const GcodeLimits& limits);

// All of them: the family's own, then what the layers and commands of the file tell where its words do not, objects,
// thumbnail, settings and warnings.  Empties `facts`.
GcodeMetadata normalised(GcodeFacts& facts, const GcodeLimits& limits);

// The text, or nullopt where it is empty.
std::optional<std::string> text_or_nothing(std::string_view text);
// The sum; nullopt when one of them is not known.
std::optional<double> sum_of(const std::vector<GcodeExtruder>& extruders, std::optional<double> GcodeExtruder::*member);
// Volume in cm3 of so much filament, and its weight, where diameter (mm) and density (g/cm3) are known and not zero.
std::optional<double> filament_cm3(std::optional<double> length_mm, std::optional<double> diameter_mm);
std::optional<double> filament_g(std::optional<double> volume_cm3, std::optional<double> density_g_cm3);

}  // namespace millrace
