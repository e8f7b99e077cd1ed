// SPDX-License-Identifier: Apache-2.0
#include "safety/command_effects.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace {
namespace {

GcodeEffect effect(EffectKind kind, std::string_view command) {
  GcodeEffect effect;
  effect.kind = kind;
  effect.command = command;
  return effect;
}

GcodeEffect with_value(EffectKind kind, std::string_view command, const std::string& subject, double value) {
  GcodeEffect set = effect(kind, command);
  set.subject = subject;
  set.value = value;
  return set;
}

GcodeEffect of_move(const MoveArguments& arguments) {
  GcodeEffect move = effect(EffectKind::kMove, "move");
  move.axes = arguments.axes;
  move.e = arguments.e;
  move.feedrate = arguments.feedrate;
  move.relative = arguments.relative;
  return move;
}

GcodeEffect of_home(const HomeArguments& arguments) {
  GcodeEffect home = effect(EffectKind::kHome, "home");
  for (size_t axis = 0; axis < arguments.axes.size(); ++axis) {
    if (arguments.axes[axis]) home.axes[axis] = 0;
  }
  return home;
}

GcodeEffect of_light(const LightArguments& set) {
  const auto [least, most] = std::minmax({set.red, set.green, set.blue, set.white});
  GcodeEffect light = with_value(EffectKind::kLight, "set_light", set.light, most);
  light.value_min = least;
  return light;
}

GcodeEffect of_start(const std::string& filename) {
  GcodeEffect start = effect(EffectKind::kPrintStart, "start");
  start.subject = filename;
  return start;
}

GcodeEffect of_exclude(const std::string& name) {
  GcodeEffect exclude = effect(EffectKind::kExcludeObject, "exclude_object");
  exclude.subject = name;
  return exclude;
}

// As it would stand in G-code.  Names like "M600" take words of one letter, all others NAME=VALUE.
std::string line_of(const MacroArguments& macro) {
  const bool classic = macro.name.find_first_not_of("0123456789", 1) == std::string::npos && macro.name.size() > 1;
  std::string line = macro.name;
  for (const MacroParameter& parameter : macro.parameters) {
    line += classic ? fmt::format(" {}{}", parameter.name, parameter.value)
                    : fmt::format(" {}=\"{}\"", parameter.name, parameter.value);
  }
  return line;
}

Result<GcodeEffects> of_macro(const MacroArguments& macro) {
  auto effects = gcode_effects(line_of(macro), {macro.name});
  if (!effects) return effects.error();
  effects->unreadable.clear();
  for (GcodeEffect& effect : effects->effects) effect.line = 0;
  effects->unjudged = {{0, macro.name, "a macro: what it does is not known"}};
  return effects;
}

// The effect of a command that has at most one.
std::optional<GcodeEffect> single(const Command& command) {
  switch (command.kind) {
    case CommandKind::kStart:
      return of_start(command.as<StartArguments>().filename);
    case CommandKind::kQueueStart:
      return of_start({});
    case CommandKind::kPause:
      return effect(EffectKind::kPause, "pause");
    case CommandKind::kResume:
      return effect(EffectKind::kResume, "resume");
    case CommandKind::kCancel:
      return effect(EffectKind::kCancel, "cancel");
    case CommandKind::kSetTemperature: {
      const auto& set = command.as<TemperatureArguments>();
      return with_value(EffectKind::kHeat, "set_temperature", set.heater, set.target);
    }
    case CommandKind::kSetFan: {
      const auto& set = command.as<FanArguments>();
      return with_value(EffectKind::kFan, "set_fan", set.fan, set.speed);
    }
    case CommandKind::kSetSpeedFactor:
      return with_value(EffectKind::kSpeedFactor, "set_speed_factor", {}, command.as<FactorArguments>().factor);
    case CommandKind::kSetFlowFactor:
      return with_value(EffectKind::kFlowFactor, "set_flow_factor", {}, command.as<FactorArguments>().factor);
    case CommandKind::kHome:
      return of_home(command.as<HomeArguments>());
    case CommandKind::kMove:
      return of_move(command.as<MoveArguments>());
    case CommandKind::kExcludeObject:
      return of_exclude(command.as<ExcludeObjectArguments>().name);
    case CommandKind::kSetPin: {
      const auto& set = command.as<PinArguments>();
      return with_value(EffectKind::kPin, "set_pin", set.pin, set.value);
    }
    case CommandKind::kSetLight:
      return of_light(command.as<LightArguments>());
    case CommandKind::kCoolDown:
      return effect(EffectKind::kHeatersOff, "cool_down");
    case CommandKind::kLoadFilament:
      return effect(EffectKind::kRetract, "load_filament");
    case CommandKind::kUnloadFilament:
      return effect(EffectKind::kRetract, "unload_filament");
    case CommandKind::kEmergencyStop:
    case CommandKind::kResetEmergency:
    case CommandKind::kFirmwareRestart:
    case CommandKind::kHostRestart:
    case CommandKind::kGcode:
    case CommandKind::kMacro:
    case CommandKind::kSetPower:
    case CommandKind::kQueueAdd:
    case CommandKind::kQueuePause:
    case CommandKind::kQueueRemove:
    case CommandKind::kPlateCleared:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Result<GcodeEffects> effects_of(const Command& command, const std::vector<std::string>& macros) {
  if (command.kind == CommandKind::kGcode) return gcode_effects(command.as<GcodeArguments>().script, macros);
  if (command.kind == CommandKind::kMacro) return of_macro(command.as<MacroArguments>());
  GcodeEffects effects;
  if (auto one = single(command)) effects.effects.push_back(std::move(*one));
  return effects;
}

}  // namespace millrace
