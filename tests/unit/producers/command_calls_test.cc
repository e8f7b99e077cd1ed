// SPDX-License-Identifier: Apache-2.0
// Each row of the table in docs/commands.md as the call that Moonraker gets, and no name that makes two of one.
#include "producers/moonraker/command_calls.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bus/json_writer.h"
#include "producers/moonraker/command_influence.h"
#include "safety/gcode_effects.h"

namespace millrace {
namespace {

using nlohmann::json;

Result<Command> command_of(const std::string& name, const json& args) {
  JsonReader reader;
  return parse_command(name, *reader.parse(args.dump()));
}

struct Row {
  std::string command;
  json args;
  std::string method;
  json params;  // of a script: its text
};

const std::vector<Row>& rows() {
  static const std::string kScript = "printer.gcode.script";
  static const std::vector<Row> kRows = {
      {"start", {{"filename", "parts/a b;c.gcode"}}, "", nullptr},  // refused: ';'
      {"start", {{"filename", "parts/a b's #2.gcode"}}, "printer.print.start", {{"filename", "parts/a b's #2.gcode"}}},
      {"pause", {}, "printer.print.pause", nullptr},
      {"resume", {}, "printer.print.resume", nullptr},
      {"cancel", {}, "printer.print.cancel", nullptr},
      {"emergency_stop", {{"reason", "fire"}}, "", nullptr},
      {"reset_emergency", {{"reason", "out"}}, "", nullptr},
      {"plate_cleared", {}, "", nullptr},
      {"firmware_restart", {}, "printer.firmware_restart", nullptr},
      {"host_restart", {}, "printer.restart", nullptr},
      {"set_temperature",
       {{"heater", "heater_bed"}, {"target", 60.25}},
       kScript,
       "SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=60.25"},
      {"set_temperature",
       {{"heater", "extruder"}, {"target", 0}},
       kScript,
       "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=0"},
      {"set_fan", {{"speed", 1}}, kScript, "M106 S255"},
      {"set_fan", {{"speed", 0.5}}, kScript, "M106 S128"},
      {"set_fan", {{"speed", 0}}, kScript, "M107"},
      {"set_fan", {{"fan", "exhaust"}, {"speed", 0.333}}, kScript, "SET_FAN_SPEED FAN=exhaust SPEED=0.333"},
      {"set_speed_factor", {{"factor", 1.5}}, kScript, "M220 S150"},
      {"set_flow_factor", {{"factor", 0.955}}, kScript, "M221 S95.5"},
      {"home", json::object(), kScript, "G28"},
      {"home", {{"axes", "zx"}}, kScript, "G28 X Z"},
      {"move",
       {{"x", 10}, {"z", -0.5}, {"feedrate", 3000}},
       kScript,
       "SAVE_GCODE_STATE NAME=_millrace_move\nG90\nG1 X10 Z-0.5 F3000\nRESTORE_GCODE_STATE NAME=_millrace_move"},
      {"move",
       {{"y", 1e-7}, {"e", 5}, {"relative", true}},
       kScript,
       "SAVE_GCODE_STATE NAME=_millrace_move\nG91\nM83\nG1 Y0 E5\nRESTORE_GCODE_STATE NAME=_millrace_move"},
      {"gcode", {{"script", "G28\nM104 S200"}}, kScript, "G28\nM104 S200"},
      {"macro", {{"name", "print_start"}}, kScript, "PRINT_START"},
      {"macro",
       {{"name", "PRINT_START"}, {"params", {{"bed", 60}, {"material", "PLA plus"}}}},
       kScript,
       "PRINT_START BED=60 MATERIAL=\"PLA plus\""},
      {"macro", {{"name", "M600"}, {"params", {{"x", 5}}}}, kScript, "M600 X5"},
      {"exclude_object", {{"name", "HOOK_2"}}, kScript, "EXCLUDE_OBJECT NAME=HOOK_2"},
      {"exclude_object", {{"name", "hook 2"}}, kScript, "EXCLUDE_OBJECT NAME=\"hook 2\""},
      {"set_power",
       {{"device", "PSU 1"}, {"on", true}},
       "machine.device_power.post_device",
       {{"device", "PSU 1"}, {"action", "on"}}},
      {"set_power",
       {{"device", "psu"}, {"on", false}},
       "machine.device_power.post_device",
       {{"device", "psu"}, {"action", "off"}}},
      {"set_pin", {{"pin", "caselight"}, {"value", 0.25}}, kScript, "SET_PIN PIN=caselight VALUE=0.25"},
      {"set_light",
       {{"light", "strip"}, {"red", 0.1}, {"white", 1}},
       kScript,
       "SET_LED LED=strip RED=0.1 GREEN=0 BLUE=0 WHITE=1"},
      {"queue_add",
       {{"filenames", {"a.gcode", "b/c.gcode"}}},
       "server.job_queue.post_job",
       {{"filenames", {"a.gcode", "b/c.gcode"}}}},
      {"queue_start", {}, "server.job_queue.start", nullptr},
      {"queue_pause", {}, "server.job_queue.pause", nullptr},
      {"queue_remove", {{"job_ids", {"0001"}}}, "server.job_queue.delete_job", {{"job_ids", {"0001"}}}},
      {"queue_remove", {{"all", true}}, "server.job_queue.delete_job", {{"all", true}}},
      {"cool_down", {}, kScript, "TURN_OFF_HEATERS"},
      {"load_filament", {}, kScript, "LOAD_FILAMENT"},
      {"unload_filament", {}, kScript, "UNLOAD_FILAMENT"},
  };
  return kRows;
}

json expected_params(const Row& row) {
  if (!row.params.is_string()) return row.params;
  return {{"script", row.params}};
}

TEST(CommandCallsTest, EachCommandIsTheCallThatTheTableSays) {
  std::set<std::string> seen;
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.command + " " + row.args.dump());
    const auto command = command_of(row.command, row.args.is_null() ? json::object() : row.args);
    if (row.command == "start" && row.method.empty()) {
      EXPECT_FALSE(command);
      continue;
    }
    ASSERT_TRUE(command) << command.error().context;
    seen.insert(row.command);
    const MoonrakerCall call = moonraker_call(*command);
    EXPECT_EQ(call.method, row.method);
    const json params = call.params.empty() ? json(nullptr) : json::parse(call.params);
    EXPECT_EQ(params, expected_params(row));
  }
  for (const CommandText& text : command_texts()) {
    EXPECT_TRUE(seen.contains(std::string(text.name))) << "no row for " << text.name;
  }
}

