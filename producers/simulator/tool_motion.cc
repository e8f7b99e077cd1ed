// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/tool_motion.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr std::array<const char*, 4> kWords = {"X", "Y", "Z", "E"};
constexpr double kManualStepperSpeed = 5;
constexpr size_t kMaxSavedStates = 64;
constexpr int kArcSteps = 32;

std::string shown(const std::array<double, 4>& place) {
  return fmt::format("{:.3f} {:.3f} {:.3f} [{:.3f}]", place[0], place[1], place[2], place[3]);
}

}  // namespace

const std::map<std::string, ToolMotion::Run, std::less<>>& ToolMotion::commands() {
  static const std::map<std::string, Run, std::less<>> kCommands = {
      {"G0", &ToolMotion::move},
      {"G1", &ToolMotion::move},
      {"G2", &ToolMotion::arc},
      {"G3", &ToolMotion::arc},
      {"G90", &ToolMotion::set_mode},
      {"G91", &ToolMotion::set_mode},
      {"M82", &ToolMotion::set_mode},
      {"M83", &ToolMotion::set_mode},
      {"G92", &ToolMotion::set_position},
      {"SET_GCODE_OFFSET", &ToolMotion::set_offset},
      {"M220", &ToolMotion::set_factor},
      {"M221", &ToolMotion::set_factor},
      {"M204", &ToolMotion::set_limits},
      {"SET_VELOCITY_LIMIT", &ToolMotion::set_limits},
      {"SAVE_GCODE_STATE", &ToolMotion::save},
      {"RESTORE_GCODE_STATE", &ToolMotion::restore},
      {"M18", &ToolMotion::motors_off},
      {"M84", &ToolMotion::motors_off},
      {"FORCE_MOVE", &ToolMotion::force},
      {"SET_KINEMATIC_POSITION", &ToolMotion::set_kinematic_position},
      {"MANUAL_STEPPER", &ToolMotion::move_manual_stepper},
  };
  return kCommands;
}

std::optional<std::string> ToolMotion::run(const SimulatedGcodeLine& line, double extruder_c) {
  const auto found = commands().find(line.command());
  if (found == commands().end()) return std::nullopt;
  extruder_c_ = extruder_c;
  return (this->*found->second)(line).value_or("");
}

ToolMotion::Error ToolMotion::move(const SimulatedGcodeLine& line) {
  auto target = state_.position;
  Error error;
  for (size_t axis = 0; axis < target.size(); ++axis) {
    auto given = line.number(kWords[axis], error);
    if (!given) continue;
    const bool is_absolute = state_.absolute && (axis < 3 || state_.absolute_extrude);
    if (axis == 3) *given *= state_.extrude_factor;
    target[axis] = *given + (is_absolute ? state_.base_position[axis] : target[axis]);
  }
  const auto feed = line.number("F", error);
  if (error) return error;
  if (feed) {
    if (*feed <= 0) return fmt::format("Invalid speed in 'F{}'", *feed);
    state_.move_speed = *feed;
  }
  return go_to(target, state_.move_speed * state_.speed_factor / 60);
}

// gcode_arcs: from where the tool is, around the centre, to the end.
ToolMotion::Error ToolMotion::arc(const SimulatedGcodeLine& line) {
  if (!state_.absolute) return "G2/G3 does not support relative move mode";
  Error error;
  auto target = state_.position;
  for (size_t axis = 0; axis < 3; ++axis) {
    if (const auto given = line.number(kWords[axis], error)) target[axis] = *given + state_.base_position[axis];
  }
  const double i = line.number("I", error).value_or(0);
  const double j = line.number("J", error).value_or(0);
  if (const auto feed = line.number("F", error); feed && *feed > 0) state_.move_speed = *feed;
  if (error) return error;
  if (i == 0 && j == 0) return "G2/G3 requires IJ, IK or JK parameters";
  const auto start = state_.position;
  const double begin = std::atan2(-j, -i);
  double sweep = std::atan2(target[1] - start[1] - j, target[0] - start[0] - i) - begin;
  const bool clockwise = line.command() == "G2";
  if (clockwise && sweep >= 0) sweep -= 2 * M_PI;
  if (!clockwise && sweep <= 0) sweep += 2 * M_PI;
  const double speed = state_.move_speed * state_.speed_factor / 60;
  for (int step = 1; step < kArcSteps; ++step) {
    const double angle = begin + sweep * step / kArcSteps;
    auto place = start;
    place[0] = start[0] + i + std::hypot(i, j) * std::cos(angle);
    place[1] = start[1] + j + std::hypot(i, j) * std::sin(angle);
    place[2] = start[2] + (target[2] - start[2]) * step / kArcSteps;
    if ((error = go_to(place, speed))) return error;
  }
  return go_to(target, speed);
}

