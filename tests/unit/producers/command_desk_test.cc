// SPDX-License-Identifier: Apache-2.0
// Commands at a machine's desk, judged on its own state, in its own time.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "producers/moonraker/adapter_state.h"
#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using nlohmann::json;
using Lines = std::vector<std::string>;

class CommandDeskTest : public ::testing::Test {
 protected:
  CommandDeskTest() {
    bench.status = {
        {"webhooks", {{"state", "\"ready\""}, {"state_message", "\"Printer is ready\""}}},
        {"print_stats", {{"state", "\"standby\""}, {"filename", "\"\""}, {"message", "\"\""}}},
        {"extruder", {{"temperature", "25.0"}, {"target", "0.0"}, {"can_extrude", "false"}}},
        {"heater_bed", {{"temperature", "25.0"}, {"target", "0.0"}}},
        {"fan", {{"speed", "0.0"}, {"rpm", "null"}}},
        {"toolhead",
         {{"homed_axes", "\"xyz\""},
          {"axis_minimum", "[0.0,0.0,0.0,0.0]"},
          {"axis_maximum", "[250.0,250.0,200.0,0.0]"},
          {"position", "[10.0,10.0,10.0,0.0]"},
          {"max_velocity", "300.0"},
          {"max_accel", "3000.0"},
          {"extruder", "\"extruder\""}}},
        {"gcode_move",
         {{"position", "[10.0,10.0,10.0,0.0]"},
          {"gcode_position", "[10.0,10.0,10.0,0.0]"},
          {"absolute_coordinates", "true"},
          {"absolute_extrude", "true"},
          {"speed", "1500.0"},
          {"speed_factor", "1.0"},
          {"extrude_factor", "1.0"}}},
        {"output_pin caselight", {{"value", "0.0"}}},
    };
    bench.on_reply = [this](CommandReply reply) { replies.push_back(std::move(reply)); };
    bench.connect();
    bench.process_statistics();
  }

  AskedCommand asked(const std::string& command, const std::string& args = "{}") {
    AskedCommand asked;
    asked.message.id = "c" + std::to_string(++number);
    asked.message.machine = bench.options.machine_id;
    asked.message.command = command;
    asked.message.args = args;
    asked.message.actor = "Anna";
    asked.message.client = "http";
    asked.message.recorded = true;
    asked.scopes = ScopeSet::all();
    asked.received = bench.clock.monotonic();
    return asked;
  }
  void ask(const std::string& command, const std::string& args = "{}") { take(asked(command, args)); }
  void take(AskedCommand asked) {
    bench.adapter().take_command(std::move(asked));
    if (!bench.hold_answers) bench.deliver();
  }
  // What became of commands, in order: "accepted c1", "rejected c2 not_homed", ...
  Lines told() {
    Lines lines;
    for (const EventDraft& draft : bench.events) {
      const auto& payload = draft.payload;
      std::string line;
      if (const auto* e = payload.AsCommandRequested()) line = "requested " + e->command_id;
      if (const auto* e = payload.AsCommandAccepted()) line = "accepted " + e->command_id;
      if (const auto* e = payload.AsCommandRejected()) {
        line = "rejected " + e->command_id;
        for (const auto& reason : e->reasons) line += " " + reason->rule;
      }
      if (const auto* e = payload.AsCommandSent()) line = "sent " + e->command_id + " " + e->method;
      if (const auto* e = payload.AsCommandCompleted()) line = "completed " + e->command_id;
      if (const auto* e = payload.AsCommandFailed()) line = "failed " + e->command_id + " " + e->code;
      if (const auto* e = payload.AsCommandExpired()) line = "expired " + e->command_id;
      if (const auto* e = payload.AsCommandNotConfirmed()) line = "not confirmed " + e->command_id;
      if (line.empty()) continue;
      EXPECT_NE(line.find(" " + draft.correlation), std::string::npos) << line;
      lines.push_back(line);
    }
    return lines;
  }
  std::string last_script() {
    for (auto request = bench.sent.rbegin(); request != bench.sent.rend(); ++request) {
      const json frame = json::parse(*request);
      if (frame["method"] == "printer.gcode.script") return frame["params"]["script"];
    }
    return "";
  }
  bool was_sent(const std::string& method) {
    return std::find(bench.requests.begin(), bench.requests.end(), method) != bench.requests.end();
  }