// What the page for users says is what is done.
TEST(CommandCallsTest, TheTableOfTheDocumentNamesTheSameCalls) {
  std::ifstream file(MILLRACE_SOURCE_DIR "/docs/commands.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const Row& row : rows()) {
    if (row.method.empty()) continue;
    const std::string script = row.params.is_string() ? row.params.get<std::string>() : "";
    const std::string verb = row.method != "printer.gcode.script" ? row.method.substr(row.method.rfind('.') + 1)
                             : row.command == "gcode"             ? "printer.gcode.script"
                             : row.command == "macro"             ? "the macro's name"
                             : row.command == "move"              ? "SAVE_GCODE_STATE"
                             : row.command.ends_with("_filament") ? "macro of that name"
                                                                  : script.substr(0, script.find(' '));
    bool found = false;
    for (std::string line; std::getline(text, line);) {
      if (line.starts_with("| `" + row.command + "`") || line.find(", `" + row.command + "`") != std::string::npos ||
          line.find("`, `" + row.command) != std::string::npos) {
        found = found || line.find(verb) != std::string::npos || line.find("...") != std::string::npos;
      }
    }
    EXPECT_TRUE(found) << row.command << ": " << verb;
    text.clear();
    text.seekg(0);
  }
}

// Whatever the names are: what comes out is one line of G-code with one command and the words that were meant, or
// nothing at all.
TEST(CommandCallsTest, NoNameSmugglesASecondCommand) {
  const std::vector<std::string> smuggled = {"a\nM112",
                                             "a\r\nM112",
                                             "a\rM112",
                                             "a;M112",
                                             "a\"\nM112",
                                             "a\" VALUE=1 X=\"",
                                             "a' b='",
                                             "a\\nM112",
                                             "a VALUE=1",
                                             "a=1",
                                             "a#",
                                             "a*71",
                                             "a{printer}",
                                             "a\xe2\x80\xa8M112",
                                             "a\xc2\x85M112",
                                             "a\xcd\xbeM112",
                                             "\xd0\xb0",
                                             "\xef\xbd\x81",
                                             "a\tb",
                                             " a",
                                             "a ",
                                             "",
                                             "a\x7f",
                                             std::string("a\0M112", 6),
                                             "a\xe2\x80\xae",
                                             "a\xc3\x28",
                                             "-",
                                             "N1 M112",
                                             "M112"};
  struct Place {
    std::string command;
    json args;
    std::string argument;
    size_t words;  // NAME=VALUE of a line that is as it was meant
  };
  const std::vector<Place> places = {{"set_pin", {{"value", 1}}, "pin", 2},
                                     {"set_fan", {{"speed", 1}}, "fan", 2},
                                     {"set_temperature", {{"target", 1}}, "heater", 2},
                                     {"set_light", {{"red", 1}}, "light", 5},
                                     {"macro", json::object(), "name", 0},
                                     {"exclude_object", json::object(), "name", 1}};
  for (const Place& place : places) {
    for (const std::string& name : smuggled) {
      json args = place.args;
      JsonWriter text;
      text.object();
      for (const auto& [key, value] : args.items()) text.key(key).raw(value.dump());
      text.field(place.argument, name).end();
      JsonReader reader;
      const auto parsed = reader.parse(text.text());
      if (!parsed) continue;
      const auto command = parse_command(place.command, *parsed);
      if (!command) continue;
      SCOPED_TRACE(text.text());
      const std::string script = gcode_of(*command);
      EXPECT_EQ(script.find_first_of("\r\n;*#{}'\\"), std::string::npos) << script;
      if (place.command == "macro") continue;
      const auto effects = gcode_effects(script);
      ASSERT_TRUE(effects);
      // Letters of other languages in an object's name are not looked at any further; it is one line all the same.
      ASSERT_EQ(effects->effects.size() + effects->unreadable.size(), 1u) << script;
      if (effects->effects.empty()) continue;
      if (place.command != "set_fan" || name != "fan") EXPECT_EQ(effects->effects.at(0).subject, name) << script;
    }
  }
}

