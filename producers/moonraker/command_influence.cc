// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/command_influence.h"

#include "safety/command_effects.h"

namespace millrace {
namespace {

void add_effect(const GcodeEffect& effect, CommandInfluence& influence) {
  switch (effect.kind) {
    case EffectKind::kMove:
    case EffectKind::kArc:
      influence.needs_motion = true;
      [[fallthrough]];
    case EffectKind::kHome:
    case EffectKind::kProbe:
    case EffectKind::kForcedMotion:
      influence.leaves_motion = true;
      [[fallthrough]];
    case EffectKind::kManualStepper:
      influence.moves = influence.needs_print = true;
      return;
    case EffectKind::kOffset:
      influence.needs_motion = influence.needs_motion || effect.moves;
      [[fallthrough]];
    case EffectKind::kAbsolute:
    case EffectKind::kRelative:
    case EffectKind::kSetPosition:
    case EffectKind::kMotorsOff:
    case EffectKind::kActivateExtruder:
    case EffectKind::kRetract:
      influence.leaves_motion = influence.needs_print = true;
      return;
    case EffectKind::kSpeedFactor:
      influence.needs_motion = influence.leaves_motion = true;
      return;
    case EffectKind::kPrintStart:
    case EffectKind::kResume:
      influence.leaves_motion = influence.leaves_print = true;
      return;
    case EffectKind::kPause:
    case EffectKind::kCancel:
    case EffectKind::kRestart:
      influence.leaves_motion = true;
      return;
    default:
      return;
  }
}

}  // namespace

CommandInfluence influence_of(const Command& command, const std::vector<std::string>& macros) {
  CommandInfluence influence;
  const auto effects = effects_of(command, macros);
  if (!effects) return influence;
  for (const GcodeEffect& effect : effects->effects) add_effect(effect, influence);
  const bool is_macro = command.kind == CommandKind::kLoadFilament || command.kind == CommandKind::kUnloadFilament;
  if (is_macro || !effects->unjudged.empty()) influence.moves = influence.leaves_motion = true;
  if (command.kind == CommandKind::kFirmwareRestart || command.kind == CommandKind::kHostRestart) {
    influence.leaves_motion = true;
  }
  return influence;
}

}  // namespace millrace
