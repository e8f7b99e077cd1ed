// SPDX-License-Identifier: Apache-2.0
#include "safety/guard.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "machine_fixture.h"
#include "safety/gcode_effects.h"

namespace millrace {
namespace {

using namespace testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kReady = ready_printer;
constexpr auto kPrinting = printing_printer;
constexpr auto kPaused = paused_printer;

struct World {
  MachineSnapshot machine;
  GuardRequest request = by(ScopeSet::all());
  Limits limits;
};

void nothing(World&) {}

// One row: a command in a world, and the only rule that speaks against it; empty: none does.
struct Row {
  std::string_view command;
  std::string_view args;
  MachineSnapshot (*machine)();
  void (*change)(World&);
  std::string_view rule;
};

FileSnapshot known_file() {
  FileSnapshot file;
  file.filename = "a.gcode";
  file.exists = true;
  file.nozzle_diameter = 0.4;
  file.filament_types = {"PLA"};
  file.extruder_temp = 220;
  file.bed_temp = 60;
  return file;
}

void with_file(World& w) {
  w.machine.file = known_file();
  w.machine.nozzle_diameter = 0.4;
  w.machine.loaded_materials = {"pla"};
}

void pick_and_place(World& w) { w.machine.kind = MachineKind::kPickAndPlace; }
void offline(World& w) { w.machine.state = schema::MachineState::offline; }
void shut_down(World& w) { w.machine.state = schema::MachineState::shutdown; }
void latched(World& w) { w.machine.emergency_latched = true; }
void alarmed(World& w) { w.machine.critical_alarms = {"voron-2/mcu_error"}; }
void cold(World& w) {
  w.machine.heaters[0].can_extrude = false;
  w.machine.heaters[0].temperature = 25;
}
void operating(World& w) { w.request = by(kOperator); }
void expert(World& w) { w.request = by(kExpert); }

constexpr auto kHotBed = R"({"heater":"heater_bed","target":120})";
constexpr auto kFile = R"({"filename":"a.gcode"})";

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      // scope_missing
      {"pause", "{}", kPrinting, operating, ""},
      {"pause", "{}", kPrinting, [](World& w) {
    w.request = by({Scope::kRead, Scope::kAdminister}); }, "scope_missing"},
      {"macro", R"({"name":"clean_nozzle"})", kReady, expert, ""},
      {"gcode", R"({"script":"M105"})", kReady, operating, "scope_missing"},
      // emergency_latched
      {"reset_emergency", "{}", kReady, latched, ""},
      {"cool_down", "{}", kReady, latched, "emergency_latched"},
      {"firmware_restart", "{}", kReady, latched, "emergency_latched"},
      {"plate_cleared", "{}", kReady, latched, "emergency_latched"},
      // unsupported
      {"home", "{}", kReady, pick_and_place, ""},
      {"start", kFile, kReady, pick_and_place, "unsupported"},
      // link_down
      {"plate_cleared", "{}", kReady, [](World& w) {
    w.machine.link_up = false; }, ""},
      {"cool_down", "{}", kReady, [](World& w) {
    w.machine.link_up = false; }, "link_down"},
      // stale
      {"cool_down", "{}", kReady, [](World& w) {
    w.machine.heard_before = std::chrono::milliseconds(2000); }, ""},
      {"cool_down", "{}", kReady, [](World& w) {
    w.machine.heard_before = std::chrono::milliseconds(2001); }, "stale"},
      {"cool_down", "{}", kReady, [](World& w) {
    w.machine.heard_before = std::nullopt; }, "stale"},
      {"cool_down", "{}", kReady, [](World& w) {
    w.machine.subscribed = false; }, "stale"},
      {"host_restart", "{}", kReady, [](World& w) {
    w.machine.subscribed = false; }, ""},
      {"host_restart", "{}", kReady, [](World& w) {
    w.machine.heard_before = std::chrono::milliseconds(9000); }, "stale"},
      {"reset_emergency", "{}", kReady, [](World& w) {
    w.machine.heard_before = std::nullopt; }, ""},
      // klipper_not_ready
      {"cool_down", "{}", kPaused, nothing, ""},
      {"cool_down", "{}", kReady, shut_down, "klipper_not_ready"},
      {"cool_down", "{}", kReady, offline, "klipper_not_ready"},
      {"firmware_restart", "{}", kReady, shut_down, ""},
      {"set_power", R"({"device":"psu","on":true})", kReady, offline, ""},
      // state_version_mismatch, job_mismatch
      {"cancel", "{}", kPrinting, [](World& w) {
    w.request.expected_state_version = "7-12"; }, ""},
      {"cancel", "{}", kPrinting, [](World& w) {
    w.request.expected_state_version = "7-11"; }, "state_version_mismatch"},
      {"cancel", "{}", kPrinting, [](World& w) {
    w.request.expected_job_id = "voron-2.41"; }, ""},
      {"cancel", "{}", kPrinting, [](World& w) {
    w.request.expected_job_id = "voron-2.40"; }, "job_mismatch"},
      // critical_alarm
      {"cool_down", "{}", kReady, alarmed, ""},
      {"pause", "{}", kPrinting, alarmed, ""},
      {"cancel", "{}", kPrinting, alarmed, ""},
      {"reset_emergency", "{}", kReady, alarmed, ""},
      {"firmware_restart", "{}", kReady, alarmed, ""},
      {"set_temperature", R"({"heater":"extruder","target":0})", kReady, alarmed, ""},
      {"gcode", R"({"script":"M104 S0\nM140 S0"})", kReady, alarmed, ""},
      {"set_power", R"({"device":"psu","on":false})", kReady, alarmed, ""},
      {"set_power", R"({"device":"psu","on":true})", kReady, alarmed, "critical_alarm"},
      {"set_temperature", R"({"heater":"extruder","target":1})", kReady, alarmed, "critical_alarm"},
      {"gcode", R"({"script":"M104 S0\nG28"})", kReady, alarmed, "critical_alarm"},
      {"resume", "{}", kPaused, alarmed, "critical_alarm"},
      {"start", kFile, kReady, alarmed, "critical_alarm"},
      // gcode_unreadable, gcode_administers, unbounded_motion
      {"gcode", R"({"script":"G1 X10 Y10 F3000 ; fine"})", kReady, expert, ""},
      {"gcode", R"x({"script":"G1 X10 (not so)"})x", kReady, expert, "gcode_unreadable"},
      {"gcode", R"({"script":"G1 X10 G1 X500"})", kReady, expert, "gcode_unreadable"},
      {"gcode", R"({"script":"FIRMWARE_RESTART"})", kReady, nothing, ""},
      {"gcode", R"({"script":"FIRMWARE_RESTART"})", kReady, expert, "gcode_administers"},
      {"gcode", R"({"script":"restart"})", kReady, expert, "gcode_administers"},
      {"gcode", R"({"script":"SAVE_CONFIG"})", kReady, expert, "gcode_administers"},
      {"gcode", R"({"script":"RUN_SHELL_COMMAND CMD=x"})", kReady, expert, "gcode_administers"},
      {"gcode", R"({"script":"FORCE_MOVE STEPPER=stepper_x DISTANCE=500 VELOCITY=5"})", kReady, nothing, ""},
      {"gcode", R"({"script":"FORCE_MOVE STEPPER=stepper_x DISTANCE=500 VELOCITY=5"})", kReady, expert,
       "unbounded_motion"},
      {"gcode", R"({"script":"SET_KINEMATIC_POSITION X=0"})", kReady, expert, "unbounded_motion"},
      // unknown names
      {"set_temperature", R"({"heater":"dryer","target":50})", kReady, nothing, ""},
      {"set_temperature", R"({"heater":"extruder1","target":50})", kReady, nothing, "unknown_heater"},
      {"gcode", R"({"script":"M104 T1 S50"})", kReady, nothing, "unknown_heater"},
      {"gcode", R"({"script":"M141 S50"})", kReady, nothing, ""},
      {"gcode", R"({"script":"M141 S50"})", kReady, [](World& w) {
    w.machine.heaters.erase(w.machine.heaters.begin() + 2); },
       "unknown_heater"},
      {"set_fan", R"({"speed":1})", kReady, nothing, ""},
      {"set_fan", R"({"fan":"exhaust","speed":0.2})", kReady, nothing, ""},
      {"set_fan", R"({"fan":"hotend_fan","speed":0})", kReady, nothing, "unknown_fan"},
      {"gcode", R"({"script":"SET_FAN_SPEED FAN=nope SPEED=0"})", kReady, nothing, "unknown_fan"},
      {"set_pin", R"({"pin":"caselight","value":1})", kReady, nothing, ""},
      {"set_pin", R"({"pin":"caselight2","value":1})", kReady, nothing, "unknown_pin"},
      {"gcode", R"({"script":"SET_PIN PIN=Caselight VALUE=1"})", kReady, nothing, "unknown_pin"},
      {"set_light", R"({"light":"strip","red":1})", kReady, nothing, ""},
      {"set_light", R"({"light":"lamp","red":1})", kReady, nothing, "unknown_light"},
      {"macro", R"({"name":"CLEAN_NOZZLE"})", kReady, nothing, ""},
      {"macro", R"({"name":"PARK"})", kReady, nothing, "unknown_macro"},
      {"unload_filament", "{}", kReady, nothing, ""},
      {"load_filament", "{}", kReady, [](World& w) {
    w.machine.macros.clear(); }, "unknown_macro"},
      {"set_power", R"({"device":"psu","on":true})", kReady, nothing, ""},
      {"set_power", R"({"device":"lamp","on":true})", kReady, nothing, "unknown_device"},
      {"set_power", R"({"device":"lamp","on":true})", kReady, [](World& w) {
    w.machine.power_devices = std::nullopt; }, ""},
      {"exclude_object", R"({"name":"bracket"})", kPrinting, nothing, ""},
      {"exclude_object", R"({"name":"HOOK"})", kPrinting, nothing, "unknown_object"},
      {"exclude_object", R"({"name":"HOOK_2"})", kPrinting, nothing, "unknown_object"},
      // temperature_limit, at, above and below, by kind of heater
      {"set_temperature", R"({"heater":"extruder","target":250})", kReady, nothing, ""},
      {"set_temperature", R"({"heater":"extruder","target":250.01})", kReady, nothing, "temperature_limit"},
      {"set_temperature", kHotBed, kReady, nothing, ""},
      {"set_temperature", R"({"heater":"heater_bed","target":120.5})", kReady, nothing, "temperature_limit"},
      {"set_temperature", kHotBed, kReady,
       [](World& w) {
    w.machine.klipper.heaters = {{"heater_bed", 119.0, std::nullopt}}; }, "temperature_limit"},
      {"set_temperature", R"({"heater":"chamber","target":60})", kReady, nothing, ""},
      {"set_temperature", R"({"heater":"chamber","target":61})", kReady, nothing, "temperature_limit"},
      {"set_temperature", R"({"heater":"dryer","target":61})", kReady, nothing, "temperature_limit"},
      {"set_temperature", R"({"heater":"dryer","target":80})", kReady,
       [](World& w) {
    w.machine.klipper.heaters = {{"dryer", 80.0, std::nullopt}}; }, ""},
      {"gcode", R"({"script":"m109s251"})", kReady, nothing, "temperature_limit"},
      {"gcode", R"({"script":"M104 S-1"})", kReady, nothing, "temperature_limit"},
      {"gcode", R"({"script":"SET_HEATER_TEMPERATURE HEATER=extruder TARGET=260"})", kReady, nothing, "temperature_limit"},
      {"macro", R"({"name":"M104","params":{"S":300}})", kReady, [](World& w) {
    w.machine.macros.push_back("M104"); },
       "temperature_limit"},
      {"start", kFile, kReady, with_file, ""},
      {"start", kFile, kReady,
       [](World& w) {
    with_file(w);
    w.machine.file->extruder_temp = 251;
       },
       "temperature_limit"},
      // heater_sensor, hotend_fan
      {"set_temperature", R"({"heater":"extruder","target":0})", kReady,
       [](World& w) {
    w.machine.heaters[0].sensor_plausible = false; }, ""},
      {"set_temperature", R"({"heater":"extruder","target":1})", kReady,
       [](World& w) {
    w.machine.heaters[0].sensor_plausible = false; }, "heater_sensor"},
      {"start", kFile, kReady, [](World& w) {
    w.machine.heaters[1].temperature = std::nullopt; }, "heater_sensor"},
      {"set_temperature", kHotBed, kReady, [](World& w) {
    w.machine.heaters[1].temperature = std::nan(""); },
       "heater_sensor"},
      {"set_temperature", R"({"heater":"extruder","target":200})", kReady, [](World& w) {
    w.machine.fans.clear(); },
       "hotend_fan"},
      {"set_temperature", R"({"heater":"extruder","target":200})", kReady, [](World& w) {
    w.machine.fans[2].speed = 0; },
       "hotend_fan"},
      {"set_temperature", R"({"heater":"extruder","target":200})", kReady, [](World& w) {
    w.machine.fans[2].rpm = 0; },
       "hotend_fan"},
      {"set_temperature", R"({"heater":"extruder","target":200})", kReady,
       [](World& w) {
    w.machine.fans[2].speed = 0;
    w.machine.heaters[0].temperature = 49.9;
       },
       ""},
      // cold_extrusion
      {"move", R"({"e":5})", kReady, nothing, ""},
      {"move", R"({"e":5})", kReady, cold, "cold_extrusion"},
      {"load_filament", "{}", kReady, cold, "cold_extrusion"},
      {"gcode", R"({"script":"G10"})", kReady, cold, "cold_extrusion"},
      {"gcode", R"({"script":"M109 S200\nG1 E5"})", kReady, cold, ""},
      {"gcode", R"({"script":"M104 S200\nG1 E5"})", kReady, cold, "cold_extrusion"},
      {"gcode", R"({"script":"M109 S100\nG1 E5"})", kReady, cold, "cold_extrusion"},
      {"move", R"({"e":5})", kReady,
       [](World& w) {
    w.machine.heaters[0].can_extrude = std::nullopt;
    w.machine.heaters[0].temperature = 169.9;
       },
       "cold_extrusion"},
      // not_homed
      {"move", R"({"x":5})", kReady, [](World& w) {
    w.machine.homed = {true, false, false}; }, ""},
      {"move", R"({"y":5})", kReady, [](World& w) {
    w.machine.homed = {true, false, true}; }, "not_homed"},
      {"home", "{}", kReady, [](World& w) {
    w.machine.homed = {}; }, ""},
      {"gcode", R"({"script":"G28 X Y\nG1 X5 Y5"})", kReady, [](World& w) {
    w.machine.homed = {}; }, ""},
      {"gcode", R"({"script":"G28 X\nG1 Y5"})", kReady, [](World& w) {
    w.machine.homed = {}; }, "not_homed"},
      {"gcode", R"({"script":"M84\nG1 Y5"})", kReady, nothing, "not_homed"},
      {"gcode", R"({"script":"BED_MESH_CALIBRATE"})", kReady, [](World& w) {
    w.machine.homed[2] = false; }, "not_homed"},
      // position_unknown
      {"move", R"({"x":5,"relative":true})", kReady, [](World& w) {
    w.machine.position[1] = std::nullopt; }, ""},
      {"move", R"({"x":5,"relative":true})", kReady, [](World& w) {
    w.machine.position[0] = std::nullopt; },
       "position_unknown"},
      {"move", R"({"x":5})", kReady, [](World& w) {
    w.machine.gcode_offset[0] = std::nullopt; }, "position_unknown"},
      {"gcode", R"({"script":"G1 X5"})", kReady, [](World& w) {
    w.machine.absolute = std::nullopt; }, "position_unknown"},
      {"gcode", R"({"script":"G90\nG1 X5"})", kReady, [](World& w) {
    w.machine.absolute = std::nullopt; }, ""},
      {"gcode", R"({"script":"CLEAN_NOZZLE\nG1 X5"})", kReady, nothing, "position_unknown"},
      {"gcode", R"({"script":"G28\nG91\nG1 X5"})", kReady, nothing, "position_unknown"},
      // position_limit, at, below and above
      {"move", R"({"x":0,"y":300,"z":400})", kReady, nothing, ""},
      {"move", R"({"x":-0.001})", kReady, nothing, "position_limit"},
      {"move", R"({"y":300.001})", kReady, nothing, "position_limit"},
      {"move", R"({"z":1000000})", kReady, nothing, "position_limit"},
      {"move", R"({"x":200,"relative":true})", kReady, nothing, ""},
      {"move", R"({"x":200.001,"relative":true})", kReady, nothing, "position_limit"},
      {"move", R"({"z":-50.001,"relative":true})", kReady, nothing, "position_limit"},
      {"move", R"({"x":250})", kReady, [](World& w) {
    w.machine.klipper.axis_maximum[0] = 249; }, "position_limit"},
      {"move", R"({"x":295})", kReady, [](World& w) {
    w.machine.gcode_offset[0] = 10; }, "position_limit"},
      {"move", R"({"x":-5})", kReady, [](World& w) {
    w.machine.gcode_offset[0] = 10; }, ""},
      {"gcode", R"({"script":"G91\nG1 X150\nG1 X60"})", kReady, nothing, "position_limit"},
      {"gcode", R"({"script":"G92 X0\nG1 X201"})", kReady, nothing, "position_limit"},
      {"gcode", R"({"script":"G92 X0\nG1 X200"})", kReady, nothing, ""},
      {"gcode", R"({"script":"G92\nG1 X-101"})", kReady, nothing, "position_limit"},
      {"gcode", R"({"script":"SET_GCODE_OFFSET Z=-1\nG1 Z0.5"})", kReady, nothing, "position_limit"},
      {"gcode", R"({"script":"SET_GCODE_OFFSET Z_ADJUST=-60 MOVE=1"})", kReady, nothing, "position_limit"},
      {"gcode", R"({"script":"G2 X100 Y100 I20 J0"})", kReady, nothing, ""},
      {"gcode", R"({"script":"G2 X100 Y100 I-101 J0"})", kReady, nothing, "position_limit"},
      // feedrate_limit, velocity_limit, acceleration_limit
      {"move", R"({"x":5,"feedrate":1})", kReady, nothing, ""},
      {"move", R"({"x":5,"feedrate":30000})", kReady, nothing, ""},
      {"move", R"({"x":5,"feedrate":0.999})", kReady, nothing, "feedrate_limit"},
      {"move", R"({"x":5,"feedrate":30001})", kReady, [](World& w) {
    w.limits.velocity_max = 1000; }, "feedrate_limit"},
      {"gcode", R"({"script":"G1 F0"})", kReady, nothing, "feedrate_limit"},
      {"move", R"({"x":5,"feedrate":30000})", kReady, [](World& w) {
    w.machine.klipper.max_velocity = 499; },
       "velocity_limit"},
      {"move", R"({"x":5,"feedrate":16000})", kReady, [](World& w) {
    w.machine.speed_factor = 2; }, "velocity_limit"},
      {"move", R"({"x":5,"feedrate":15000})", kReady, [](World& w) {
    w.machine.speed_factor = 2; }, ""},
      {"set_speed_factor", R"({"factor":2})", kReady, [](World& w) {
    w.machine.feedrate = 15000; }, ""},
      {"set_speed_factor", R"({"factor":2.01})", kReady, [](World& w) {
    w.machine.feedrate = 15000; }, "velocity_limit"},
      {"gcode", R"({"script":"SET_VELOCITY_LIMIT VELOCITY=500 ACCEL=3000"})", kReady, nothing, ""},
      {"gcode", R"({"script":"SET_VELOCITY_LIMIT VELOCITY=501"})", kReady, nothing, "velocity_limit"},
      {"gcode", R"({"script":"SET_VELOCITY_LIMIT ACCEL=3001"})", kReady, nothing, "acceleration_limit"},
      {"gcode", R"({"script":"M204 S3000"})", kReady, nothing, ""},
      {"gcode", R"({"script":"M204 P3000 T3001"})", kReady, nothing, "acceleration_limit"},
      {"gcode", R"({"script":"MANUAL_STEPPER STEPPER=feeder SPEED=501 MOVE=5"})", kReady, nothing, "velocity_limit"},
      {"gcode", R"({"script":"MANUAL_STEPPER STEPPER=feeder ACCEL=3001 MOVE=5"})", kReady, nothing, "acceleration_limit"},
      // factor_limit, fan_limit, pwm_limit, light_limit
      {"set_flow_factor", R"({"factor":10})", kReady, nothing, ""},
      {"gcode", R"({"script":"M221 S1001"})", kReady, nothing, "factor_limit"},
      {"gcode", R"({"script":"M220 S0"})", kReady, nothing, "factor_limit"},
      {"gcode", R"({"script":"M106 S255"})", kReady, nothing, ""},
      {"gcode", R"({"script":"M106 S256"})", kReady, nothing, "fan_limit"},
      {"gcode", R"({"script":"SET_FAN_SPEED FAN=exhaust SPEED=-0.1"})", kReady, nothing, "fan_limit"},
      {"set_fan", R"({"speed":0.81})", kReady, [](World& w) {
    w.limits.fan.max = 0.8; }, "fan_limit"},
      {"set_pin", R"({"pin":"caselight","value":0.5})", kReady, [](World& w) {
    w.limits.pwm.max = 0.5; }, ""},
      {"set_pin", R"({"pin":"caselight","value":0.51})", kReady, [](World& w) {
    w.limits.pwm.max = 0.5; }, "pwm_limit"},
      {"gcode", R"({"script":"SET_PIN PIN=caselight VALUE=255"})", kReady, nothing, "pwm_limit"},
      {"gcode", R"({"script":"SET_LED LED=strip RED=1"})", kReady, nothing, ""},
      {"gcode", R"({"script":"SET_LED LED=strip RED=1.1"})", kReady, nothing, "light_limit"},
      {"gcode", R"({"script":"SET_LED LED=strip WHITE=-1"})", kReady, nothing, "light_limit"},
      // motion_during_print
      {"move", R"({"z":60})", kPaused, nothing, ""},
      {"move", R"({"z":60})", kPrinting, nothing, "motion_during_print"},
      {"home", "{}", kPrinting, nothing, "motion_during_print"},
      {"unload_filament", "{}", kPrinting, nothing, "motion_during_print"},
      {"gcode", R"({"script":"G91"})", kPrinting, nothing, "motion_during_print"},
      {"gcode", R"({"script":"M84"})", kPrinting, nothing, "motion_during_print"},
      {"gcode", R"({"script":"M117 G1 X5"})", kPrinting, nothing, ""},
      {"gcode", R"({"script":"RESUME\nG28"})", kPaused, nothing, "motion_during_print"},
      {"gcode", R"({"script":"RESUME VELOCITY=501"})", kPaused, nothing, "velocity_limit"},
      {"gcode", R"({"script":"CLEAN_NOZZLE\nM220 S50"})", kReady, nothing, "velocity_limit"},
      {"gcode", R"({"script":"RESTORE_GCODE_STATE NAME=a MOVE=1 MOVE_SPEED=501"})", kReady, nothing, "velocity_limit"},
      {"gcode", R"({"script":"PROBE PROBE_SPEED=501"})", kReady, nothing, "velocity_limit"},
      {"gcode", R"({"script":"G 1 X400"})", kReady, nothing, "gcode_unreadable"},
      {"gcode", R"({"script":"SET_STEPPER_ENABLE STEPPER=stepper_x ENABLE=0"})", kReady, expert, "unbounded_motion"},
      {"gcode", R"({"script":"TUNING_TOWER COMMAND=\"M104\" PARAMETER=S START=300"})", kReady, expert,
       "gcode_administers"},
      {"set_speed_factor", R"({"factor":1.1})", kPrinting, nothing, ""},
      // print_state
      {"pause", "{}", kPrinting, nothing, ""},
      {"pause", "{}", kPaused, nothing, "print_state"},
      {"pause", "{}", kReady, nothing, "print_state"},
      {"resume", "{}", kPaused, nothing, ""},
      {"resume", "{}", kPrinting, nothing, "print_state"},
      {"cancel", "{}", kPaused, nothing, ""},
      {"cancel", "{}", kReady, nothing, "print_state"},
      {"queue_start", "{}", kReady, nothing, ""},
      {"queue_start", "{}", kPaused, [](World& w) {
    w.machine.plate_clear = true; }, "print_state"},
      {"start", kFile, kPrinting, [](World& w) {
    w.machine.plate_clear = true; }, "print_state"},
      {"gcode", R"({"script":"SDCARD_PRINT_FILE FILENAME=\"a.gcode\""})", kPaused,
       [](World& w) {
    w.machine.plate_clear = true; }, "print_state"},
      // plate_not_cleared
      {"start", kFile, kReady, [](World& w) {
    w.machine.plate_clear = false; }, "plate_not_cleared"},
      {"queue_start", "{}", kReady, [](World& w) {
    w.machine.plate_clear = false; }, "plate_not_cleared"},
      {"gcode", R"({"script":"M24"})", kReady, [](World& w) {
    w.machine.plate_clear = false; }, "plate_not_cleared"},
      {"start", kFile, kReady,
       [](World& w) {
    w.machine.plate_clear = false;
    w.limits.require_plate_cleared = false;
       },
       ""},
      // file_missing, nozzle_mismatch, material_mismatch
      {"start", kFile, kReady,
       [](World& w) {
    with_file(w);
    w.machine.file->exists = false;
       },
       "file_missing"},
      {"start", R"({"filename":"b.gcode"})", kReady,
       [](World& w) {
    with_file(w);
    w.machine.file->exists = false;
       },
       ""},
      {"start", kFile, kReady,
       [](World& w) {
    with_file(w);
    w.machine.nozzle_diameter = 0.6;
       },
       "nozzle_mismatch"},
      {"start", kFile, kReady,
       [](World& w) {
    with_file(w);
    w.machine.nozzle_diameter = std::nullopt;
       },
       ""},
      {"start", kFile, kReady,
       [](World& w) {
    with_file(w);
    w.machine.loaded_materials = {"PETG"};
       },
       "material_mismatch"},
      {"start", kFile, kReady,
       [](World& w) {
    with_file(w);
    w.machine.loaded_materials = {std::nullopt};
       },
       ""},
  };
  return all;
}

