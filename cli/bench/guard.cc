// SPDX-License-Identifier: Apache-2.0
#include "safety/guard.h"

#include <fmt/format.h>

#include <cstdio>

#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "cli/bench/bench.h"
#include "cli/bench/harness.h"
#include "cli/opened_log.h"

namespace millrace {
namespace {

constexpr double kWantedPerSecond = 100'000;

struct Asked {
  std::string name;
  std::string args;  // JSON
};

std::string script_of_20_lines() {
  std::string script = "G90\nM83\nM104 S210\nM140 S60\nM106 S128\n";
  for (int i = 0; i < 15; ++i) script += fmt::format("G1 X{:.3f} Y{:.3f} F6000 ; move {}\n", 20.5 + i, 200.25 - i, i);
  JsonWriter json;
  json.object().field("script", script).end();
  return json.take();
}

// One of nearly each kind; what a shop asks for most, twice.
std::vector<Asked> mixed_commands() {
  return {{"pause", "{}"},
          {"start", R"({"filename":"parts/bracket_0.2mm_PLA.gcode"})"},
          {"start", R"({"filename":"parts/bracket_0.2mm_PLA.gcode"})"},
          {"cancel", "{}"},
          {"set_temperature", R"({"heater":"extruder","target":215})"},
          {"set_temperature", R"({"heater":"heater_bed","target":130})"},
          {"set_fan", R"({"speed":0.4})"},
          {"set_speed_factor", R"({"factor":1.1})"},
          {"home", R"({"axes":"xy"})"},
          {"move", R"({"x":120.5,"y":80,"feedrate":6000})"},
          {"move", R"({"z":5,"relative":true})"},
          {"move", R"({"x":900})"},
          {"gcode", script_of_20_lines()},
          {"macro", R"({"name":"CLEAN_NOZZLE","params":{"TIMES":3}})"},
          {"exclude_object", R"({"name":"BRACKET"})"},
          {"set_pin", R"({"pin":"caselight","value":0.5})"},
          {"set_light", R"({"light":"strip","red":0.5,"blue":0.2})"},
          {"queue_add", R"({"filenames":["a.gcode","b.gcode"]})"},
          {"cool_down", "{}"},
          {"plate_cleared", "{}"}};
}

HeaterSnapshot heater(std::string name, HeaterKind kind, double temperature) {
  HeaterSnapshot heater;
  heater.name = std::move(name);
  heater.kind = kind;
  heater.temperature = temperature;
  heater.can_extrude = temperature > 170;
  heater.sensor_plausible = true;
  return heater;
}

MachineSnapshot idle_printer() {
  MachineSnapshot machine;
  machine.state = schema::MachineState::ready;
  machine.link_up = machine.subscribed = true;
  machine.heard_before = std::chrono::milliseconds(100);
  machine.homed = {true, true, true};
  machine.position = {100.0, 100.0, 50.0};
  machine.gcode_offset = machine.homing_origin = {0.0, 0.0, 0.0};
  machine.absolute = true;
  machine.feedrate = 1500;
  machine.heaters = {heater("extruder", HeaterKind::kExtruder, 210), heater("heater_bed", HeaterKind::kBed, 60)};
  FanSnapshot fan;
  fan.name = "fan";
  machine.fans = {fan};
  machine.pins = {"caselight"};
  machine.lights = {"strip"};
  for (int i = 0; i < 50; ++i) machine.macros.push_back(fmt::format("MACRO_{}", i));
  machine.macros.emplace_back("CLEAN_NOZZLE");
  machine.klipper.heaters = {{"extruder", 290.0, 170.0}, {"heater_bed", 110.0, std::nullopt}};
  return machine;
}

// Parsed, judged and refused; how many were refused.
Result<uint64_t> decide(const std::vector<Asked>& asked, uint64_t decisions) {
  const auto machine = idle_printer();
  const Limits limits;
  GuardRequest request;
  request.scopes = ScopeSet::all();
  JsonReader reader;
  uint64_t refused = 0;
  for (uint64_t i = 0; i < decisions; ++i) {
    const Asked& one = asked[i % asked.size()];
    const auto json = reader.parse(one.args);
    if (!json) return json.error();
    const auto command = parse_command(one.name, *json);
    if (!command) return command.error();
    if (!judge(*command, request, machine, limits).empty()) ++refused;
  }
  return refused;
}

Result<void> parse_alone(const std::vector<Asked>& asked, uint64_t times) {
  JsonReader reader;
  for (uint64_t i = 0; i < times; ++i) {
    if (const auto json = reader.parse(asked[i % asked.size()].args); !json) return json.error();
  }
  return {};
}

}  // namespace

int run_bench_guard(const BenchOptions& options) {
  const SystemClock clock;
  const auto asked = mixed_commands();
  const auto decisions = static_cast<double>(options.events);
  std::vector<double> to_limit;
  std::vector<double> to_parsing;
  for (uint64_t round = 1; round <= options.rounds; ++round) {
    Result<void> parsed;
    const double parse_s = seconds_of(clock, [&] { parsed = parse_alone(asked, options.events); });
    if (!parsed) return fail(parsed.error());
    Result<uint64_t> refused = 0;
    const double guard_s = seconds_of(clock, [&] { refused = decide(asked, options.events); });
    if (!refused) return fail(refused.error());
    to_limit.push_back(decisions / guard_s / kWantedPerSecond);
    to_parsing.push_back(parse_s / guard_s);
    fmt::print(
        "{{\"bench\":\"guard\",\"round\":{},\"decisions\":{},\"refused\":{},\"decisions_per_s\":{:.0f},"
        "\"json_per_s\":{:.0f},\"ratio_to_limit\":{:.2f},\"ratio_to_parsing\":{:.3f}}}\n",
        round, options.events, *refused, decisions / guard_s, decisions / parse_s, to_limit.back(), to_parsing.back());
    std::fflush(stdout);
  }
  fmt::print(
      "{{\"bench\":\"guard\",\"median\":true,\"rounds\":{},\"ratio_to_limit\":{:.2f},\"ratio_to_parsing\":{:.3f}}}\n",
      options.rounds, median(to_limit), median(to_parsing));
  return 0;
}

}  // namespace millrace