ToolMotion::Error ToolMotion::set_position(const SimulatedGcodeLine& line) {
  Error error;
  bool any = false;
  auto base = state_.base_position;
  for (size_t axis = 0; axis < base.size(); ++axis) {
    const auto given = line.number(kWords[axis], error);
    if (!given) continue;
    base[axis] = state_.position[axis] - *given * (axis == 3 ? state_.extrude_factor : 1);
    any = true;
  }
  if (error) return error;
  state_.base_position = any ? base : state_.position;
  return std::nullopt;
}

ToolMotion::Error ToolMotion::set_offset(const SimulatedGcodeLine& line) {
  Error error;
  std::array<double, 4> delta{};
  for (size_t axis = 0; axis < delta.size(); ++axis) {
    auto offset = line.number(kWords[axis], error);
    if (!offset) {
      offset = line.number(std::string(kWords[axis]) + "_ADJUST", error);
      if (!offset) continue;
      *offset += state_.homing_origin[axis];
    }
    delta[axis] = *offset - state_.homing_origin[axis];
    state_.base_position[axis] += delta[axis];
    state_.homing_origin[axis] = *offset;
  }
  const bool moves = line.number("MOVE", error).value_or(0) != 0;
  const double speed = line.number("MOVE_SPEED", error).value_or(state_.move_speed * state_.speed_factor / 60);
  if (error || !moves) return error;
  auto target = state_.position;
  for (size_t axis = 0; axis < delta.size(); ++axis) target[axis] += delta[axis];
  return go_to(target, speed);
}

ToolMotion::Error ToolMotion::set_factor(const SimulatedGcodeLine& line) {
  Error error;
  const double factor = line.number("S", error).value_or(100) / 100;
  if (error) return error;
  if (factor <= 0) return "Error: S must be above 0.0";
  (line.command() == "M220" ? state_.speed_factor : state_.extrude_factor) = factor;
  return std::nullopt;
}

ToolMotion::Error ToolMotion::set_mode(const SimulatedGcodeLine& line) {
  const std::string& command = line.command();
  (command[0] == 'G' ? state_.absolute : state_.absolute_extrude) = command == "G90" || command == "M82";
  return std::nullopt;
}

// M204 takes S, or the smaller of P and T.
ToolMotion::Error ToolMotion::set_limits(const SimulatedGcodeLine& line) {
  Error error;
  const auto acceleration = line.number("ACCEL", error);
  const auto by_s = line.number("S", error);
  const auto p = line.number("P", error);
  const auto t = line.number("T", error);
  const auto velocity = line.number("VELOCITY", error);
  if (error) return error;
  const auto set = acceleration ? acceleration : by_s ? by_s : p && t ? std::optional(std::min(*p, *t)) : std::nullopt;
  if ((set && *set <= 0) || (velocity && *velocity <= 0)) return "Error: must be above 0.0";
  if (set) {
    state_.max_accel = *set;
    extremes_.acceleration = std::max(extremes_.acceleration, *set);
  }
  if (velocity) state_.max_velocity = *velocity;
  return std::nullopt;
}

ToolMotion::Error ToolMotion::save(const SimulatedGcodeLine& line) {
  const std::string name = line.word("NAME", "default");
  if (saved_.size() >= kMaxSavedStates && !saved_.contains(name)) return std::nullopt;
  saved_[name] = {state_.position,         state_.base_position, state_.homing_origin, state_.absolute,
                  state_.absolute_extrude, state_.move_speed,    state_.speed_factor,  state_.extrude_factor};
  return std::nullopt;
}

ToolMotion::Error ToolMotion::restore(const SimulatedGcodeLine& line) {
  const std::string name = line.word("NAME", "default");
  const auto found = saved_.find(name);
  if (found == saved_.end()) return fmt::format("Unknown g-code state: {}", name);
  const Saved& saved = found->second;
  state_.absolute = saved.absolute;
  state_.absolute_extrude = saved.absolute_extrude;
  state_.base_position = saved.base;
  state_.homing_origin = saved.origin;
  state_.move_speed = saved.speed;
  state_.speed_factor = saved.speed_factor;
  state_.extrude_factor = saved.extrude_factor;
  state_.base_position[3] += state_.position[3] - saved.position[3];
  Error error;
  const bool moves = line.number("MOVE", error).value_or(0) != 0;
  const double speed = line.number("MOVE_SPEED", error).value_or(state_.move_speed * state_.speed_factor / 60);
  if (error || !moves) return error;
  auto target = saved.position;
  target[3] = state_.position[3];
  return go_to(target, speed);
}

