// SPDX-License-Identifier: Apache-2.0
// What is wrong with a machine and lasts, and what is kept about it from day one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "bus/sha256.h"
#include "producers/moonraker/adapter_state.h"
#include "producers/moonraker/fact_telling.h"
#include "producers/moonraker/history_backfill.h"
#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class AdapterFacts : public ::testing::Test {
 protected:
  // "unauthorised begins", "unauthorised ends"
  Lines conditions() {
    Lines lines;
    for (const auto* event : bench.all<schema::MachineConditionChangedT>()) {
      lines.push_back(event->condition + (event->active ? " begins" : " ends"));
    }
    return lines;
  }
  std::string text_of_last() { return bench.all<schema::MachineConditionChangedT>().back()->text; }
  void live(std::chrono::seconds time) {
    for (; time > 0s; time -= 1s) {
      bench.pass(1s);
      if (bench.link_up) bench.process_statistics();
    }
  }

  AdapterBench bench;
};

TEST_F(AdapterFacts, ARefusedHostIsToldOnceWithWhatToDo) {
  bench.errors["server.connection.identify"] = R"({"code":-32602,"message":"Unauthorized"})";
  bench.start();
  bench.deliver();
  bench.pass(3min);
  EXPECT_EQ(conditions(), Lines{"unauthorised begins"});
  EXPECT_NE(text_of_last().find("trusted_clients"), std::string::npos);
  EXPECT_LE(bench.opened, 7) << "a person has to act: at most every 30 s";
  bench.errors.clear();
  bench.reconnect();
  EXPECT_EQ(conditions(), (Lines{"unauthorised begins", "unauthorised ends"}));
}

TEST_F(AdapterFacts, ForbiddenIsAnotherCondition) {
  bench.errors["server.info"] = R"({"code":403,"message":"Forbidden"})";
  bench.connect();
  EXPECT_EQ(conditions(), Lines{"forbidden begins"});
}

TEST_F(AdapterFacts, ALinkThatIsClosedForWhoAsksIsRefused) {
  bench.connect();
  bench.drop(kLinkUnauthorised, 401);
  EXPECT_EQ(conditions(), Lines{"unauthorised begins"});
}

TEST_F(AdapterFacts, ConditionsAreKnownOverARestart) {
  bench.errors["server.connection.identify"] = R"({"code":-32602,"message":"Unauthorized"})";
  bench.start();
  bench.deliver();
  bench.restart(true);
  EXPECT_EQ(conditions(), Lines{"unauthorised begins"}) << "not told twice";
  bench.errors.clear();
  bench.reconnect();
  EXPECT_EQ(conditions(), (Lines{"unauthorised begins", "unauthorised ends"}));
}

TEST_F(AdapterFacts, NonsenseIsAConditionUntilItIsQuiet) {
  bench.connect();
  for (int i = 0; i < 5; ++i) bench.frame("{not json");
  bench.frame("\xff\xfe");
  EXPECT_EQ(conditions(), Lines{"protocol_error begins"});
  EXPECT_EQ(text_of_last().substr(0, 4), "json");
  live(250s);
  EXPECT_EQ(conditions().size(), 1u);
  live(60s);
  EXPECT_EQ(conditions(), (Lines{"protocol_error begins", "protocol_error ends"}));
}

TEST_F(AdapterFacts, ANumberThatIsNoneTakesNothingElseAlong) {
  bench.connect();
  bench.frame(R"({"jsonrpc":"2.0","method":"notify_status_update","params":[)"
              R"({"extruder":{"temperature":NaN},"print_stats":{"state":"printing","filename":"a.gcode"}},1001.0]})");
  bench.pass(2s);
  EXPECT_EQ(conditions(), Lines{"protocol_error begins"});
  EXPECT_EQ(text_of_last(), "json: NaN or Infinity in the place of a number");
  EXPECT_EQ(bench.all<schema::JobStartedT>().size(), 1u);
}

TEST_F(AdapterFacts, ARowWithANumberThatIsNoneIsReadAndKept) {
  RowText row{.start = 1'795'000'100, .filename = "a.gcode", .total = 60, .end = 1'795'000'200};
  std::string text = row.json("completed");
  text.replace(text.find("60"), 2, "Infinity");
  bench.answers["server.history.list"] = R"({"count":1,"jobs":[)" + text + "]}";
  bench.connect();
  bench.pass(1s);
  const auto finished = bench.all<schema::JobFinishedT>();
  ASSERT_EQ(finished.size(), 1u);
  EXPECT_EQ(finished[0]->outcome, schema::JobOutcome::completed);
  EXPECT_EQ(finished[0]->total_duration, flatbuffers::nullopt);
  EXPECT_NE(finished[0]->auxiliary_json.find("Infinity"), std::string::npos);
}