TEST(GuardTest, EveryRowIsRefusedByItsRuleAndNoOther) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(fmt::format("{} {} -> {}", row.command, row.args, row.rule));
    const auto command = command_of(row.command, row.args);
    ASSERT_TRUE(command) << command.error().message();
    World world{row.machine()};
    row.change(world);
    const auto refusals = judge(*command, world.request, world.machine, world.limits);
    if (row.rule.empty()) {
      EXPECT_THAT(refusals, IsEmpty()) << text_of(refusals);
    } else {
      EXPECT_THAT(rules_of(refusals), ElementsAre(std::string(row.rule))) << text_of(refusals);
    }
  }
}

TEST(GuardTest, EveryRuleStandsInTheTableWithBothSides) {
  std::set<std::string_view> refused = {"gcode_refused", "gcode_not_judged"};  // in tests of their own
  for (const Row& row : rows()) refused.insert(row.rule);
  std::set<std::string_view> codes;
  for (const Rule& rule : guard_rules()) {
    EXPECT_TRUE(codes.insert(rule.code).second) << rule.code << " is there twice";
    EXPECT_TRUE(refused.count(rule.code)) << rule.code << " refuses nothing";
    EXPECT_FALSE(rule.text.empty());
    const auto passes = [&](const Row& row) {
      return row.rule.empty() && rule.concerns.test(static_cast<size_t>(*command_kind_from(row.command)));
    };
    EXPECT_TRUE(std::any_of(rows().begin(), rows().end(), passes)) << rule.code << " is asked of nothing that passes";
  }
}

