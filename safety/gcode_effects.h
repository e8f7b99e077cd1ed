// SPDX-License-Identifier: Apache-2.0
// What text of G-code would do to a machine, read as Klipper reads it (klippy/gcode.py): one command per line, ';'
// begins a comment, a line number and a checksum may surround it, letters count as upper case.  Pure and bounded.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/result.h"

namespace millrace {

constexpr size_t kMaxGcodeBytes = 64u << 10;
constexpr size_t kMaxGcodeLines = 2000;

enum class EffectKind : uint8_t {
  kHeat,               // subject: heater, empty: the active extruder; value: target
  kHeatChamber,        // M141, M191; value: target
  kHeatersOff,         // TURN_OFF_HEATERS
  kFan,                // subject; value 0..1
  kPin,                // subject; value
  kLight,              // subject; value: the largest of its parts; value_min: the smallest
  kMove,               // G0, G1: coordinates, e, feedrate
  kArc,                // G2, G3: the same, with the centre
  kHome,               // axes
  kProbe,              // G29, BED_MESH_CALIBRATE, QUAD_GANTRY_LEVEL ...: moves by itself, within Klipper's bounds
  kRetract,            // G10, G11: firmware retraction
  kAbsolute,           // G90
  kRelative,           // G91
  kExtruderAbsolute,   // M82
  kExtruderRelative,   // M83
  kSetPosition,        // G92: coordinates; none: all of them to zero
  kOffset,             // SET_GCODE_OFFSET: axes: what they are to be; or value: what is added to subject; moves: MOVE=1
  kManualStepper,      // subject; feedrate as value (mm/s), acceleration
  kForcedMotion,       // FORCE_MOVE, SET_SKEW, TEST_RESONANCES ...: past what Klipper knows or bounds
  kMotorsOff,          // M18, M84
  kVelocityLimit,      // value: mm/s
  kAccelerationLimit,  // value: mm/s2
  kSpeedFactor,        // M220; value, 1 = 100 %
  kFlowFactor,         // M221
  kActivateExtruder,   // subject
  kPrintStart,         // subject: file; empty: the one that was selected
  kPause,
  kResume,
  kCancel,
  kExcludeObject,  // subject; empty: the current one or all
  kEmergencyStop,  // M112
  kRestart,        // RESTART, FIRMWARE_RESTART
  kSaveConfig,     // SAVE_CONFIG
  kShell,          // RUN_SHELL_COMMAND, TUNING_TOWER: runs what is not in the text
};
std::string_view name_of(EffectKind kind);

struct GcodeEffect {
  size_t line = 0;  // from 1
  EffectKind kind = EffectKind::kMove;
  std::string command;  // "G1"
  std::string subject;
  std::optional<double> value;
  std::optional<double> value_min;
  std::optional<double> acceleration;
  std::array<std::optional<double>, 3> axes;    // x, y, z as written; of kHome those named are set, none: all
  std::array<std::optional<double>, 3> centre;  // I, J, K of an arc
  std::optional<double> e;
  std::optional<double> feedrate;  // mm/min
  bool moves = false;              // kOffset, kManualStepper
  // Of typed moves, which say it themselves: distances, not coordinates.  Of text: not set, the mode in force counts.
  std::optional<bool> relative;
};

struct GcodeLine {
  size_t line = 0;
  std::string text;  // its beginning, made printable
  std::string why;
};

struct GcodeEffects {
  std::vector<GcodeEffect> effects;  // in the order of the text
  // Macros, unknown commands, templates: what they do is not known.  An effect of the same line is what the command
  // means where no macro replaces it.
  std::vector<GcodeLine> unjudged;
  // Known commands whose arguments Klipper would refuse or might read otherwise, and lines with characters that do not
  // belong there.  They are never to be sent.
  std::vector<GcodeLine> unreadable;
  size_t lines = 0;
};

// `macros` (upper case) are those of the machine: a command that one of them replaces cannot be judged.  kTooLarge
// beyond the bounds, kMalformed for text that is not UTF-8.
Result<GcodeEffects> gcode_effects(std::string_view text, const std::vector<std::string>& macros = {});

}  // namespace millrace