TEST_F(AdapterFacts, AHistoryThatIsNoJsonHoldsNothingUp) {
  bench.answers["server.history.list"] = R"({"jobs":[{"filename":"a)";
  bench.connect();
  bench.update(R"({"print_stats":{"state":"printing","filename":"a.gcode"}})");
  bench.pass(2s);
  EXPECT_EQ(bench.all<schema::JobStartedT>().size(), 1u) << "without waiting for the request's timeout";
  bench.pass(5s);
  bench.pass(5s);
  EXPECT_EQ(conditions(), (Lines{"protocol_error begins", "history_unreadable begins"}));
  EXPECT_EQ(text_of_last(), "server.history.list: an answer that is no JSON");
}

TEST_F(AdapterFacts, NotificationsOfANewerMoonrakerAreNoCondition) {
  bench.connect();
  bench.notify("notify_something_new", "{}");
  EXPECT_EQ(conditions(), Lines{});
}

TEST_F(AdapterFacts, ATooLargeFrameNamesTheSetting) {
  bench.connect();
  bench.drop("protocol", 1009);
  EXPECT_EQ(conditions(), Lines{"frame_too_large begins"});
  EXPECT_NE(text_of_last().find("adapters.max_frame_bytes"), std::string::npos);
}

TEST_F(AdapterFacts, MoonrakersOwnErrorsAreACondition) {
  bench.errors["server.info"] = R"({"code":500,"message":"Internal Server Error"})";
  bench.connect();
  EXPECT_EQ(conditions(), Lines{"moonraker_error begins"});
  EXPECT_EQ(text_of_last(), "server.info: 500: Internal Server Error");
}

TEST_F(AdapterFacts, AMoonrakerThatDoesNotKnowItselfIsACondition) {
  for (const char* error : {R"({"code":-32602,"message":"Invalid params"})", R"({"code":-32601,"message":"x"})"}) {
    bench.errors["server.info"] = error;
    bench.forget_events();
    bench.restart(false);
    EXPECT_EQ(conditions(), Lines{"moonraker_error begins"}) << error;
    EXPECT_EQ(text_of_last().substr(0, 14), "server.info: -") << text_of_last();
  }
}

TEST_F(AdapterFacts, SilenceNamesTheRequest) {
  for (const char* method : {"server.connection.identify", "server.info", "printer.info", "printer.objects.list",
                             "printer.objects.subscribe"}) {
    bench.silent.clear();
    bench.silent[method] = true;
    bench.forget_events();
    bench.restart(false);
    live(31s);
    ASSERT_EQ(conditions(), Lines{"moonraker_error begins"}) << method;
    const std::string& text = text_of_last();
    EXPECT_EQ(text.substr(0, 13), "no answer to ");
    EXPECT_TRUE(std::string_view(method).ends_with(text.substr(13))) << text;
  }
}

TEST_F(AdapterFacts, AnswersToWhatWasNotAskedAreACondition) {
  for (const char* id : {"5000", R"("1")", "-1", "1.5", "[]"}) {
    bench.forget_events();
    bench.restart(false);
    bench.frame(fmt::format(R"({{"jsonrpc":"2.0","id":{},"result":{{}}}})", id));
    EXPECT_EQ(conditions(), Lines{"protocol_error begins"}) << id;
  }
}

TEST_F(AdapterFacts, AnAnswerThatComesTwiceOrTooLateIsNone) {
  bench.connect();
  bench.frame(R"({"jsonrpc":"2.0","id":1,"result":{}})");
  EXPECT_EQ(conditions(), Lines{});
}

TEST_F(AdapterFacts, AStatusWithoutWebhooksSaysWhyTheMachineStaysStarting) {
  bench.status.erase("webhooks");
  bench.connect();
  EXPECT_EQ(conditions(), Lines{"protocol_error begins"});
  EXPECT_NE(text_of_last().find("webhooks"), std::string::npos);
}