// A rule that does not concern a command must have nothing to say of it, else the table would hide a refusal.
TEST(GuardTest, EmergencyStopIsNeverRefused) {
  World world{kReady()};
  world.machine = MachineSnapshot();
  world.request = by({});
  world.request.expected_job_id = "another";
  latched(world);
  alarmed(world);
  const Command stop{CommandKind::kEmergencyStop, ReasonArguments{}};
  EXPECT_THAT(judge(stop, world.request, world.machine, world.limits), IsEmpty());
}

TEST(GuardTest, NothingIsKnownOfTheMachineAndEverythingButTheStopIsRefused) {
  const MachineSnapshot nothing_known;
  for (const CommandText& text : command_texts()) {
    if (text.kind == CommandKind::kEmergencyStop || text.kind == CommandKind::kResetEmergency ||
        text.kind == CommandKind::kPlateCleared) {
      continue;  // nothing is sent for these
    }
    const auto command = text.arguments.empty() ? *parse_command(text.name) : gcode("M105");
    EXPECT_THAT(rules_of(judge(command, by(ScopeSet::all()), nothing_known, Limits())), Contains("stale")) << text.name;
  }
}

TEST(GuardTest, AllReasonsAreTold) {
  auto machine = kReady();
  machine.homed[0] = false;
  machine.emergency_latched = true;
  const auto move = *command_of("move", R"({"x":900,"feedrate":99999})");
  EXPECT_THAT(rules_of(judge(move, by(kOperator), machine, Limits())),
              ElementsAre("emergency_latched", "not_homed", "position_limit", "feedrate_limit", "velocity_limit"));
}

