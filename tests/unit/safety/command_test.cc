// SPDX-License-Identifier: Apache-2.0
#include "safety/command.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine_fixture.h"
#include "safety/scopes.h"

namespace millrace {
namespace {

using namespace testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Good {
  std::string_view command;
  std::string_view args;
  std::string_view understood;
};

const Good kGood[] = {
    {"start", R"({"filename":"parts/a b.gcode"})", R"({"filename":"parts/a b.gcode"})"},
    {"start", R"({"filename":"Fühler Größe – 🚀.gcode"})", R"({"filename":"Fühler Größe – 🚀.gcode"})"},
    {"start", R"({"filename":"деталь.gcode"})", R"({"filename":"деталь.gcode"})"},
    {"pause", "{}", "{}"},
    {"resume", "{}", "{}"},
    {"cancel", "{}", "{}"},
    {"emergency_stop", R"({"reason":"smoke"})", R"({"reason":"smoke"})"},
    {"emergency_stop", "{}", "{}"},
    {"reset_emergency", "{}", "{}"},
    {"firmware_restart", "{}", "{}"},
    {"host_restart", "{}", "{}"},
    {"set_temperature", R"({"target":215,"heater":"extruder"})", R"({"heater":"extruder","target":215})"},
    {"set_fan", R"({"speed":0.5})", R"({"fan":"fan","speed":0.5})"},
    {"set_speed_factor", R"({"factor":0.01})", R"({"factor":0.01})"},
    {"set_flow_factor", R"({"factor":10})", R"({"factor":10})"},
    {"home", "{}", R"({"axes":"xyz"})"},
    {"home", R"({"axes":"zx"})", R"({"axes":"xz"})"},
    {"move", R"({"x":-1.5,"e":2,"feedrate":600})", R"({"x":-1.5,"e":2,"feedrate":600,"relative":false})"},
    {"gcode", R"({"script":"G28\r\nM117 hi\n"})", R"({"script":"G28\r\nM117 hi\n"})"},
    {"macro", R"({"name":"clean","params":{"times":3,"Mode":"fast one"}})",
     R"({"name":"CLEAN","params":{"TIMES":3,"MODE":"fast one"}})"},
    {"exclude_object", R"({"name":"a.stl id:0 copy 1"})", R"({"name":"a.stl id:0 copy 1"})"},
    {"set_power", R"({"device":"main psu","on":false})", R"({"device":"main psu","on":false})"},
    {"set_pin", R"({"pin":"caselight","value":1})", R"({"pin":"caselight","value":1})"},
    {"set_light", R"({"light":"strip","white":0.2})", R"({"light":"strip","red":0,"green":0,"blue":0,"white":0.2})"},
    {"queue_add", R"({"filenames":["a.gcode","b.gcode"]})", R"({"filenames":["a.gcode","b.gcode"]})"},
    {"queue_start", "{}", "{}"},
    {"queue_pause", "{}", "{}"},
    {"queue_remove", R"({"job_ids":["0000000066D991F0"]})", R"({"job_ids":["0000000066D991F0"]})"},
    {"queue_remove", R"({"all":true})", R"({"all":true})"},
    {"cool_down", "{}", "{}"},
    {"load_filament", "{}", "{}"},
    {"unload_filament", "{}", "{}"},
    {"plate_cleared", "{}", "{}"},
};

TEST(CommandTest, IsUnderstoodAndUnderstoodAgainFromWhatWasUnderstood) {
  for (const Good& good : kGood) {
    const auto command = command_of(good.command, good.args);
    ASSERT_TRUE(command) << good.args << ": " << command.error().message();
    EXPECT_EQ(name_of(command->kind), good.command);
    const std::string understood = args_json(*command);
    JsonReader left;
    JsonReader right;
    EXPECT_EQ(to_text(*left.parse(understood)), to_text(*right.parse(good.understood)));
    EXPECT_EQ(args_json(*command_of(good.command, understood)), understood);
  }
}

TEST(CommandTest, EveryCommandIsAmongThem) {
  ASSERT_EQ(command_texts().size(), kCommandKinds);
  for (size_t i = 0; i < kCommandKinds; ++i) {
    const CommandText& text = command_texts()[i];
    EXPECT_EQ(static_cast<size_t>(text.kind), i) << text.name;
    EXPECT_EQ(command_kind_from(text.name), text.kind);
    EXPECT_TRUE(std::any_of(std::begin(kGood), std::end(kGood), [&](const Good& good) {
      return good.command == text.name;
    })) << text.name;
  }
}

struct Bad {
  std::string_view command;
  std::string_view args;
  std::string_view says;  // the argument, and what would be right
};

const Bad kBad[] = {
    {"pause", R"({"now":true})", "'now' is no argument of pause: it takes none"},
    {"pause", "[]", "args is []: expected an object"},
    {"pause", "7", "expected an object"},
    {"start", "{}", "filename is missing"},
    {"start", R"({"filename":7})", "filename is 7"},
    {"start", R"({"filename":null})", "filename is null"},
    {"start", R"({"filename":""})", "is empty"},
    {"start", R"({"filename":"a.gcode","filename":"b.gcode"})", "filename is there twice"},
    {"start", R"({"filename":"a\nM112"})", "a line break at byte 1"},
    {"start", R"({"filename":"a\rM112"})", "a line break"},
    {"start", R"({"filename":"a;M112"})", "has ';'"},
    {"start", R"({"filename":"a\u0000"})", "a NUL"},
    {"start", R"({"filename":"a\" X=\"1"})", "has '\"'"},
    {"start", R"({"filename":"/etc/passwd"})", "begins with '/'"},
    {"start", R"({"filename":"../x.gcode"})", "'..' part"},
    {"start", R"({"filename":"a//b"})", "empty"},
    {"start", R"({"filename":"be\u200bnchy.gcode"})", "U+200B"},
    {"start", R"({"filename":"a\u202egnp.gcode"})", "U+202E"},
    {"start", R"({"filename":"a\u2028b"})", "U+2028"},
    {"start", R"({"filename":"a\u037eb"})", "U+037E"},
    {"start", R"({"filename":"a\uff1bb"})", "U+FF1B"},
    {"start", R"({"filename":"b\u0435nchy.gcode"})", "another script"},
    {"start", R"({"filename":"\ufeffa.gcode"})", "U+FEFF"},
    {"set_temperature", R"({"heater":"extruder"})", "target is missing: expected a number"},
    {"set_temperature", R"({"heater":"extruder","target":"200"})", "target is \"200\""},
    {"set_temperature", R"({"heater":"extruder","target":true})", "target is true"},
    {"set_temperature", R"({"heater":"extruder","target":-0.1})", "target is -0.1"},
    {"set_temperature", R"({"heater":"extruder","target":1e300})", "a number from 0 to 1000"},
    {"set_temperature", R"({"heater":"extruder","target":{}})", "target is {}"},
    {"set_temperature", R"({"heater":"ex truder","target":1})", "has U+0020"},
    {"set_temperature", R"({"heater":"extruder TARGET=300","target":1})", "expected a name of letters"},
    {"set_temperature", R"({"heater":"\u0435xtruder","target":1})", "U+0435"},
    {"set_temperature", R"({"heater":"extruder\u017f","target":1})", "U+017F"},
    {"set_temperature", R"({"heater":"\uff45xtruder","target":1})", "U+FF45"},
    {"set_fan", R"({"speed":1.01})", "speed is 1.01: expected a number from 0 to 1"},
    {"set_fan", R"({"fan":"fan\n","speed":1})", "a line break"},
    {"set_speed_factor", R"({"factor":0.009})", "0.01 to 10"},
    {"set_flow_factor", R"({"factor":10.1})", "0.01 to 10"},
    {"home", R"({"axes":""})", "some of xyz"},
    {"home", R"({"axes":"xx"})", "each once"},
    {"home", R"({"axes":"xa"})", "some of xyz"},
    {"home", R"({"axes":["x"]})", "some of xyz"},
    {"move", "{}", "expected at least one"},
    {"move", R"({"feedrate":100})", "expected at least one"},
    {"move", R"({"x":1,"relative":1})", "relative is 1: expected true or false"},
    {"move", R"({"x":1e10})", "x is 10000000000"},
    {"move", R"({"x":1,"a":2})", "'a' is no argument of move: it takes x, y, z, e, feedrate, relative"},
    {"gcode", R"({"script":""})", "script is missing or blank"},
    {"gcode", R"({"script":" \n\t"})", "script is missing or blank"},
    {"gcode", R"({"script":"G1\u0000"})", "U+0000"},
    {"gcode", R"({"script":"G1 X1\rG1 X2"})", "U+000D"},
    {"gcode", R"({"script":["G28"]})", "script is [\"G28\"]"},
    {"macro", R"({"name":"a b"})", "has U+0020"},
    {"macro", R"({"name":"1a"})", "begins with a digit"},
    {"macro", R"({"name":"\u017fET_PIN"})", "U+017F"},
    {"macro", R"({"name":"a","params":{"b":true}})", "B is true"},
    {"macro", R"({"name":"a","params":{"b":"x\nM112"}})", "a line break"},
    {"macro", R"({"name":"a","params":{"b":"x\" Y=\"1"}})", "has '\"'"},
    {"macro", R"({"name":"a","params":{"b c":"x"}})", "'b c'"},
    {"macro", R"({"name":"a","params":{"b":"x","B":"y"}})", "B twice"},
    {"macro", R"({"name":"a","params":[]})", "an object"},
    {"exclude_object", R"({"name":"a\" M112"})", "has '\"'"},
    {"set_power", R"({"device":"psu","on":"true"})", "true or false"},
    {"set_pin", R"({"pin":"a;b","value":0})", "has ';'"},
    {"set_pin", R"({"pin":"a\u0000","value":0})", "a NUL"},
    {"set_pin", R"({"pin":"a","value":2})", "0 to 1"},
    {"set_light", R"({"light":"a"})", "at least one"},
    {"set_light", R"({"light":"a","red":-1})", "red is -1"},
    {"queue_add", R"({"filenames":[]})", "a list of 1 to 100"},
    {"queue_add", R"({"filenames":"a.gcode"})", "a list of 1 to 100"},
    {"queue_add", R"({"filenames":["a.gcode",7]})", "filenames is 7"},
    {"queue_remove", "{}", "job_ids or all"},
    {"queue_remove", R"({"all":false})", "job_ids or all"},
    {"queue_remove", R"({"all":true,"job_ids":["1"]})", "job_ids or all"},
    {"emergency_stop", R"({"reason":"a\nb"})", "control character"},
};

