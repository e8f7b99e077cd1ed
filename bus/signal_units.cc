// SPDX-License-Identifier: Apache-2.0
#include "bus/signal_units.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

struct UnitRow {
  std::string_view object;  // its first word; empty: any
  std::string_view field;   // without the axis behind a dot
  std::string_view unit;
};

// The first row that fits.  Units are Klipper's and Moonraker's own, as their status references name them.
constexpr std::array kUnits = {
    UnitRow{"system_stats", "memavail", "kB"},
    UnitRow{"host", "cpu_temp", kCelsius},
    UnitRow{"host", "cpu_usage", "%"},
    UnitRow{"host", "memory_total", "kB"},
    UnitRow{"host", "memory_available", "kB"},
    UnitRow{"host", "memory_used", "kB"},
    UnitRow{"host", "disk_total", "bytes"},
    UnitRow{"host", "disk_free", "bytes"},
    UnitRow{"moonraker", "cpu_usage", "%"},
    UnitRow{"moonraker", "memory", "kB"},
    UnitRow{"mcu", "mcu_awake", "s"},
    UnitRow{"mcu", "mcu_task_avg", "s"},
    UnitRow{"mcu", "mcu_task_stddev", "s"},
    UnitRow{"mcu", "freq", "Hz"},
    UnitRow{"mcu", "bytes_retransmit", "bytes"},
    UnitRow{"mcu", "bytes_invalid", "bytes"},
    UnitRow{"mcu", "srtt", "s"},
    UnitRow{"moonraker_sensor", "power", "W"},
    UnitRow{"moonraker_sensor", "voltage", "V"},
    UnitRow{"moonraker_sensor", "current", "A"},
    UnitRow{"moonraker_sensor", "energy", "kWh"},
    UnitRow{"sensor", "power", "W"},
    UnitRow{"gcode_move", "speed", "mm/min"},
    UnitRow{"output_pin", "value", "0..1"},
    UnitRow{"pwm_tool", "value", "0..1"},
    UnitRow{"pwm_cycle_time", "value", "0..1"},
    UnitRow{"servo", "value", "0..1"},
    UnitRow{"", "force_g", "g"},
    UnitRow{"", "temperature", kCelsius},
    UnitRow{"", "target", kCelsius},
    UnitRow{"", "power", "0..1"},
    UnitRow{"", "speed", "0..1"},
    UnitRow{"", "rpm", "rpm"},
    UnitRow{"", "humidity", "%"},
    UnitRow{"", "pressure", "hPa"},
    UnitRow{"", "gas", "ohm"},
    UnitRow{"", "voltage", "V"},
    UnitRow{"", "current", "A"},
    UnitRow{"", "run_current", "A"},
    UnitRow{"", "filament_detected", "flag"},
    UnitRow{"", "state", "flag"},
    UnitRow{"", "filament_diameter", "mm"},
    UnitRow{"", "Diameter", "mm"},
    UnitRow{"", "last_z_result", "mm"},
    UnitRow{"", "speed_factor", "0..1"},
    UnitRow{"", "extrude_factor", "0..1"},
    UnitRow{"", "progress", "0..1"},
    UnitRow{"", "gcode_position", "mm"},
    UnitRow{"", "position", "mm"},
    UnitRow{"", "live_position", "mm"},
    UnitRow{"", "live_velocity", "mm/s"},
    UnitRow{"", "live_extruder_velocity", "mm/s"},
    UnitRow{"", "pressure_advance", "s"},
    UnitRow{"", "current_z_adjust", "mm"},
    UnitRow{"", "light", "lx"},
    UnitRow{"", "total_duration", "s"},
    UnitRow{"", "print_duration", "s"},
    UnitRow{"", "filament_used", "mm"},
};

std::string_view before(std::string_view text, char end) { return text.substr(0, text.find(end)); }

}  // namespace

std::string_view unit_of_signal(std::string_view object, std::string_view field) {
  const std::string_view kind = before(object, ' ');
  const std::string_view name = before(field, '.');
  const auto row = std::find_if(kUnits.begin(), kUnits.end(), [&](const UnitRow& unit) {
    return (unit.object.empty() || unit.object == kind) && unit.field == name;
  });
  return row == kUnits.end() ? std::string_view{} : row->unit;
}

}  // namespace millrace
