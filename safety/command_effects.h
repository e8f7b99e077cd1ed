// SPDX-License-Identifier: Apache-2.0
// A command as effects, so that one table of rules judges typed commands and G-code alike.  Pure.
#pragma once

#include <string>
#include <vector>

#include "safety/command.h"
#include "safety/gcode_effects.h"

namespace millrace {

// Effects of typed commands are on line 0.  A macro is one line that cannot be judged, with the effects of the command
// that it replaces, if it replaces one.  Errors are those of gcode_effects().
Result<GcodeEffects> effects_of(const Command& command, const std::vector<std::string>& macros);

}  // namespace millrace
