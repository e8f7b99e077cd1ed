// SPDX-License-Identifier: Apache-2.0
// A machine as the guard sees it: what it last said, and what people said of it.  Plain data, made by the adapter for
// each judgement.  What is not known is nullopt, and the guard takes it for the worse where heat or motion hang on it.
#pragma once

#include <schemas/event_generated.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "safety/command.h"
#include "safety/limits.h"

namespace millrace {

// Decision 17: heard of within that time, by a subscription in force.
constexpr std::chrono::milliseconds kFreshFor{2000};

struct HeaterSnapshot {
  std::string
      name;  // as SET_HEATER_TEMPERATURE takes it: "extruder", "heater_bed", "chamber" of "heater_generic chamber"
  HeaterKind kind = HeaterKind::kGeneric;
  std::optional<double> temperature;
  double target = 0;
  std::optional<bool> can_extrude;  // extruders only
  bool sensor_plausible = false;    // its temperature is there, finite, and within what the sensor can measure
  std::string fan;  // that has to turn while it is hot ("heater_fan" of an extruder); empty: none is known
  std::optional<double> fan_from_c;  // from that temperature on; Klipper's default of 50 where it is not known
};

struct FanSnapshot {
  std::string name;  // as SET_FAN_SPEED takes it; "fan" is the part fan of M106
  std::optional<double> speed;
  std::optional<double> rpm;  // where it has a tachometer
  bool settable = true;       // false: heater_fan, controller_fan, temperature_fan
};

// Of the file that a start asks for.
struct FileSnapshot {
  std::string filename;
  std::optional<bool> exists;
  std::optional<double> nozzle_diameter;  // mm
  // By extruder, as the slicer wrote them, "PLA"; nullopt or empty: not known, or the extruder is not used.
  std::vector<std::optional<std::string>> filament_types;
  std::optional<double> extruder_temp;  // the highest that it is known to ask for
  std::optional<double> bed_temp;
  std::optional<double> chamber_temp;
};

struct MachineSnapshot {
  MachineKind kind = MachineKind::kPrinter;
  schema::MachineState state = schema::MachineState::unknown;
  std::string state_text;  // Klipper's own words

  bool link_up = false;                                   // Moonraker is connected and identified
  bool subscribed = false;                                // the subscription is in force
  std::optional<std::chrono::milliseconds> heard_before;  // age of the last frame or answer; nullopt: never

  std::string state_version;  // "<epoch>-<sequence>" of the last state change; empty: none yet
  std::string job_id;         // of the print under way; empty: none

  // Motion, from Klipper's gcode_move and toolhead; mm and the machine's own coordinates.
  std::array<bool, 3> homed = {false, false, false};   // toolhead.homed_axes: x, y, z
  std::array<std::optional<double>, 3> position;       // gcode_move.position
  std::array<std::optional<double>, 3> gcode_offset;   // position - gcode_position, of G92 and SET_GCODE_OFFSET
  std::array<std::optional<double>, 3> homing_origin;  // gcode_move.homing_origin, of SET_GCODE_OFFSET alone
  std::optional<bool> absolute;                        // gcode_move.absolute_coordinates
  std::optional<double> feedrate;                      // gcode_move.speed, in force for moves without F, mm/min
  double speed_factor = 1;                             // gcode_move.speed_factor
  std::string active_extruder = "extruder";            // toolhead.extruder

  std::vector<HeaterSnapshot> heaters;
  std::vector<FanSnapshot> fans;
  std::vector<std::string> pins;                          // as SET_PIN takes them
  std::vector<std::string> lights;                        // as SET_LED takes them
  std::vector<std::string> macros;                        // upper case, as gcode.commands or configfile lists them
  std::optional<std::vector<std::string>> power_devices;  // nullopt: Moonraker was not asked, or has none configured

  std::vector<std::string> objects;           // of the print (exclude_object.objects)
  std::vector<std::string> excluded_objects;  // those left out already

  bool emergency_latched = false;
  bool plate_clear = false;
  std::vector<std::string> critical_alarms;  // ids of those that stand, critical or emergency

  KlipperLimits klipper;
  std::optional<FileSnapshot> file;  // for start only

  std::optional<double> nozzle_diameter;  // as people told
  // By extruder, as people told: "PLA"; nullopt: not told.
  std::vector<std::optional<std::string>> loaded_materials;

  bool printing() const { return state == schema::MachineState::printing; }
  // A print is under way, whether it moves or waits.
  bool has_print() const { return printing() || state == schema::MachineState::paused; }
};

}  // namespace millrace
