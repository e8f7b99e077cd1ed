// SPDX-License-Identifier: Apache-2.0
// What may go wrong on a simulated machine, and how often.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/random.h"

namespace millrace {

enum class Incident {
  kPause,   // by hand, with a resume later
  kRunout,  // the filament sensor pauses; filament is put in and the print resumed
  kCancel,
  kGcodeError,   // in the file
  kHeaterFault,  // the extruder stops warming; verify_heater shuts down
  kMcuLost,
  kEmergencyStop,
  kKlipperRestart,    // RESTART in the middle of a print
  kKlipperKilled,     // the process dies and is started again
  kMoonrakerRestart,  // sockets close with 1001, the port is gone for a moment, the print goes on
  kMoonrakerKill,     // sockets just drop; the row of the print ends as "interrupted"
  kCancelHeating,     // waits behind the warm-up, as behind Klipper's G-code mutex
  kM112,
  kSensorFault,  // a reading out of range
  kFirmwareRestart,
  kPowerOff,         // everything is gone at once; the host boots again
  kNetworkLost,      // the machine cannot be reached for a while and goes on printing
  kNetworkLostLong,  // until after the end of the print
  kReprint,          // the same file again, half a second after the end
  kReplace,          // paused, and another file is started over it
  kExcludeObject,
  kJobQueue,  // two more files wait in Moonraker's queue and are printed after this one
};

std::string_view name_of(Incident incident);
std::optional<Incident> parse_incident(std::string_view name);

// A behaviour is "steady", "mixed", "idle", "clock_wrong", "odd_names" or the name of one incident, which then happens
// in every print.
bool is_behaviour(std::string_view name);
// "steady, mixed, idle, pause, ..." for messages.
std::string behaviour_names();
// All of them, for a shop that shows each.
std::vector<std::string> all_behaviours();

struct PlannedIncident {
  Incident incident;
  double at;  // share of the print that is done, 0 to 1
};

// The incident of the next print, if there is one.
std::optional<PlannedIncident> plan_incident(std::string_view behaviour, Random& random);

}  // namespace millrace
