// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/printer_config.h"

#include <fmt/format.h>

#include <span>

#include "bus/json_writer.h"
#include "producers/simulator/state.h"

namespace millrace {
namespace {

struct Option {
  std::string_view name;
  std::string text;   // as it is written
  std::string typed;  // JSON, as Klipper reads it
};

struct Section {
  std::string_view name;
  std::vector<Option> options;
};

Option number(std::string_view name, double value) {
  return {name, fmt::format("{}", value), JsonWriter().value(value).take()};
}
Option word(std::string_view name, std::string_view value) {
  return {name, std::string(value), JsonWriter().value(value).take()};
}

Section axis(std::string_view name, size_t index, std::string_view endstop) {
  return {name,
          {word("endstop_pin", endstop), number("position_min", HostState::axis_minimum[index]),
           number("position_max", HostState::axis_maximum[index])}};
}

std::vector<Section> motion() {
  return {{"printer",
           {word("kinematics", "cartesian"), number("max_velocity", HostState::configured_velocity),
            number("max_accel", HostState::configured_accel)}},
          axis("stepper_x", 0, "^PG6"),
          axis("stepper_y", 1, "^PG9"),
          axis("stepper_z", 2, "^PG10"),
          {"tmc2209 stepper_x", {word("uart_pin", "PC4"), number("run_current", 0.8)}},
          {"temperature_sensor chamber", {number("min_temp", 0), number("max_temp", 100)}},
          {"output_pin caselight", {word("pin", "PB6"), {"pwm", "True", "true"}}}};
}

std::vector<Section> heaters() {
  return {{"extruder",
           {number("nozzle_diameter", 0.4), number("min_temp", 0), number("max_temp", HostState::extruder_max_c),
            number("min_extrude_temp", HostState::min_extrude_c), number("pressure_advance", 0.04)}},
          {"heater_bed", {number("min_temp", 0), number("max_temp", HostState::bed_max_c)}},
          {"fan", {word("pin", "PA8")}},
          {"heater_fan hotend_fan",
           {word("pin", "PE5"), {"heater", "extruder", R"(["extruder"])"}, number("heater_temp", 50)}},
          {"filament_switch_sensor runout", {word("switch_pin", "^PG12")}}};
}

std::string written(std::span<const Section> sections, bool typed) {
  JsonWriter json;
  json.object();
  for (const Section& section : sections) {
    json.key(section.name).object();
    for (const Option& option : section.options) {
      json.key(option.name);
      typed ? json.raw(option.typed) : json.value(option.text);
    }
    json.end();
  }
  json.end();
  return json.take();
}

StatusObject object_of(bool has_heaters) {
  auto sections = motion();
  if (has_heaters) {
    for (auto& section : heaters()) sections.push_back(std::move(section));
  }
  return {"configfile",
          {{"config", written(sections, false)},
           {"settings", written(sections, true)},
           {"warnings", "[]"},
           {"save_config_pending", "false"},
           {"save_config_pending_items", "{}"}}};
}

}  // namespace

const StatusObject& simulated_printer_config(bool has_heaters) {
  static const StatusObject with = object_of(true);
  static const StatusObject without = object_of(false);
  return has_heaters ? with : without;
}

}  // namespace millrace