TEST(CommandTest, BadArgumentIsNamedWithItsValueAndWhatWouldBeRight) {
  for (const Bad& bad : kBad) {
    const auto command = command_of(bad.command, bad.args);
    ASSERT_FALSE(command) << bad.command << " " << bad.args;
    EXPECT_EQ(command.error().code, Errc::kInvalidArgument) << bad.args;
    EXPECT_THAT(command.error().context, HasSubstr(std::string(bad.says))) << bad.args;
  }
}

TEST(CommandTest, NumbersThatJsonDoesNotKnowAreNoJson) {
  for (const char* number : {"NaN", "Infinity", "-Infinity", "1e999", "0x10", "+1", "01", "1_000"}) {
    const auto command = command_of("set_temperature", fmt::format(R"({{"heater":"extruder","target":{}}})", number));
    ASSERT_FALSE(command) << number;
    EXPECT_EQ(command.error().code, Errc::kMalformed);
  }
}

TEST(CommandTest, TextThatIsTooLongIsRefusedWithItsLength) {
  const auto refused = [](std::string_view name, std::string_view argument, size_t bytes) {
    const auto command = command_of(name, fmt::format(R"({{"{}":"{}"}})", argument, std::string(bytes, 'a')));
    return !command && command.error().context.find(fmt::format("{} bytes", bytes)) != std::string::npos;
  };
  EXPECT_FALSE(refused("start", "filename", kMaxFilenameBytes));
  EXPECT_TRUE(refused("start", "filename", kMaxFilenameBytes + 1));
  EXPECT_FALSE(refused("macro", "name", kMaxNameBytes));
  EXPECT_TRUE(refused("macro", "name", kMaxNameBytes + 1));
  EXPECT_TRUE(refused("gcode", "script", kMaxScriptBytes + 1));
  EXPECT_TRUE(refused("emergency_stop", "reason", kMaxReasonBytes + 1));
}