  std::vector<CommandReply> replies;
  AdapterBench bench;
  int number = 0;
};

TEST_F(CommandDeskTest, TheBedAndAChamberHaveTheirEverydayNames) {
  bench.status["heater_generic my_chamber"] = {{"temperature", "25.0"}, {"target", "0.0"}};
  bench.answers["printer.gcode.script"] = "\"ok\"";
  bench.restart(true);
  ask("set_temperature", R"({"heater":"bed","target":60})");
  EXPECT_EQ(last_script(), "SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=60");
  ask("set_temperature", R"({"heater":"chamber","target":40})");
  EXPECT_EQ(last_script(), "SET_HEATER_TEMPERATURE HEATER=my_chamber TARGET=40");
  ask("set_temperature", R"({"heater":"oven","target":40})");
  EXPECT_EQ(told().back(), "rejected c3 unknown_heater");
}

TEST_F(CommandDeskTest, ACommandIsAcceptedSentAndSeenToBeDone) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  ask("set_temperature", R"({"heater":"extruder","target":200})");
  EXPECT_EQ(last_script(), "SET_HEATER_TEMPERATURE HEATER=extruder TARGET=200");
  EXPECT_EQ(told(), (Lines{"accepted c1", "sent c1 printer.gcode.script"})) << "ok is no proof";
  bench.update(R"({"extruder":{"target":200.0}})");
  EXPECT_EQ(told().back(), "completed c1");
}

TEST_F(CommandDeskTest, WhatTheStateNeverShowsIsNotConfirmed) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  ask("set_temperature", R"({"heater":"extruder","target":200})");
  for (int i = 0; i < 6; ++i) bench.update(R"({"extruder":{"temperature":26.0}})", 1);
  EXPECT_EQ(told().back(), "not confirmed c1");
}

TEST_F(CommandDeskTest, TheGuardsEveryReasonIsTold) {
  bench.update(R"({"toolhead":{"homed_axes":""}})");
  ask("move", R"({"x":900,"feedrate":99999})");
  ASSERT_EQ(told().size(), 1u);
  EXPECT_NE(told()[0].find("not_homed"), std::string::npos) << told()[0];
  EXPECT_FALSE(was_sent("printer.gcode.script")) << "the machine sees nothing";
}

TEST_F(CommandDeskTest, WhatIsNoCommandIsRejectedAndRecorded) {
  AskedCommand strange = asked("explode");
  strange.message.recorded = false;
  take(std::move(strange));
  ask("set_temperature", R"({"heater":"extruder","target":"hot"})");
  ask("set_temperature", R"({"heater":"extruder","target":200,"force":true})");
  EXPECT_EQ(told(), (Lines{"requested c1", "rejected c1 unknown_command", "rejected c2 invalid_args",
                           "rejected c3 invalid_args"}));
}

TEST_F(CommandDeskTest, NothingRunsLate) {
  AskedCommand late = asked("pause");
  late.received -= 6s;
  take(std::move(late));
  AskedCommand on_the_way = asked("pause");  // the sender's clock agrees: 0.5 s were spent on the way
  on_the_way.message.expires_in_s = 0.4;
  on_the_way.message.sent_at = bench.clock.wall() - 500ms;
  take(std::move(on_the_way));
  AskedCommand other_clock = asked("plate_cleared");  // its clock is off by an hour: only the receipt counts
  other_clock.message.sent_at = bench.clock.wall() - 1h;
  take(std::move(other_clock));
  EXPECT_EQ(told(), (Lines{"expired c1", "expired c2", "accepted c3", "completed c3"}));
}

TEST_F(CommandDeskTest, TheSameCommandTwiceIsDoneOnce) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  const AskedCommand home = asked("home");
  take(home);
  take(home);
  EXPECT_EQ(told(), (Lines{"accepted c1", "sent c1 printer.gcode.script", "completed c1"}));
  EXPECT_EQ(std::count(bench.requests.begin(), bench.requests.end(), "printer.gcode.script"), 1);
}

