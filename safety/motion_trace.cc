// SPDX-License-Identifier: Apache-2.0
#include "safety/motion_trace.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr size_t kAxes = 3;
constexpr double kSecondsPerMinute = 60;

class Tracer {
 public:
  explicit Tracer(const MachineSnapshot& machine)
      : position_(machine.position),
        offset_(machine.gcode_offset),
        origin_(machine.homing_origin),
        homed_(machine.homed),
        absolute_(machine.absolute),
        feedrate_(machine.feedrate),
        factor_(machine.speed_factor),
        extruder_(machine.active_extruder),
        printing_(machine.printing()) {}

  TracedEffect follow(const GcodeEffect& effect) {
    TracedEffect traced;
    traced.effect = &effect;
    traced.extruder = extruder_;
    traced.homed = homed_;
    traced.during_print = printing_;
    apply(effect, traced);
    return traced;
  }

  // A line did what nobody knows.
  void lose_track() {
    for (size_t axis = 0; axis < kAxes; ++axis) position_[axis] = offset_[axis] = origin_[axis] = std::nullopt;
    absolute_ = std::nullopt;
    feedrate_ = factor_ = std::nullopt;
  }

 private:
  void apply(const GcodeEffect& effect, TracedEffect& traced) {
    switch (effect.kind) {
      case EffectKind::kMove:
      case EffectKind::kArc:
        return move(effect, traced);
      case EffectKind::kHome:
        return home(effect, traced);
      case EffectKind::kProbe:
        traced.is_motion = true;
        traced.moved = {true, true, true};
        return lose_position();
      case EffectKind::kRetract:
        traced.is_motion = traced.extrudes = true;
        return;
      case EffectKind::kAbsolute:
      case EffectKind::kRelative:
        absolute_ = effect.kind == EffectKind::kAbsolute;
        traced.is_motion = true;
        return;
      case EffectKind::kSetPosition:
        traced.is_motion = true;
        return set_position(effect);
      case EffectKind::kOffset:
        return change_offset(effect, traced);
      case EffectKind::kManualStepper:
        traced.velocity = effect.value;
        traced.is_motion = true;
        return;
      case EffectKind::kForcedMotion:
        traced.is_motion = true;
        return lose_position();
      case EffectKind::kMotorsOff:
        traced.is_motion = true;
        homed_ = {false, false, false};
        return lose_position();
      case EffectKind::kExtruderAbsolute:
      case EffectKind::kExtruderRelative:
        traced.is_motion = true;
        return;
      case EffectKind::kActivateExtruder:
        traced.is_motion = true;
        extruder_ = effect.subject;
        return;
      case EffectKind::kSpeedFactor:
        factor_ = effect.value;
        traced.velocity = velocity();
        return;
      case EffectKind::kPrintStart:
      case EffectKind::kResume:
        printing_ = true;
        return lose_track();
      case EffectKind::kVelocityLimit:
        traced.velocity = effect.value;
        return;
      default:
        return;
    }
  }

  std::optional<double> velocity() const {
    if (!feedrate_ || !factor_) return std::nullopt;
    return *feedrate_ / kSecondsPerMinute * *factor_;
  }

  void lose_position() { position_ = {}; }

  // In the machine's coordinates.
  std::optional<double> target_of(size_t axis, double coordinate, std::optional<bool> absolute) const {
    if (!absolute) return std::nullopt;
    const auto& base = *absolute ? offset_[axis] : position_[axis];
    if (!base) return std::nullopt;
    return *base + coordinate;
  }

  void move(const GcodeEffect& effect, TracedEffect& traced) {
    const auto absolute = effect.relative ? std::optional(!*effect.relative) : absolute_;
    traced.is_motion = true;
    traced.extrudes = effect.e.has_value();
    if (effect.feedrate) feedrate_ = effect.feedrate;
    traced.velocity = velocity();
    const auto start = position_;
    for (size_t axis = 0; axis < kAxes; ++axis) {
      if (!effect.axes[axis]) continue;
      traced.moved[axis] = true;
      position_[axis] = target_of(axis, *effect.axes[axis], absolute);
      if (position_[axis]) traced.reach[axis] = Range{*position_[axis], *position_[axis]};
    }
    if (effect.kind == EffectKind::kArc) sweep(effect, start, traced);
  }

