// SPDX-License-Identifier: Apache-2.0
// A command in Moonraker's words.  Pure.  Names and numbers of a Command are safe to write into G-code
// (safety/command.h). Source: Moonraker's API (docs/external_api) and Klipper's G-Codes.md.
#pragma once

#include <chrono>
#include <string>

#include "safety/command.h"

namespace millrace {

struct MoonrakerCall {
  std::string method;  // empty: nothing is sent to the machine
  std::string params;  // JSON
  std::chrono::seconds timeout{30};
};

// Scripts are answered when they were carried out: a wait for a heater or for a long move may take an hour.
inline constexpr std::chrono::seconds kScriptTimeout{3600};

MoonrakerCall moonraker_call(const Command& command);
// The G-code of a command that is one; empty for all others.
std::string gcode_of(const Command& command);

}  // namespace millrace