// By somebody who has seen it on the broker.
TEST_F(CommandDeskTest, ASignedCommandIsTakenOnceHoweverMuchCameSince) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  AskedCommand home = asked("home");
  home.message.order = {5, 100};
  home.message.key_id = "k1";
  take(home);
  for (uint64_t i = 1; i <= CommandDesk::kMaxRemembered; ++i) {
    AskedCommand later = asked("plate_cleared");
    later.message.order = {5, 100 + i};
    take(std::move(later));
  }
  bench.forget_events();
  replies.clear();
  take(home);
  const auto lines = told();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_TRUE(lines[0].starts_with("requested ")) << lines[0];
  EXPECT_TRUE(lines[1].ends_with(" replayed")) << lines[1];
  EXPECT_EQ(lines[1].find(" c1 "), std::string::npos) << "what became of the first stays";
  const auto requests = bench.all<schema::CommandRequestedT>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0]->claimed_actor, "Anna");
  EXPECT_EQ(requests[0]->key_id, "");
  EXPECT_EQ(bench.events[0].actor, "mqtt");
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(json::parse(replies[0].json)["status"], "rejected");
  EXPECT_EQ(std::count(bench.requests.begin(), bench.requests.end(), "printer.gcode.script"), 1);
}

TEST_F(CommandDeskTest, ASignedCommandIsTakenOnceAlsoByANewAdapterWithAnotherClock) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  AskedCommand home = asked("home");
  home.message.order = {5, 100};
  home.message.sent_at = bench.clock.wall() + 1h;
  take(home);
  AskedCommand next = asked("plate_cleared");
  next.message.order = {5, 101};
  bench.restart(true);
  bench.deliver();
  bench.process_statistics();
  bench.forget_events();
  bench.requests.clear();
  home.received = next.received = bench.clock.monotonic();
  take(home);
  ASSERT_EQ(told().size(), 2u);
  EXPECT_TRUE(told()[1].ends_with(" replayed")) << told()[1];
  EXPECT_FALSE(was_sent("printer.gcode.script"));
  take(std::move(next));
  EXPECT_EQ(told().back(), "completed c2");
  AskedCommand restored = asked("plate_cleared");  // by a hub whose log was restored: its positions begin anew
  restored.message.order = {6, 3};
  take(std::move(restored));
  EXPECT_EQ(told().back(), "completed c3");
}

TEST_F(CommandDeskTest, ASignedCommandThatWasKeptBackIsNotTakenAfterALaterOne) {
  AskedCommand first = asked("plate_cleared");
  first.message.order = {5, 100};
  AskedCommand second = asked("plate_cleared");
  second.message.order = {5, 101};
  take(second);
  take(first);
  EXPECT_TRUE(told().back().ends_with(" replayed")) << told().back();
}

TEST_F(CommandDeskTest, AStaleMachineIsAskedForNothing) {
  bench.pass(3s);
  ask("home");
  ASSERT_EQ(told().size(), 1u);
  EXPECT_NE(told()[0].find("stale"), std::string::npos) << told()[0];
}

TEST_F(CommandDeskTest, TheMachinesOwnWordsAreKept) {
  bench.errors["printer.gcode.script"] = R"({"code":400,"message":"Must home axis first: 1 2 3"})";
  ask("gcode", R"({"script":"G28"})");
  EXPECT_EQ(told().back(), "failed c1 machine_error");
  EXPECT_EQ(bench.all<schema::CommandFailedT>()[0]->text, "Must home axis first: 1 2 3");
}

TEST_F(CommandDeskTest, ALostLinkLeavesTheEndUnknown) {
  bench.hold_answers = true;
  ask("home");
  bench.drop();
  EXPECT_EQ(told().back(), "not confirmed c1");
}

TEST_F(CommandDeskTest, ANewAdapterTellsWhatTheOldOneLeft) {
  bench.hold_answers = true;
  ask("home");
  bench.restart(true);
  EXPECT_EQ(told().back(), "not confirmed c1");
}