TEST(CommandCallsTest, AMacrosParametersStayParameters) {
  for (const char* value : {"a\nM112", "a;M112", "a\" X=\"", "a b=1", "a#b", "a*5", "a\\"}) {
    EXPECT_FALSE(command_of("macro", {{"name", "PARK"}, {"params", {{"x", value}}}})) << value;
  }
  for (const char* name : {"x y", "x=1", "x\n", "x;", "\xd1\x85", "x-y", ""}) {
    EXPECT_FALSE(command_of("macro", {{"name", "PARK"}, {"params", {{name, 1}}}})) << name;
  }
}

std::string influence(const std::string& name, const json& args) {
  const auto command = command_of(name, args);
  if (!command) return "none";
  const CommandInfluence of = influence_of(*command, {"PARK"});
  return fmt::format("{}{}{}{}{}", of.moves ? "m" : "-", of.needs_motion ? "M" : "-", of.needs_print ? "P" : "-",
                     of.leaves_motion ? "L" : "-", of.leaves_print ? "S" : "-");
}
std::string of_script(const std::string& script) { return influence("gcode", {{"script", script}}); }

TEST(CommandInfluenceTest, WhatACommandIsJudgedByAndLeavesBehind) {
  EXPECT_EQ(influence("move", {{"x", 1}}), "mMPL-");
  EXPECT_EQ(influence("home", json::object()), "m-PL-");
  EXPECT_EQ(influence("set_speed_factor", {{"factor", 2}}), "-M-L-");
  EXPECT_EQ(influence("start", {{"filename", "a"}}), "---LS");
  EXPECT_EQ(influence("resume", json::object()), "---LS");
  EXPECT_EQ(influence("pause", json::object()), "---L-");
  EXPECT_EQ(influence("macro", {{"name", "PARK"}}), "m--L-");
  EXPECT_EQ(influence("load_filament", json::object()), "m-PL-");
  EXPECT_EQ(influence("host_restart", json::object()), "---L-");
  for (const char* still : {"cool_down", "cancel", "plate_cleared", "queue_pause"}) {
    EXPECT_EQ(influence(still, json::object()).find_first_of("mMP"), std::string::npos) << still;
  }
  EXPECT_EQ(influence("set_temperature", {{"heater", "extruder"}, {"target", 200}}), "-----");
  EXPECT_EQ(of_script("M104 S200\nM106 S5\nM117 hi"), "-----");
  EXPECT_EQ(of_script("G91"), "--PL-");
  EXPECT_EQ(of_script("G92 X0"), "--PL-");
  EXPECT_EQ(of_script("SET_GCODE_OFFSET X=1"), "--PL-");
  EXPECT_EQ(of_script("SET_GCODE_OFFSET X=1 MOVE=1"), "-MPL-");
  EXPECT_EQ(of_script("PARK"), "m--L-");
  EXPECT_EQ(of_script("M24"), "---LS");
  EXPECT_EQ(of_script("G2 X1 I1"), "mMPL-");
}

}  // namespace
}  // namespace millrace
