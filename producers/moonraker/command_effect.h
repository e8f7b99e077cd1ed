// SPDX-License-Identifier: Apache-2.0
// How a machine's own state shows that a command was carried out: Moonraker's "ok" alone proves nothing.  Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "safety/command.h"
#include "safety/machine_snapshot.h"

namespace millrace {

struct EffectSigns {
  MachineSnapshot machine;
  std::string print_file;              // of the print that is under way, or was last
  std::optional<double> speed_factor;  // 1 is as in the file
  std::optional<double> flow_factor;
  std::chrono::nanoseconds since_sent{};
};

// nullopt: the state never shows it.
std::optional<bool> effect_shows(const Command& command, const EffectSigns& signs);

// By the name that SET_HEATER_TEMPERATURE takes; nullptr where there is none.
const HeaterSnapshot* heater_of(const MachineSnapshot& machine, const std::string& name);

}  // namespace millrace