TEST_F(CommandDeskTest, AStartLooksAtTheFileAndThePlate) {
  bench.answers["server.files.metadata"] = R"({"filename":"a.gcode","size":1,"nozzle_diameter":0.6})";
  bench.answers["printer.print.start"] = "\"ok\"";
  bench.adapter().equipped_with({.nozzle_diameter = 0.4, .loaded_materials = {}});
  ask("start", R"({"filename":"a.gcode"})");
  EXPECT_NE(told().back().find("plate"), std::string::npos) << told().back();
  EXPECT_NE(told().back().find("nozzle"), std::string::npos) << told().back();
  ask("plate_cleared");
  bench.adapter().equipped_with({.nozzle_diameter = 0.6, .loaded_materials = {}});
  ask("start", R"({"filename":"a.gcode"})");
  EXPECT_EQ(told().back(), "sent c3 printer.print.start");
  bench.update(R"({"print_stats":{"state":"printing","filename":"a.gcode"}})");
  EXPECT_EQ(told().back(), "completed c3");
  bench.update(R"({"print_stats":{"state":"complete"}})");
  ask("start", R"({"filename":"a.gcode"})");
  EXPECT_NE(told().back().find("plate"), std::string::npos) << "the last print lies on it";
}

TEST_F(CommandDeskTest, AFileThatIsNotThereIsNotStarted) {
  bench.answers["server.files.get_directory"] = R"({"dirs":[],"files":[{"filename":"other.gcode"}]})";
  ask("plate_cleared");
  ask("start", R"({"filename":"a.gcode"})");
  EXPECT_NE(told().back().find("rejected c2"), std::string::npos) << told().back();
  EXPECT_FALSE(was_sent("printer.print.start"));
}

TEST_F(CommandDeskTest, OneAtATimeMovesTheMachine) {
  bench.hold_answers = true;
  ask("home");
  AskedCommand other = asked("home");
  other.message.actor = "Bert";
  take(std::move(other));
  EXPECT_EQ(told().back(), "rejected c2 motion_owned");
  ask("home");
  EXPECT_EQ(told().back(), "sent c3 printer.gcode.script") << "the owner may go on";
}

// A machine tells where it stands a moment after it has answered.
TEST_F(CommandDeskTest, ASecondMoveIsJudgedByWhereTheFirstOneEnded) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  ask("move", R"({"x":150,"relative":true,"feedrate":3000})");
  EXPECT_EQ(told().back(), "completed c1");
  ask("move", R"({"x":150,"relative":true,"feedrate":3000})");
  ask("move", R"({"x":50,"relative":true,"feedrate":3000})");
  EXPECT_EQ(told().back(), "completed c1") << "160 + 150 is beyond 250, and nothing told of 160 yet";
  ask("cool_down");
  EXPECT_EQ(told().back(), "completed c4") << "what moves nothing does not wait";
  bench.update(R"({"gcode_move":{"position":[160.0,10.0,10.0,0.0],"gcode_position":[160.0,10.0,10.0,0.0]}})");
  const Lines lines = told();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "rejected c2 position_limit"), 1);
  EXPECT_EQ(lines.back(), "completed c3");
}

TEST_F(CommandDeskTest, AFactorThatIsOnItsWayCountsForTheNextMove) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  ask("set_speed_factor", R"({"factor":2})");
  ask("move", R"({"x":100,"feedrate":12000})");
  EXPECT_EQ(told().back(), "sent c1 printer.gcode.script");
  bench.update(R"({"gcode_move":{"speed_factor":2.0}})");
  EXPECT_EQ(told().back(), "rejected c2 velocity_limit") << "400 mm/s of 300";
}

TEST_F(CommandDeskTest, NothingMovesBehindAStartThatIsNotSeenYet) {
  bench.answers["server.files.metadata"] = R"({"filename":"a.gcode","size":1})";
  bench.answers["printer.print.start"] = "\"ok\"";
  ask("plate_cleared");
  ask("start", R"({"filename":"a.gcode"})");
  ask("home");
  EXPECT_EQ(told().back(), "sent c2 printer.print.start");
  bench.update(R"({"print_stats":{"state":"printing","filename":"a.gcode"}})");
  EXPECT_EQ(told().back(), "rejected c3 motion_during_print");
}