TEST_F(AdapterFacts, ObjectsWithoutNamesAreToldAndLeftOut) {
  bench.answers["printer.objects.list"] = R"({"objects":[1,null,{},"webhooks","print_stats"]})";
  bench.connect();
  EXPECT_EQ(conditions(), Lines{"protocol_error begins"});
  EXPECT_EQ(bench.machine().back(), "unknown -> ready");
}

TEST_F(AdapterFacts, AnAbsurdNumberIsAConditionAndNoValue) {
  bench.connect();
  bench.forget_events();
  bench.update(R"({"extruder":{"temperature":1e300,"target":-1e300,"power":0.25}})");
  bench.pass(1s);
  EXPECT_EQ(conditions(), Lines{"protocol_error begins"});
  EXPECT_EQ(text_of_last(), "status_number: extruder temperature");
  for (const auto* sample : bench.all<schema::TelemetrySampledT>()) {
    for (const auto& signal : sample->signals) EXPECT_LE(std::abs(signal->value), 1e15) << signal->field;
  }
}

TEST_F(AdapterFacts, AConnectionThatEndsInAMessageIsACondition) {
  bench.connect();
  bench.drop("cut_off");
  EXPECT_EQ(conditions(), Lines{"protocol_error begins"});
  EXPECT_EQ(bench.all<schema::MachineDisconnectedT>().back()->reason, "closed");
}

TEST_F(AdapterFacts, AServerThatComplainsWhenItClosesIsACondition) {
  for (const uint16_t regular : {0, 1000, 1001, 1012}) {
    bench.restart(false);
    bench.drop("closed", regular);
  }
  EXPECT_EQ(conditions(), Lines{});
  bench.restart(false);
  bench.drop("closed", 1011);
  EXPECT_EQ(conditions(), Lines{"moonraker_error begins"});
  EXPECT_NE(text_of_last().find("1011"), std::string::npos);
}

