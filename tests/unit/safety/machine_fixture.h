// SPDX-License-Identifier: Apache-2.0
// Machines as the guard sees them, and commands from their JSON.
#pragma once

#include <string>
#include <vector>

#include "bus/json_reader.h"
#include "safety/guard.h"

namespace millrace::testing {

inline HeaterSnapshot heater(std::string name, HeaterKind kind, double temperature) {
  HeaterSnapshot heater;
  heater.name = std::move(name);
  heater.kind = kind;
  heater.temperature = temperature;
  heater.sensor_plausible = true;
  return heater;
}

inline FanSnapshot fan(std::string name, double speed, bool settable) {
  FanSnapshot fan;
  fan.name = std::move(name);
  fan.speed = speed;
  fan.settable = settable;
  return fan;
}

// Ready, homed, hot enough to extrude, at 100, 100, 50, with nothing against it.
inline MachineSnapshot ready_printer() {
  MachineSnapshot machine;
  machine.kind = MachineKind::kPrinter;
  machine.state = schema::MachineState::ready;
  machine.link_up = machine.subscribed = true;
  machine.heard_before = std::chrono::milliseconds(250);
  machine.state_version = "7-12";
  machine.homed = {true, true, true};
  machine.position = {100.0, 100.0, 50.0};
  machine.gcode_offset = machine.homing_origin = {0.0, 0.0, 0.0};
  machine.absolute = true;
  machine.feedrate = 1500;
  auto extruder = heater("extruder", HeaterKind::kExtruder, 210);
  extruder.can_extrude = true;
  extruder.fan = "hotend_fan";
  machine.heaters = {extruder, heater("heater_bed", HeaterKind::kBed, 60), heater("chamber", HeaterKind::kChamber, 30),
                     heater("dryer", HeaterKind::kGeneric, 25)};
  machine.fans = {fan("fan", 0.5, true), fan("exhaust", 0, true), fan("hotend_fan", 1, false)};
  machine.pins = {"caselight"};
  machine.lights = {"strip"};
  machine.macros = {"LOAD_FILAMENT", "UNLOAD_FILAMENT", "CLEAN_NOZZLE"};
  machine.power_devices = {"psu"};
  machine.plate_clear = true;
  return machine;
}

inline MachineSnapshot printing_printer() {
  auto machine = ready_printer();
  machine.state = schema::MachineState::printing;
  machine.job_id = "voron-2.41";
  machine.plate_clear = false;
  machine.objects = {"BRACKET", "HOOK_2"};
  machine.excluded_objects = {"HOOK_2"};
  return machine;
}

inline MachineSnapshot paused_printer() {
  auto machine = printing_printer();
  machine.state = schema::MachineState::paused;
  return machine;
}

// `args` is JSON text; parses or fails as parse_command() does.
inline Result<Command> command_of(std::string_view name, std::string_view args) {
  JsonReader reader;
  const auto json = reader.parse(args);
  if (!json) return json.error();
  return parse_command(name, *json);
}

inline Command gcode(std::string script) { return {CommandKind::kGcode, GcodeArguments{std::move(script)}}; }

inline GuardRequest by(ScopeSet scopes) {
  GuardRequest request;
  request.scopes = scopes;
  return request;
}

constexpr ScopeSet kOperator = {Scope::kRead, Scope::kOperate};
constexpr ScopeSet kExpert = {Scope::kRead, Scope::kOperate, Scope::kGcode};

inline std::vector<std::string> rules_of(const std::vector<Refusal>& refusals) {
  std::vector<std::string> rules;
  for (const Refusal& refusal : refusals) {
    if (rules.empty() || rules.back() != refusal.rule) rules.push_back(refusal.rule);
  }
  return rules;
}

inline std::string text_of(const std::vector<Refusal>& refusals) {
  std::string text;
  for (const Refusal& refusal : refusals) text += refusal.rule + ": " + refusal.detail + "\n";
  return text;
}

}  // namespace millrace::testing
