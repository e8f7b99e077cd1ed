// SPDX-License-Identifier: Apache-2.0
// What of a machine a command is judged by, and what of it is another afterwards.  A machine tells what has changed a
// moment later, so that two commands that follow each other closely would both be judged by what was before them. Pure.
#pragma once

#include <string>
#include <vector>

#include "safety/command.h"

namespace millrace {

struct CommandInfluence {
  bool moves = false;          // whoever asks for it owns the machine's motion meanwhile
  bool needs_motion = false;   // judged by position, offsets, modes or speeds
  bool needs_print = false;    // judged by whether a print runs
  bool leaves_motion = false;  // position, offsets, modes or speeds may be others afterwards
  bool leaves_print = false;   // a print may run afterwards
};

// `macros` as in gcode_effects().  Text that cannot be read has no influence: it is refused.
CommandInfluence influence_of(const Command& command, const std::vector<std::string>& macros);

}  // namespace millrace