TEST_F(CommandDeskTest, WhatWaitsLongerThanItsTimeIsRejected) {
  bench.hold_answers = true;
  ask("home");
  ask("move", R"({"x":100,"feedrate":3000})");
  EXPECT_EQ(told().back(), "sent c1 printer.gcode.script");
  bench.pass(5100ms);
  EXPECT_NE(told().back().find("rejected c2"), std::string::npos) << told().back();
  EXPECT_NE(told().back().find("state_unsettled"), std::string::npos) << told().back();
}

TEST_F(CommandDeskTest, ABurstWaitsItsTurnInOrder) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  bench.hold_answers = true;
  for (int i = 0; i < 100; ++i) ask("gcode", R"({"script":"M117 )" + std::to_string(i) + R"("})");
  EXPECT_EQ(std::ranges::count(bench.requests, "printer.gcode.script"), 32);
  bench.hold_answers = false;
  bench.deliver();
  Lines scripts;
  for (const std::string& request : bench.sent) {
    const json frame = json::parse(request);
    if (frame["method"] == "printer.gcode.script") scripts.push_back(frame["params"]["script"]);
  }
  ASSERT_EQ(scripts.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(scripts[static_cast<size_t>(i)], "M117 " + std::to_string(i));
  const Lines lines = told();
  EXPECT_EQ(std::ranges::count_if(lines, [](const std::string& line) { return line.starts_with("completed"); }), 100);
}

TEST_F(CommandDeskTest, WhatHasNoTurnInItsTimeExpiresAndWhatCalmsNeedsNone) {
  bench.silent["printer.gcode.script"] = true;
  for (int i = 0; i < 33; ++i) ask("gcode", R"({"script":"M117 x"})");
  ask("cool_down");
  EXPECT_EQ(std::ranges::count(bench.requests, "printer.gcode.script"), 33);
  for (int i = 0; i < 6; ++i) {
    bench.pass(1s);
    bench.process_statistics();
  }
  const Lines lines = told();
  EXPECT_NE(std::ranges::find(lines, "expired c33"), lines.end());
  EXPECT_EQ(std::ranges::count(bench.requests, "printer.gcode.script"), 33);
  ask("gcode", R"({"script":"M117 y"})");
  bench.drop();
  EXPECT_EQ(told().back(), "rejected c35 link_down");
}

TEST_F(CommandDeskTest, TooManyThatWaitAreRefused) {
  bench.silent["printer.gcode.script"] = true;
  for (size_t i = 0; i <= CommandDesk::kMaxPending; ++i) ask("gcode", R"({"script":"M117 x"})");
  EXPECT_EQ(told().back(), "rejected c513 too_many_commands");
}

TEST_F(CommandDeskTest, ExpectedStateAndJobAreCompared) {
  AskedCommand old = asked("home");
  old.message.expected_state_version = "1-1";
  take(std::move(old));
  AskedCommand wrong_job = asked("cancel");
  wrong_job.message.expected_job_id = "m.1";
  take(std::move(wrong_job));
  EXPECT_NE(told()[0].find("rejected c1"), std::string::npos);
  EXPECT_NE(told()[1].find("rejected c2"), std::string::npos);
}

TEST_F(CommandDeskTest, AMachineThatKeepsFailingIsLeftInPeaceForAMinute) {
  bench.errors["printer.gcode.script"] = R"({"code":500,"message":"Internal Server Error"})";
  for (int i = 0; i < 5; ++i) ask("home");
  ask("home");
  EXPECT_EQ(told().back(), "rejected c6 machine_not_answering");
  ask("cool_down");
  EXPECT_EQ(told().back(), "failed c7 moonraker_error") << "what makes it safer is tried all the same";
  for (int i = 0; i < 61; ++i) {
    bench.pass(1s);
    bench.process_statistics();
  }
  bench.errors.clear();
  bench.answers["printer.gcode.script"] = "\"ok\"";
  ask("home");
  EXPECT_EQ(told().back(), "completed c8");
}

