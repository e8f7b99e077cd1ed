// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/command_effect.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr double kSameTarget = 0.05;  // degrees; Klipper reports targets with hundredths
constexpr double kSameShare = 0.02;   // of a fan or pin; M106 has 255 steps
constexpr double kSameFactor = 0.005;
constexpr std::chrono::seconds kShortestPrintSeen{1};

bool is_near(std::optional<double> value, double wanted, double tolerance) {
  return value && std::abs(*value - wanted) <= tolerance;
}

}  // namespace

const HeaterSnapshot* heater_of(const MachineSnapshot& machine, const std::string& name) {
  const auto found = std::find_if(machine.heaters.begin(), machine.heaters.end(),
                                  [&](const HeaterSnapshot& heater) { return heater.name == name; });
  return found == machine.heaters.end() ? nullptr : &*found;
}

std::optional<bool> effect_shows(const Command& command, const EffectSigns& signs) {
  const MachineSnapshot& machine = signs.machine;
  switch (command.kind) {
    case CommandKind::kStart:
      // A print that has ended within a quarter of a second shows by its file's name alone, which the one before it may
      // have left.
      return machine.has_print() ||
             (signs.print_file == command.as<StartArguments>().filename && signs.since_sent >= kShortestPrintSeen);
    case CommandKind::kPause:
      return !machine.printing();
    case CommandKind::kResume:
      return machine.printing() || !machine.has_print();
    case CommandKind::kCancel:
      return !machine.has_print();
    case CommandKind::kSetTemperature: {
      const auto& wanted = command.as<TemperatureArguments>();
      const HeaterSnapshot* heater = heater_of(machine, wanted.heater);
      return heater != nullptr && is_near(heater->target, wanted.target, kSameTarget);
    }
    case CommandKind::kCoolDown:
      return std::all_of(machine.heaters.begin(), machine.heaters.end(),
                         [](const HeaterSnapshot& heater) { return heater.target == 0; });
    case CommandKind::kSetFan: {
      const auto& wanted = command.as<FanArguments>();
      const auto fan = std::find_if(machine.fans.begin(), machine.fans.end(),
                                    [&](const FanSnapshot& one) { return one.name == wanted.fan; });
      return fan != machine.fans.end() && is_near(fan->speed, wanted.speed, kSameShare);
    }
    case CommandKind::kSetSpeedFactor:
      return is_near(signs.speed_factor, command.as<FactorArguments>().factor, kSameFactor);
    case CommandKind::kSetFlowFactor:
      return is_near(signs.flow_factor, command.as<FactorArguments>().factor, kSameFactor);
    case CommandKind::kHome: {
      const auto& wanted = command.as<HomeArguments>().axes;
      for (size_t i = 0; i < wanted.size(); ++i) {
        if (wanted[i] && !machine.homed[i]) return false;
      }
      return true;
    }
    case CommandKind::kExcludeObject: {
      const auto& names = machine.excluded_objects;
      return std::find(names.begin(), names.end(), command.as<ExcludeObjectArguments>().name) != names.end();
    }
    default:
      return std::nullopt;
  }
}

}  // namespace millrace
