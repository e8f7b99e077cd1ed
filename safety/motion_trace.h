// SPDX-License-Identifier: Apache-2.0
// Follows effects one after the other: where each move ends in the machine's own coordinates, how fast it is, and which
// extruder it concerns.  What a line leaves unknown stays unknown until another line says it.  Pure.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "safety/gcode_effects.h"
#include "safety/limits.h"
#include "safety/machine_snapshot.h"

namespace millrace {

// One effect, with what came before it taken in.
struct TracedEffect {
  const GcodeEffect* effect = nullptr;
  std::string extruder;  // active then

  bool is_motion = false;                             // axes, filament or motors are concerned
  std::array<bool, 3> moved = {false, false, false};  // axes that have to be homed for it
  std::array<bool, 3> homed = {false, false, false};  // whether they are, then
  // Where each moved axis goes; of an arc all of it.  nullopt: it moves, and nothing says where to.
  std::array<std::optional<Range>, 3> reach;
  bool extrudes = false;
  bool during_print = false;       // a print runs, or the text began or resumed one
  std::optional<double> velocity;  // mm/s, with the speed factor; of what moves or will move
};

// The effects have to outlive the result.
std::vector<TracedEffect> trace_motion(const GcodeEffects& effects, const MachineSnapshot& machine);

}  // namespace millrace