TEST_F(AdapterFacts, AHistoryThatRepeatsItselfEndsWithACondition) {
  std::string rows;
  for (int i = 0; i < 50; ++i) {
    rows += (i == 0 ? "" : ",") + RowText{.start = 1'790'000'000.0 - i, .filename = "a.gcode"}.json("completed");
  }
  bench.answers["server.history.list"] = "{\"count\":1000000,\"jobs\":[" + rows + "]}";
  bench.connect();
  EXPECT_EQ(std::ranges::count(bench.requests, "server.history.list"), 2);
  EXPECT_EQ(conditions(), Lines{"protocol_error begins"});
  live(10s);
  EXPECT_EQ(bench.all<schema::JobStartedT>().size(), 50u);
}

TEST_F(AdapterFacts, AHistoryThatIsTooLongSaysWhatIsLeftOut) {
  for (size_t i = 0; i < HistoryBackfill::kMaxRows + 100; ++i) {
    const double start = 1'790'000'000.0 - static_cast<double>(i) * 10;
    bench.history.push_back(RowText{.start = start, .filename = "a.gcode"}.json("completed"));
  }
  bench.connect();
  EXPECT_EQ(conditions(), Lines{"history_incomplete begins"});
  EXPECT_NE(text_of_last().find("millrace import moonraker"), std::string::npos);
}

TEST_F(AdapterFacts, KlipperThatIsAwayIsNone) {
  bench.klippy_state = "startup";
  bench.errors["printer.info"] = R"({"code":503,"message":"Klippy Host not connected"})";
  bench.connect();
  live(5s);
  EXPECT_EQ(conditions(), Lines{});
}

TEST_F(AdapterFacts, AHistoryThatStaysUnreadableIsToldAndEnds) {
  bench.errors["server.history.list"] = R"({"code":500,"message":"database is locked"})";
  bench.connect();
  EXPECT_EQ(conditions(), Lines{}) << "once may be a restart";
  live(10s);
  EXPECT_EQ(conditions(), Lines{"history_unreadable begins"});
  EXPECT_NE(text_of_last().find("database is locked"), std::string::npos);
  bench.errors.clear();
  live(100s);
  EXPECT_EQ(conditions(), (Lines{"history_unreadable begins", "history_unreadable ends"}));
}

TEST_F(AdapterFacts, AMachineThatIsRemovedEndsItsJobAndItsConditions) {
  bench.connect();
  const RowText row{.start = bench.machine_now(), .filename = "a.gcode"};
  bench.update(R"({"print_stats":{"state":"printing","filename":"a.gcode","total_duration":1.0}})");
  bench.added(row.json("in_progress"));
  bench.frame("nonsense");
  bench.adapter().leave(MoonrakerAdapter::Leaving::kRemoved);
  EXPECT_EQ(bench.jobs().back().substr(bench.jobs().back().find(' ', 12)), " interrupted machine_removed rank 1 1.00");
  EXPECT_EQ(conditions(), (Lines{"protocol_error begins", "protocol_error ends"}));
  EXPECT_EQ(bench.machine().back(), "printing -> offline");
  EXPECT_FALSE(bench.next_deadline());
}

TEST_F(AdapterFacts, ADisabledMachineKeepsItsJobOpen) {
  bench.connect();
  bench.update(R"({"print_stats":{"state":"printing","filename":"a.gcode","total_duration":1.0}})");
  bench.added(RowText{.start = bench.machine_now(), .filename = "a.gcode"}.json("in_progress"));
  bench.adapter().leave(MoonrakerAdapter::Leaving::kDisabled);
  EXPECT_EQ(bench.jobs().size(), 1u);
}

TEST_F(AdapterFacts, ANewNameIsRegisteredAtOnce) {
  bench.connect();
  bench.adapter().rename("Other", "printer");
  EXPECT_EQ(bench.all<schema::MachineRegisteredT>().back()->name, "Other");
  bench.adapter().rename("Other", "printer");
  EXPECT_EQ(bench.all<schema::MachineRegisteredT>().size(), 2u);
}

TEST_F(AdapterFacts, VersionsAreToldWhenTheyDiffer) {
  bench.status["mcu"] = {{"mcu_version", R"("v0.13.0-120")"}, {"mcu_constants", R"({"MCU":"stm32f446xx"})"}};
  bench.status["mcu toolhead"] = {{"mcu_version", R"("v0.12")"}};
  bench.connect();
  const auto told = bench.all<schema::SoftwareIdentifiedT>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0]->klipper_version, "v0.13");
  EXPECT_EQ(told[0]->moonraker_version, "v0.10");
  ASSERT_EQ(told[0]->firmware.size(), 2u);
  EXPECT_EQ(told[0]->firmware[0]->chip, "stm32f446xx");
  EXPECT_EQ(told[0]->firmware[1]->version, "v0.12");
  bench.restart(true);
  EXPECT_EQ(bench.all<schema::SoftwareIdentifiedT>().size(), 1u);
  bench.status["mcu"]["mcu_version"] = R"("v0.13.1")";
  bench.restart(true);
  EXPECT_EQ(bench.all<schema::SoftwareIdentifiedT>().size(), 2u);
}

TEST_F(AdapterFacts, PrinterConfigIsWhatKlipperHasRead) {
  bench.config = R"({"printer":{"kinematics":"corexy"},"gcode_macro A":{"gcode":"\nG28\nG1 X1"}})";
  bench.connect();
  const auto told = bench.all<schema::PrinterConfigReadT>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0]->text, "[printer]\nkinematics: corexy\n\n[gcode_macro A]\ngcode: \n  G28\n  G1 X1\n\n");
  EXPECT_EQ(told[0]->bytes, told[0]->text.size());
  EXPECT_EQ(told[0]->sha256.size(), 64u);
  bench.restart(true);
  EXPECT_EQ(bench.all<schema::PrinterConfigReadT>().size(), 1u);
}

TEST_F(AdapterFacts, ALargePrinterConfigIsToldInPieces) {
  std::string macro;
  while (macro.size() < 100'000) macro += "Größe ✓ ";  // no piece ends within a character
  bench.config = fmt::format(R"({{"gcode_macro A":{{"gcode":"{}"}}}})", macro);
  bench.connect();
  const auto told = bench.all<schema::PrinterConfigReadT>();
  ASSERT_EQ(told.size(), 3u);
  std::string text;
  for (const auto* piece : told) {
    EXPECT_EQ(piece->sha256, told[0]->sha256);
    EXPECT_LE(piece->text.size(), FactTelling::kMaxConfigInEvent);
    EXPECT_NE(static_cast<unsigned char>(piece->text[0]) & 0xc0, 0x80);
    text += piece->text;
  }
  EXPECT_EQ(text, "[gcode_macro A]\ngcode: " + macro + "\n\n");
  EXPECT_EQ(told[0]->bytes, text.size());
  EXPECT_EQ(told[0]->sha256, hex_of(Sha256Digester().digest(text)));
  bench.restart(true);
  EXPECT_EQ(bench.all<schema::PrinterConfigReadT>().size(), 3u);
}

TEST_F(AdapterFacts, AHugePrinterConfigIsToldByItsHash) {
  bench.config = fmt::format(R"({{"gcode_macro A":{{"gcode":"{}"}}}})", std::string(FactTelling::kMaxConfig, 'x'));
  bench.connect();
  const auto told = bench.all<schema::PrinterConfigReadT>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0]->text, "");
  EXPECT_GT(told[0]->bytes, FactTelling::kMaxConfig);
  EXPECT_EQ(told[0]->sha256.size(), 64u);
}

