// SPDX-License-Identifier: Apache-2.0
// What Klipper does with coordinates, modes, offsets and speeds (klippy/extras/gcode_move.py, klippy/toolhead.py), and
// where the tool really went by it.  It knows nothing of limits but Klipper's own.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "producers/simulator/gcode_line_reader.h"
#include "producers/simulator/state.h"

namespace millrace {

// The farthest that G-code by hand made the machine go; homing, probing and prints are not counted.
struct MachineExtremes {
  std::array<double, 3> lowest{};  // of the tool itself, mm: what SET_KINEMATIC_POSITION says moves nothing
  std::array<double, 3> highest{};
  double velocity = 0;      // mm/s, of the tool or a motor
  double acceleration = 0;  // mm/s2, that was set
  double extruder_c = 0;    // targets
  double bed_c = 0;
  double lowest_share = 0;   // of fans and pins
  double highest_share = 0;  // the same
  bool forced = false;       // past what Klipper knows of its axes
  bool moved_during_print = false;
};

class ToolMotion {
 public:
  explicit ToolMotion(HostState& state) : state_(state) {}

  // nullopt: the command is none of its own.  Else Klipper's error, "" for none.
  std::optional<std::string> run(const SimulatedGcodeLine& line, double extruder_c);
  // Homed axes stand at their endstops.
  void home(const SimulatedGcodeLine& line);
  // The tool is where the state says, as after a print.
  void settle();
  // Klipper was started anew.
  void forget();

  MachineExtremes& extremes() { return extremes_; }
  const MachineExtremes& extremes() const { return extremes_; }

 private:
  struct Saved {
    std::array<double, 4> position, base, origin;
    bool absolute, absolute_extrude;
    double speed, speed_factor, extrude_factor;
  };
  using Error = std::optional<std::string>;
  using Run = Error (ToolMotion::*)(const SimulatedGcodeLine& line);

  Error move(const SimulatedGcodeLine& line);
  Error arc(const SimulatedGcodeLine& line);
  Error set_position(const SimulatedGcodeLine& line);
  Error set_offset(const SimulatedGcodeLine& line);
  Error set_factor(const SimulatedGcodeLine& line);
  Error set_mode(const SimulatedGcodeLine& line);
  Error set_limits(const SimulatedGcodeLine& line);
  Error save(const SimulatedGcodeLine& line);
  Error restore(const SimulatedGcodeLine& line);
  Error motors_off(const SimulatedGcodeLine& line);
  Error force(const SimulatedGcodeLine& line);
  Error set_kinematic_position(const SimulatedGcodeLine& line);
  Error move_manual_stepper(const SimulatedGcodeLine& line);

  static const std::map<std::string, Run, std::less<>>& commands();
  Error go_to(const std::array<double, 4>& target, double speed);
  bool is_homed(size_t axis) const { return state_.homed_axes.find("xyz"[axis]) != std::string::npos; }

  HostState& state_;
  double extruder_c_ = 0;
  std::array<double, 3> tool_{};  // where it really is
  std::map<std::string, Saved> saved_;
  MachineExtremes extremes_;
};

}  // namespace millrace