  // The whole circle, even where the arc is but a part of it: never too little.
  void sweep(const GcodeEffect& effect, const std::array<std::optional<double>, kAxes>& start, TracedEffect& traced) {
    const double i = effect.centre[0].value_or(0);
    const double j = effect.centre[1].value_or(0);
    const double radius = std::hypot(i, j);
    for (size_t axis = 0; axis < 2; ++axis) {
      traced.moved[axis] = true;
      traced.reach[axis] = std::nullopt;
      if (!start[axis]) continue;
      const double centre = *start[axis] + (axis == 0 ? i : j);
      const double end = position_[axis].value_or(*start[axis]);
      traced.reach[axis] = Range{std::min(centre - radius, end), std::max(centre + radius, end)};
    }
  }

  void home(const GcodeEffect& effect, TracedEffect& traced) {
    traced.is_motion = true;
    const bool all = !effect.axes[0] && !effect.axes[1] && !effect.axes[2];
    for (size_t axis = 0; axis < kAxes; ++axis) {
      if (!all && !effect.axes[axis]) continue;
      homed_[axis] = true;
      offset_[axis] = origin_[axis];
    }
    lose_position();  // homing z may move x and y, too
  }

  void set_position(const GcodeEffect& effect) {
    for (size_t axis = 0; axis < kAxes; ++axis) {
      if (!effect.axes[axis]) continue;
      offset_[axis] = position_[axis] ? std::optional(*position_[axis] - *effect.axes[axis]) : std::nullopt;
    }
  }

  // klippy/extras/gcode_move.py, cmd_SET_GCODE_OFFSET.
  void change_offset(const GcodeEffect& effect, TracedEffect& traced) {
    const size_t axis = effect.subject == "X" ? 0 : effect.subject == "Y" ? 1 : 2;
    std::optional<double> added = effect.value;
    if (effect.axes[axis] && origin_[axis]) added = *effect.axes[axis] - *origin_[axis];
    const auto moved_by = [&](std::optional<double> from) {
      return from && added ? std::optional(*from + *added) : std::nullopt;
    };
    origin_[axis] = effect.axes[axis] ? effect.axes[axis] : moved_by(origin_[axis]);
    offset_[axis] = moved_by(offset_[axis]);
    if (!effect.moves) return;
    traced.is_motion = true;
    traced.moved[axis] = true;
    position_[axis] = moved_by(position_[axis]);
    if (position_[axis]) traced.reach[axis] = Range{*position_[axis], *position_[axis]};
    traced.velocity = effect.feedrate ? std::optional(*effect.feedrate / kSecondsPerMinute) : velocity();
  }

  std::array<std::optional<double>, kAxes> position_;
  std::array<std::optional<double>, kAxes> offset_;
  std::array<std::optional<double>, kAxes> origin_;
  std::array<bool, kAxes> homed_;
  std::optional<bool> absolute_;
  std::optional<double> feedrate_;
  std::optional<double> factor_;
  std::string extruder_;
  bool printing_;
};

}  // namespace

std::vector<TracedEffect> trace_motion(const GcodeEffects& effects, const MachineSnapshot& machine) {
  std::vector<TracedEffect> traced;
  traced.reserve(effects.effects.size());
  Tracer tracer(machine);
  size_t unjudged = 0;
  for (const GcodeEffect& effect : effects.effects) {
    for (; unjudged < effects.unjudged.size() && effects.unjudged[unjudged].line < effect.line; ++unjudged) {
      tracer.lose_track();
    }
    traced.push_back(tracer.follow(effect));
  }
  return traced;
}

}  // namespace millrace