TEST(GuardTest, ReasonNamesValueAndLimit) {
  const auto refusals = judge(*command_of("set_temperature", R"({"heater":"heater_bed","target":125.5})"),
                              by(kOperator), kReady(), Limits());
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_THAT(refusals[0].detail, HasSubstr("heater_bed"));
  EXPECT_THAT(refusals[0].detail, HasSubstr("125.5"));
  EXPECT_THAT(refusals[0].detail, HasSubstr("120"));
}

TEST(GuardTest, ReasonNamesTheLineOfGcode) {
  const auto refusals = judge(gcode("M105\n\nG1 X301"), by(kExpert), kReady(), Limits());
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_THAT(refusals[0].detail, HasSubstr("line 3 (G1)"));
}

TEST(GuardTest, ReasonsOfOneRuleAreBounded) {
  std::string script;
  for (int i = 0; i < 1000; ++i) script += "M104 S999\n";
  const auto refusals = judge(gcode(script), by(kExpert), kReady(), Limits());
  ASSERT_EQ(refusals.size(), kMaxReasonsOfRule);
  EXPECT_THAT(refusals.back().detail, HasSubstr("995 more"));
}

TEST(GuardTest, AllReasonsTogetherFitIntoAnEvent) {
  auto machine = kReady();
  machine.macros.assign(1000, std::string(128, 'M'));
  machine.objects = machine.pins = machine.lights = machine.critical_alarms = machine.macros;
  machine.homed = {};
  machine.link_up = machine.subscribed = machine.plate_clear = false;
  std::string script;
  for (int i = 0; i < 30; ++i) {
    script +=
        "G1 X1000 F99999\nM104 S999\nM106 S999\nSET_PIN PIN=a VALUE=9\nSET_LED LED=a RED=9\nM204 S9999\nM220 S9999\n"
        "EXCLUDE_OBJECT NAME=a\nM112\nRESTART\nFORCE_MOVE\nM24\nFOO\nG1 X(\nG10\n";
  }
  const auto refusals = judge(gcode(script), by({}), machine, Limits());
  EXPECT_EQ(refusals.size(), kMaxReasons);
  EXPECT_LT(text_of(refusals).size(), 40u << 10);
}

