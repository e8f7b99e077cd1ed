// SPDX-License-Identifier: Apache-2.0
// What commands may ask of a machine.  The built-in defaults hold where nothing is set, and a machine's own limits
// narrow everything (decision 16).  Pure.
#pragma once

#include <schemas/event_generated.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/result.h"

namespace millrace {

enum class HeaterKind : uint8_t { kExtruder, kBed, kChamber, kGeneric };
std::string_view name_of(HeaterKind kind);  // "extruder", "bed", "chamber", "generic"

struct Range {
  double min = 0;
  double max = 0;

  bool holds(double value) const { return value >= min && value <= max; }  // false for NaN
  bool operator==(const Range&) const = default;
};

// Of Klipper's configuration, for one heater.
struct KlipperHeaterLimits {
  std::string name;  // as in HeaterSnapshot
  std::optional<double> max_temp;
  std::optional<double> min_extrude_temp;  // extruders only
};

// What Klipper was configured with; nullopt where it did not say.
struct KlipperLimits {
  std::array<std::optional<double>, 3> axis_minimum;  // toolhead.axis_minimum, mm
  std::array<std::optional<double>, 3> axis_maximum;
  std::optional<double> max_velocity;  // mm/s
  std::optional<double> max_accel;     // mm/s2
  std::vector<KlipperHeaterLimits> heaters;
};

// The defaults are those of the older system.
struct Limits {
  double extruder_temp_max = 250;  // degrees Celsius
  double bed_temp_max = 120;
  double chamber_temp_max = 60;
  std::array<Range, 3> axes = {Range{0, 300}, Range{0, 300}, Range{0, 400}};  // x, y, z in mm
  double velocity_max = 500;                                                  // mm/s
  double acceleration_max = 3000;                                             // mm/s2
  Range pwm = {0, 1};
  Range fan = {0, 1};
  Range feedrate = {1, 30000};  // mm/min
  bool require_plate_cleared = true;
  std::vector<KlipperHeaterLimits> heaters;  // the machine's own, by narrow()

  // The highest target of that heater: of its kind, and never above the machine's own.  A generic heater has its own
  // maximum, at most the extruders'; one that Klipper says nothing of is held to the chamber's.
  double temp_max(HeaterKind kind, std::string_view name) const;
  // Below it nothing is extruded; Klipper's default of 170 where it does not say.
  double min_extrude_temp(std::string_view extruder) const;
};

// Fields that are not set have their default.
Limits limits_from(const schema::LimitSetT& set);
// Every field set.
schema::LimitSetT to_limit_set(const Limits& limits);

// Whether somebody may set it: every number finite, each minimum below its maximum (with the defaults for what is not
// set), and nothing beyond what limits.cc calls the hard bounds.  kInvalidArgument names field, value and bounds.
Result<void> check_limit_set(const schema::LimitSetT& set);

// The stricter of both, field by field.  A range of which nothing is left holds no value.
Limits narrow(Limits limits, const KlipperLimits& klipper);

}  // namespace millrace
