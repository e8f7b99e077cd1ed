// SPDX-License-Identifier: Apache-2.0
#include "safety/value_age.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

using std::chrono::milliseconds;
using enum ValueCategory;

constexpr std::array<ValueCategoryRow, 8> kRows = {{{kGpio, "gpio", milliseconds(1'000)},
                                                    {kSensor, "sensor", milliseconds(500)},
                                                    {kPosition, "position", milliseconds(100)},
                                                    {kFan, "fan", milliseconds(1'000)},
                                                    {kPwm, "pwm", milliseconds(1'000)},
                                                    {kPrinterState, "printer_state", milliseconds(2'000)},
                                                    {kActuator, "actuator", milliseconds(1'000)},
                                                    {kCustom, "custom", milliseconds(5'000)}}};

struct KindRow {
  std::string_view word;  // the first of the object's name
  ValueCategory category;
};
// What is not here and has no name below is custom.
constexpr KindRow kKinds[] = {
    {"toolhead", kPosition},
    {"motion_report", kPosition},
    {"gcode_move", kPosition},
    {"print_stats", kPrinterState},
    {"webhooks", kPrinterState},
    {"virtual_sdcard", kPrinterState},
    {"display_status", kPrinterState},
    {"pause_resume", kPrinterState},
    {"idle_timeout", kPrinterState},
    {"exclude_object", kPrinterState},
    {"output_pin", kPwm},
    {"pwm_tool", kPwm},
    {"pwm_cycle_time", kPwm},
    {"gcode_button", kGpio},
    {"filament_switch_sensor", kGpio},
    {"filament_motion_sensor", kGpio},
    {"query_endstops", kGpio},
    {"servo", kActuator},
    {"manual_stepper", kActuator},
    {"stepper_enable", kActuator},
    {"led", kActuator},
    {"neopixel", kActuator},
    {"dotstar", kActuator},
    {"heater_bed", kSensor},
    {"heater_generic", kSensor},
    {"load_cell", kSensor},
    {"load_cell_probe", kSensor},
    {"hall_filament_width_sensor", kSensor},
    {"tsl1401cl_filament_width_sensor", kSensor},
    {"angle", kSensor},
    {"probe", kSensor},
};

}  // namespace

std::span<const ValueCategoryRow> value_categories() { return kRows; }

ValueCategory category_of(std::string_view object) {
  const std::string_view kind = object.substr(0, object.find(' '));
  const auto known = std::ranges::find(kKinds, kind, &KindRow::word);
  if (known != std::end(kKinds)) return known->category;
  if (kind == "temperature_fan") return kFan;
  if (kind.starts_with("extruder") || kind.starts_with("temperature_") || kind.starts_with("bme") ||
      kind.starts_with("htu") || kind.starts_with("sht") || kind.starts_with("aht") || kind.starts_with("lm75")) {
    return kSensor;
  }
  return kind == "fan" || kind == "fan_generic" || kind.ends_with("_fan") ? kFan : kCustom;
}

bool is_stale(ValueCategory category, std::chrono::microseconds age, bool subscribed) {
  if (subscribed && age <= kInForceFor) return false;
  return age > kRows[static_cast<size_t>(category)].time_to_live;
}

}  // namespace millrace