TEST(GuardTest, TextThatIsRefusedWholeSaysWhy) {
  EXPECT_THAT(rules_of(judge(gcode(std::string(kMaxGcodeBytes + 1, ' ')), by(kExpert), kReady(), Limits())),
              ElementsAre("gcode_refused"));
  EXPECT_THAT(rules_of(judge(gcode(std::string(kMaxGcodeLines, '\n')), by(kExpert), kReady(), Limits())),
              ElementsAre("gcode_refused"));
  EXPECT_THAT(rules_of(judge(gcode("M117 \xff"), by(kExpert), kReady(), Limits())), ElementsAre("gcode_refused"));
}

TEST(GuardTest, LineThatCannotBeJudgedNeedsTheScope) {
  EXPECT_THAT(judge(gcode("CLEAN_NOZZLE"), by(kExpert), kReady(), Limits()), IsEmpty());
  EXPECT_THAT(rules_of(judge(gcode("CLEAN_NOZZLE"), by(kOperator), kReady(), Limits())),
              ElementsAre("scope_missing", "gcode_not_judged"));
}

// What parse_command() never lets through, were it built by hand.
TEST(GuardTest, NumbersThatAreNoneAreRefused) {
  for (const double odd : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(), 1e300, -1e300}) {
    const auto rules = [&](CommandKind kind, Arguments arguments) {
      return rules_of(judge({kind, std::move(arguments)}, by(ScopeSet::all()), kReady(), Limits()));
    };
    MoveArguments move;
    move.axes[0] = odd;
    EXPECT_THAT(rules(CommandKind::kMove, move), Contains("position_limit")) << odd;
    MoveArguments speed;
    speed.feedrate = odd;
    EXPECT_THAT(rules(CommandKind::kMove, speed), Contains("feedrate_limit")) << odd;
    EXPECT_THAT(rules(CommandKind::kSetTemperature, TemperatureArguments{"extruder", odd}),
                Contains("temperature_limit"));
    EXPECT_THAT(rules(CommandKind::kSetFan, FanArguments{"fan", odd}), Contains("fan_limit"));
    EXPECT_THAT(rules(CommandKind::kSetPin, PinArguments{"caselight", odd}), Contains("pwm_limit"));
    EXPECT_THAT(rules(CommandKind::kSetLight, LightArguments{"strip", odd, 0, 0, 0}), Contains("light_limit"));
    EXPECT_THAT(rules(CommandKind::kSetFlowFactor, FactorArguments{odd}), Contains("factor_limit"));
  }
}

TEST(GuardTest, LimitsThatLeaveNothingRefuseEverything) {
  auto machine = kReady();
  machine.klipper.axis_minimum[0] = 350;  // beyond what was set
  EXPECT_THAT(rules_of(judge(*command_of("move", R"({"x":350})"), by(kOperator), machine, Limits())),
              ElementsAre("position_limit"));
}

}  // namespace
}  // namespace millrace