TEST_F(AdapterFacts, MessagesAreToldAtMostOnceASecondAndTheLastOneAlways) {
  bench.status["display_status"] = {{"message", "null"}};
  bench.connect();
  EXPECT_EQ(bench.all<schema::MessageShownT>().size(), 0u);
  for (int i = 0; i < 8; ++i) bench.update(fmt::format(R"({{"display_status":{{"message":"layer {}"}}}})", i));
  EXPECT_EQ(bench.all<schema::MessageShownT>().size(), 2u);
  bench.update(R"({"extruder":{"temperature":21.0}})", 1.0);
  EXPECT_EQ(bench.all<schema::MessageShownT>().back()->text, "layer 7");
  bench.update(R"({"display_status":{"message":null}})", 2.0);
  EXPECT_EQ(bench.all<schema::MessageShownT>().back()->text, "");
}

TEST_F(AdapterFacts, FilamentSensorsAreToldWhenTheyChange) {
  bench.status["filament_switch_sensor runout"] = {{"filament_detected", "true"}, {"enabled", "true"}};
  bench.connect();
  bench.update(R"({"filament_switch_sensor runout":{"filament_detected":false}})", 2.0);
  bench.update(R"({"filament_switch_sensor runout":{"filament_detected":false}})", 2.0);
  const auto told = bench.all<schema::FilamentSensorChangedT>();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_TRUE(told[0]->detected);
  EXPECT_FALSE(told[1]->detected);
  EXPECT_EQ(told[1]->sensor, "filament_switch_sensor runout");
  bench.restart(true);
  EXPECT_EQ(bench.all<schema::FilamentSensorChangedT>().size(), 2u);
}

TEST_F(AdapterFacts, TheActiveSpoolIsAskedForAndFollowed) {
  bench.components = R"(["history","spoolman"])";
  bench.spool = "7";
  bench.connect();
  bench.notify("notify_active_spool_set", R"({"spool_id":7})");
  bench.notify("notify_active_spool_set", R"({"spool_id":null})");
  const auto told = bench.all<schema::SpoolChangedT>();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0]->spool_id, 7);
  EXPECT_FALSE(told[1]->spool_id);
}

class JobQueueFacts : public AdapterFacts {
 protected:
  JobQueueFacts() { bench.components = R"(["history","job_queue"])"; }
  static std::string waiting(const std::string& names) {
    std::string list;
    for (const char name : names) {
      list += fmt::format(R"({}{{"filename":"{}.gcode","job_id":"00{}","time_added":1795000000.5,"time_in_queue":1}})",
                          list.empty() ? "" : ",", name, name);
    }
    return "[" + list + "]";
  }
  static std::string status(const std::string& names, const std::string& state) {
    return fmt::format(R"({{"queued_jobs":{},"queue_state":"{}"}})", waiting(names), state);
  }
  void changed(const std::string& list, const std::string& state) {
    bench.notify("notify_job_queue_changed",
                 fmt::format(R"({{"action":"jobs_added","updated_queue":{},"queue_state":"{}"}})", list, state));
  }
  // "ready ab", by the first letters of the files
  Lines told() {
    Lines lines;
    for (const auto* event : bench.all<schema::JobQueueChangedT>()) {
      lines.push_back(event->state + " ");
      for (const auto& job : event->jobs) lines.back() += job->filename.at(0);
    }
    return lines;
  }
};