ToolMotion::Error ToolMotion::motors_off(const SimulatedGcodeLine&) {
  state_.homed_axes.clear();
  return std::nullopt;
}

ToolMotion::Error ToolMotion::force(const SimulatedGcodeLine& line) {
  Error error;
  const double distance = line.number("DISTANCE", error).value_or(0);
  const std::string stepper = line.word("STEPPER");
  for (size_t axis = 0; axis < tool_.size() && !error; ++axis) {
    if (stepper == fmt::format("stepper_{}", "xyz"[axis])) tool_[axis] += distance;
  }
  extremes_.forced = true;
  return error;
}

// Klipper believes it, and takes the axes for homed.
ToolMotion::Error ToolMotion::set_kinematic_position(const SimulatedGcodeLine& line) {
  Error error;
  for (size_t axis = 0; axis < 3; ++axis) {
    state_.position[axis] = line.number(kWords[axis], error).value_or(state_.position[axis]);
  }
  state_.homed_axes = "xyz";
  extremes_.forced = true;
  return error;
}

ToolMotion::Error ToolMotion::move_manual_stepper(const SimulatedGcodeLine& line) {
  if (line.word("STEPPER") != "feeder")
    return fmt::format("The value '{}' is not valid for STEPPER", line.word("STEPPER"));
  Error error;
  const double speed = line.number("SPEED", error).value_or(kManualStepperSpeed);
  const double acceleration = line.number("ACCEL", error).value_or(0);
  if (error || !line.number("MOVE", error) || error) return error;
  extremes_.velocity = std::max(extremes_.velocity, speed);
  extremes_.acceleration = std::max(extremes_.acceleration, acceleration);
  return std::nullopt;
}

void ToolMotion::home(const SimulatedGcodeLine& line) {
  constexpr std::array<double, 3> kEndstops = {0, 0, 5};
  const bool all = !line.has("X") && !line.has("Y") && !line.has("Z");
  std::string homed;
  for (size_t axis = 0; axis < kEndstops.size(); ++axis) {
    const bool now = all || line.has(kWords[axis]);
    if (now || is_homed(axis)) homed += "xyz"[axis];
    if (!now) continue;
    state_.position[axis] = state_.live_position[axis] = tool_[axis] = kEndstops[axis];
    state_.base_position[axis] = state_.homing_origin[axis];
  }
  state_.homed_axes = homed;
}

void ToolMotion::settle() { std::copy_n(state_.position.begin(), tool_.size(), tool_.begin()); }

void ToolMotion::forget() { saved_.clear(); }

// Every axis that moves has to be homed and stay within Klipper's bounds; nothing is faster than its maximum.
ToolMotion::Error ToolMotion::go_to(const std::array<double, 4>& target, double speed) {
  bool any = false;
  for (size_t axis = 0; axis < 3; ++axis) {
    if (target[axis] == state_.position[axis]) continue;
    any = true;
    if (!is_homed(axis)) return "Must home axis first: " + shown(target);
    if (target[axis] < state_.axis_minimum[axis] || target[axis] > state_.axis_maximum[axis]) {
      return "Move out of range: " + shown(target);
    }
  }
  if (target[3] != state_.position[3] && extruder_c_ < HostState::min_extrude_c) {
    return "Extrude below minimum temp\nSee the 'min_extrude_temp' config option for details";
  }
  for (size_t axis = 0; axis < 3; ++axis) {
    tool_[axis] += target[axis] - state_.position[axis];
    if (target[axis] == state_.position[axis]) continue;
    extremes_.lowest[axis] = std::min(extremes_.lowest[axis], tool_[axis]);
    extremes_.highest[axis] = std::max(extremes_.highest[axis], tool_[axis]);
  }
  if (any) {
    extremes_.velocity = std::max(extremes_.velocity, std::min(speed, state_.max_velocity));
    extremes_.moved_during_print = extremes_.moved_during_print || state_.print == PrintState::kPrinting;
  }
  state_.position = state_.live_position = target;
  return std::nullopt;
}

}  // namespace millrace