TEST_F(CommandDeskTest, ARestartOfKlipperIsDoneWhenKlipperGoes) {
  bench.errors["printer.firmware_restart"] = R"({"code":503,"message":"Klippy Disconnected"})";
  ask("firmware_restart");
  EXPECT_EQ(told().back(), "completed c1");
}

TEST_F(CommandDeskTest, WhoeverAsksIsAnsweredAtEachStep) {
  AskedCommand question = asked("plate_cleared");
  question.response_topic = "replies/me";
  question.correlation_data = "42";
  take(std::move(question));
  ask("explode");
  ASSERT_EQ(replies.size(), 3u);
  EXPECT_EQ(replies[0].response_topic, "replies/me");
  EXPECT_EQ(replies[0].correlation_data, "42");
  EXPECT_EQ(json::parse(replies[0].json)["status"], "accepted");
  EXPECT_EQ(json::parse(replies[1].json)["status"], "completed");
  const json rejected = json::parse(replies[2].json);
  EXPECT_EQ(rejected["status"], "rejected");
  EXPECT_EQ(rejected["command_id"], "c2");
  EXPECT_EQ(rejected["reasons"][0]["rule"], "unknown_command");
}

TEST_F(CommandDeskTest, TheSameIdempotencyKeyAsksOnceByMqttToo) {
  bench.answers["printer.gcode.script"] = "\"ok\"";
  const auto keyed = [&](const std::string& args) {
    AskedCommand question = asked("set_pin", args);
    question.message.recorded = false;
    question.message.actor = question.message.client = "mqtt";
    question.message.idempotency_key = "light on";
    question.response_topic = "replies/me";
    return question;
  };
  bench.hold_answers = true;
  take(keyed(R"({"pin":"caselight","value":1})"));
  take(keyed(R"({"pin":"caselight","value":1.0})"));
  EXPECT_EQ(json::parse(replies.back().json)["command_id"], "c1") << "the one under way is named";
  EXPECT_EQ(json::parse(replies.back().json)["status"], "requested");
  bench.hold_answers = false;
  bench.deliver();
  bench.update(R"({"output_pin caselight":{"value":1.0}})");
  take(keyed(R"({"pin":"caselight","value":1})"));
  EXPECT_EQ(replies.back().command_id, "c3") << "told where the asker listens";
  EXPECT_EQ(replies.back().response_topic, "replies/me");
  EXPECT_EQ(json::parse(replies.back().json)["command_id"], "c1");
  EXPECT_EQ(json::parse(replies.back().json)["status"], "completed");
  EXPECT_EQ(std::count(bench.requests.begin(), bench.requests.end(), "printer.gcode.script"), 1);

  AskedCommand nameless = keyed(R"({"pin":"caselight","value":1})");
  nameless.message.id.clear();
  take(std::move(nameless));
  EXPECT_EQ(replies.back().command_id, "c1");

  take(keyed(R"({"pin":"caselight","value":0})"));
  EXPECT_EQ(told().back(), "rejected c5 idempotency_key_used");
  AskedCommand others = keyed(R"({"pin":"caselight","value":0})");
  others.message.claimed_actor = "kitchen";
  take(std::move(others));
  EXPECT_EQ(json::parse(replies.back().json)["command_id"], "c6") << "each asker has keys of its own";
  EXPECT_EQ(std::count(bench.requests.begin(), bench.requests.end(), "printer.gcode.script"), 2);
}

TEST(AdapterStateTest, RemembersCommandsPlateAndStateVersion) {
  AdapterState state;
  state.plate_clear = true;
  state.state_epoch = 7;
  state.state_sequence = 12;
  state.commands.under_way = {{"c1", "pause", "An\"na"}};
  state.commands.newest = {1'780'000'000'000, 1'234'567};
  const auto read = decode_adapter_state(encode(state));
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->plate_clear);
  EXPECT_EQ(read->state_epoch, 7u);
  EXPECT_EQ(read->state_sequence, 12u);
  ASSERT_EQ(read->commands.under_way.size(), 1u);
  EXPECT_EQ(read->commands.under_way[0].actor, "An\"na");
  EXPECT_EQ(read->commands.newest, (EventOrder{1'780'000'000'000, 1'234'567}));
}

}  // namespace
}  // namespace millrace