TEST_F(JobQueueFacts, ItIsAskedForOnConnectAndToldWhenItChanges) {
  bench.queue = status("ab", "ready");
  bench.connect();
  ASSERT_EQ(told(), Lines{"ready ab"});
  const auto* event = bench.all<schema::JobQueueChangedT>().back();
  EXPECT_EQ(event->total, 2u);
  EXPECT_EQ(event->jobs.at(0)->id, "00a");
  EXPECT_EQ(event->jobs.at(0)->added_us, 1'795'000'000'500'000);
  changed(waiting("ab"), "ready");
  changed("null", "loading");
  changed(waiting("b"), "ready");
  EXPECT_EQ(told(), (Lines{"ready ab", "loading ab", "ready b"}));
  bench.queue = status("b", "ready");
  bench.restart(true);
  EXPECT_EQ(told().size(), 3u) << "a restart tells nothing again";
}

TEST_F(JobQueueFacts, AnEmptyQueueIsToldOnlyAfterAnother) {
  bench.connect();
  changed("null", "paused");
  EXPECT_EQ(told(), Lines{});
  changed(waiting("a"), "paused");
  bench.drop();
  bench.reconnect();  // its Moonraker was restarted and has forgotten the queue
  EXPECT_EQ(told(), (Lines{"paused a", "ready "}));
}

TEST_F(JobQueueFacts, AChangeOfAQueueThatIsNotKnownIsAskedFor) {
  bench.errors["server.job_queue.status"] = R"({"code":404,"message":"not yet"})";
  bench.connect();
  bench.errors.clear();
  bench.queue = status("a", "loading");
  changed("null", "loading");
  bench.deliver();
  EXPECT_EQ(told(), Lines{"loading a"});
}

TEST_F(JobQueueFacts, NonsenseIsNotedAndALongQueueIsCut) {
  bench.queue = R"({"queued_jobs":7})";
  bench.connect();
  EXPECT_EQ(bench.protocol_errors(), 1);
  bench.notify("notify_job_queue_changed", "7");
  EXPECT_EQ(bench.protocol_errors(), 2);
  changed(waiting(std::string(250, 'x')), "ready");
  ASSERT_EQ(told().size(), 1u);
  EXPECT_EQ(bench.all<schema::JobQueueChangedT>()[0]->jobs.size(), FactTelling::kMaxWaiting);
  EXPECT_EQ(bench.all<schema::JobQueueChangedT>()[0]->total, 250u);
}

TEST_F(AdapterFacts, WithoutSpoolmanNobodyAsks) {
  bench.connect();
  EXPECT_EQ(std::count(bench.requests.begin(), bench.requests.end(), "server.spoolman.get_spool_id"), 0);
}

TEST_F(AdapterFacts, AClockThatIsOffIsToldWhenItBeginsAndEnds) {
  bench.wall_minus_eventtime = static_cast<double>(to_unix_us(bench.clock.wall())) / 1e6 - bench.eventtime;
  bench.connect();
  const auto live_with = [&](double off) {
    for (int i = 0; i < 4; ++i) {
      bench.pass(1s);
      bench.wall_minus_eventtime = static_cast<double>(to_unix_us(bench.clock.wall())) / 1e6 - bench.eventtime + off;
      bench.process_statistics();
    }
  };
  live_with(4);
  EXPECT_EQ(bench.all<schema::MachineClockOffT>().size(), 0u);
  live_with(-3600);
  live_with(-4);  // between the limits nothing changes
  auto told = bench.all<schema::MachineClockOffT>();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0]->active);
  EXPECT_NEAR(static_cast<double>(told[0]->skew_ms), 3'600'000, 2'000);
  live_with(1);
  told = bench.all<schema::MachineClockOffT>();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_FALSE(told[1]->active);
}

TEST_F(AdapterFacts, WhatWasToldSurvivesInTheState) {
  AdapterState state;
  state.conditions = {"tls_failed", "unauthorised"};
  state.facts.software = "abc";
  state.facts.message = "M\"117";
  state.facts.filament["filament_motion_sensor x"] = {true, false};
  state.facts.spool_told = true;
  state.facts.spool = 3;
  state.facts.clock_off = true;
  const auto decoded = decode_adapter_state(encode(state));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->conditions, state.conditions);
  EXPECT_EQ(decoded->facts.message, state.facts.message);
  EXPECT_EQ(decoded->facts.filament, state.facts.filament);
  EXPECT_EQ(decoded->facts.spool, state.facts.spool);
  EXPECT_TRUE(decoded->facts.clock_off && decoded->facts.spool_told);
}

}  // namespace
}  // namespace millrace
