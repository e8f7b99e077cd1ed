// SPDX-License-Identifier: Apache-2.0
#include "safety/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr double kKlipperMinExtrudeTemp = 170;  // klippy/kinematics/extruder.py

using Number = std::optional<double> schema::LimitSetT::*;

// The hard bounds: nobody sets more, whoever it is.  500 degrees is beyond what hotends of such machines are built for
// (the hottest sold reach it), 200 beyond any heated bed and 120 beyond any heated chamber of them; 2 m is longer than
// any axis, and negative coordinates are where nozzles are wiped and probes docked; 2 m/s and 100 m/s2 are beyond what
// Klipper machines reach in contests.
struct Bound {
  std::string_view name;
  Number field;
  Range hard;
};

constexpr double kAxis = 2000;

const std::array kBounds = {
    Bound{"extruder_temp_max", &schema::LimitSetT::extruder_temp_max, {0, 500}},
    Bound{"bed_temp_max", &schema::LimitSetT::bed_temp_max, {0, 200}},
    Bound{"chamber_temp_max", &schema::LimitSetT::chamber_temp_max, {0, 120}},
    Bound{"x_min", &schema::LimitSetT::x_min, {-kAxis, kAxis}},
    Bound{"x_max", &schema::LimitSetT::x_max, {-kAxis, kAxis}},
    Bound{"y_min", &schema::LimitSetT::y_min, {-kAxis, kAxis}},
    Bound{"y_max", &schema::LimitSetT::y_max, {-kAxis, kAxis}},
    Bound{"z_min", &schema::LimitSetT::z_min, {-kAxis, kAxis}},
    Bound{"z_max", &schema::LimitSetT::z_max, {-kAxis, kAxis}},
    Bound{"velocity_max", &schema::LimitSetT::velocity_max, {1, 2000}},
    Bound{"acceleration_max", &schema::LimitSetT::acceleration_max, {1, 100'000}},
    Bound{"pwm_min", &schema::LimitSetT::pwm_min, {0, 1}},
    Bound{"pwm_max", &schema::LimitSetT::pwm_max, {0, 1}},
    Bound{"fan_min", &schema::LimitSetT::fan_min, {0, 1}},
    Bound{"fan_max", &schema::LimitSetT::fan_max, {0, 1}},
    Bound{"feedrate_min", &schema::LimitSetT::feedrate_min, {0.01, 120'000}},
    Bound{"feedrate_max", &schema::LimitSetT::feedrate_max, {0.01, 120'000}},
};

struct Pair {
  std::string_view name;
  Number min;
  Number max;
};

const std::array kPairs = {
    Pair{"x", &schema::LimitSetT::x_min, &schema::LimitSetT::x_max},
    Pair{"y", &schema::LimitSetT::y_min, &schema::LimitSetT::y_max},
    Pair{"z", &schema::LimitSetT::z_min, &schema::LimitSetT::z_max},
    Pair{"pwm", &schema::LimitSetT::pwm_min, &schema::LimitSetT::pwm_max},
    Pair{"fan", &schema::LimitSetT::fan_min, &schema::LimitSetT::fan_max},
    Pair{"feedrate", &schema::LimitSetT::feedrate_min, &schema::LimitSetT::feedrate_max},
};

Range range_from(std::optional<double> min, std::optional<double> max, Range otherwise) {
  return {min.value_or(otherwise.min), max.value_or(otherwise.max)};
}

const KlipperHeaterLimits* find_heater(const std::vector<KlipperHeaterLimits>& heaters, std::string_view name) {
  const auto found =
      std::find_if(heaters.begin(), heaters.end(), [&](const auto& heater) { return heater.name == name; });
  return found == heaters.end() ? nullptr : &*found;
}

// A number that is none says nothing.
std::optional<double> finite(std::optional<double> number) {
  return number && std::isfinite(*number) ? number : std::nullopt;
}

}  // namespace

std::string_view name_of(HeaterKind kind) {
  switch (kind) {
    case HeaterKind::kExtruder:
      return "extruder";
    case HeaterKind::kBed:
      return "bed";
    case HeaterKind::kChamber:
      return "chamber";
    case HeaterKind::kGeneric:
      return "generic";
  }
  return "unknown";
}

double Limits::temp_max(HeaterKind kind, std::string_view name) const {
  const KlipperHeaterLimits* own = find_heater(heaters, name);
  const auto own_max = own ? finite(own->max_temp) : std::nullopt;
  switch (kind) {
    case HeaterKind::kExtruder:
      return std::min(extruder_temp_max, own_max.value_or(extruder_temp_max));
    case HeaterKind::kBed:
      return std::min(bed_temp_max, own_max.value_or(bed_temp_max));
    case HeaterKind::kChamber:
      return std::min(chamber_temp_max, own_max.value_or(chamber_temp_max));
    case HeaterKind::kGeneric:
      return std::min(extruder_temp_max, own_max.value_or(chamber_temp_max));
  }
  return 0;
}

double Limits::min_extrude_temp(std::string_view extruder) const {
  const KlipperHeaterLimits* own = find_heater(heaters, extruder);
  return (own ? finite(own->min_extrude_temp) : std::nullopt).value_or(kKlipperMinExtrudeTemp);
}

Limits limits_from(const schema::LimitSetT& set) {
  Limits limits;
  limits.extruder_temp_max = set.extruder_temp_max.value_or(limits.extruder_temp_max);
  limits.bed_temp_max = set.bed_temp_max.value_or(limits.bed_temp_max);
  limits.chamber_temp_max = set.chamber_temp_max.value_or(limits.chamber_temp_max);
  limits.axes = {range_from(set.x_min, set.x_max, limits.axes[0]), range_from(set.y_min, set.y_max, limits.axes[1]),
                 range_from(set.z_min, set.z_max, limits.axes[2])};
  limits.velocity_max = set.velocity_max.value_or(limits.velocity_max);
  limits.acceleration_max = set.acceleration_max.value_or(limits.acceleration_max);
  limits.pwm = range_from(set.pwm_min, set.pwm_max, limits.pwm);
  limits.fan = range_from(set.fan_min, set.fan_max, limits.fan);
  limits.feedrate = range_from(set.feedrate_min, set.feedrate_max, limits.feedrate);
  limits.require_plate_cleared = set.require_plate_cleared.value_or(limits.require_plate_cleared);
  return limits;
}

schema::LimitSetT to_limit_set(const Limits& limits) {
  schema::LimitSetT set;
  set.extruder_temp_max = limits.extruder_temp_max;
  set.bed_temp_max = limits.bed_temp_max;
  set.chamber_temp_max = limits.chamber_temp_max;
  set.x_min = limits.axes[0].min;
  set.x_max = limits.axes[0].max;
  set.y_min = limits.axes[1].min;
  set.y_max = limits.axes[1].max;
  set.z_min = limits.axes[2].min;
  set.z_max = limits.axes[2].max;
  set.velocity_max = limits.velocity_max;
  set.acceleration_max = limits.acceleration_max;
  set.pwm_min = limits.pwm.min;
  set.pwm_max = limits.pwm.max;
  set.fan_min = limits.fan.min;
  set.fan_max = limits.fan.max;
  set.feedrate_min = limits.feedrate.min;
  set.feedrate_max = limits.feedrate.max;
  set.require_plate_cleared = limits.require_plate_cleared;
  return set;
}

Result<void> check_limit_set(const schema::LimitSetT& set) {
  for (const Bound& bound : kBounds) {
    const auto value = set.*bound.field;
    if (value && !bound.hard.holds(*value)) {
      return make_error(Errc::kInvalidArgument, fmt::format("{} is {}: expected a number from {} to {}", bound.name,
                                                            *value, bound.hard.min, bound.hard.max));
    }
  }
  const schema::LimitSetT whole = to_limit_set(limits_from(set));
  for (const Pair& pair : kPairs) {
    const double min = *(whole.*pair.min);
    const double max = *(whole.*pair.max);
    if (min >= max) {
      return make_error(
          Errc::kInvalidArgument,
          fmt::format("{0}_min is {1} and {0}_max is {2}: expected a minimum below the maximum", pair.name, min, max));
    }
  }
  return {};
}

Limits narrow(Limits limits, const KlipperLimits& klipper) {
  for (size_t axis = 0; axis < limits.axes.size(); ++axis) {
    Range& range = limits.axes[axis];
    range.min = std::max(range.min, finite(klipper.axis_minimum[axis]).value_or(range.min));
    range.max = std::min(range.max, finite(klipper.axis_maximum[axis]).value_or(range.max));
  }
  limits.velocity_max = std::min(limits.velocity_max, finite(klipper.max_velocity).value_or(limits.velocity_max));
  limits.acceleration_max =
      std::min(limits.acceleration_max, finite(klipper.max_accel).value_or(limits.acceleration_max));
  limits.heaters = klipper.heaters;
  return limits;
}

}  // namespace millrace