TEST(CommandTest, ErrorIsShortHoweverLongTheValueIs) {
  const auto command = command_of("pause", fmt::format(R"({{"{}":1}})", std::string(100'000, 'a')));
  ASSERT_FALSE(command);
  EXPECT_LT(command.error().context.size(), 300u);
}

TEST(CommandTest, NameThatIsNoCommandIsNotFound) {
  for (const char* name : {"", "PAUSE", "pause ", "stop", "pause\n"}) {
    const auto command = command_of(name, "{}");
    ASSERT_FALSE(command) << name;
    EXPECT_EQ(command.error().code, Errc::kNotFound);
  }
}

TEST(CommandTest, KindsOfMachinesDifferInWhatTheyDo) {
  EXPECT_TRUE(can_do(MachineKind::kPrinter, CommandKind::kStart));
  EXPECT_FALSE(can_do(MachineKind::kPickAndPlace, CommandKind::kStart));
  EXPECT_TRUE(can_do(MachineKind::kPickAndPlace, CommandKind::kEmergencyStop));
  EXPECT_EQ(machine_kind_from("pick_and_place"), MachineKind::kPickAndPlace);
  EXPECT_EQ(machine_kind_from("laser"), std::nullopt);
}

TEST(ScopesTest, NamesAndSetsAreEachOther) {
  const auto scopes = parse_scopes({"gcode", "read", "read"});
  ASSERT_TRUE(scopes);
  EXPECT_THAT(names_of(*scopes), ElementsAre("read", "gcode"));
  EXPECT_TRUE(parse_scopes({})->empty());
  EXPECT_EQ(*parse_scopes(names_of(ScopeSet::all())), ScopeSet::all());
}

TEST(ScopesTest, UnknownScopeIsNamed) {
  const auto scopes = parse_scopes({"read", "root"});
  ASSERT_FALSE(scopes);
  EXPECT_THAT(scopes.error().context, HasSubstr("'root'"));
  EXPECT_THAT(scopes.error().context, HasSubstr("administer"));
}

TEST(ScopesTest, OnlyTheStopNeedsNone) {
  for (const CommandText& text : command_texts()) {
    EXPECT_EQ(may_ask({}, text.kind), text.kind == CommandKind::kEmergencyStop) << text.name;
    EXPECT_TRUE(may_ask(ScopeSet::all(), text.kind)) << text.name;
  }
  EXPECT_FALSE(may_ask({Scope::kOperate}, CommandKind::kMacro));
  EXPECT_FALSE(may_ask({Scope::kGcode}, CommandKind::kPause));
}

}  // namespace
}  // namespace millrace
