// SPDX-License-Identifier: Apache-2.0
// The link, the handshake, machine state and telemetry; and what a machine may say wrongly.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "bus/json_reader.h"
#include "producers/backoff.h"
#include "producers/moonraker/adapter_state.h"
#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class AdapterLink : public ::testing::Test {
 protected:
  AdapterBench bench;
};

TEST_F(AdapterLink, HandshakeInOrderAndMachineIsTold) {
  bench.connect();
  EXPECT_EQ(bench.requests, (Lines{"server.connection.identify", "server.info", "printer.info", "printer.objects.list",
                                   "printer.objects.subscribe", "printer.objects.query", "server.history.list"}));
  EXPECT_EQ(bench.machine(), (Lines{"MachineRegistered", "MachineConnected", "unknown -> ready"}));
  const auto& connected = *bench.all<schema::MachineConnectedT>().front();
  EXPECT_EQ(connected.moonraker_version, "v0.10");
  EXPECT_EQ(connected.api_version, "1.5.0");
  EXPECT_EQ(connected.klipper_version, "v0.13");
  EXPECT_EQ(connected.hostname, "vm");
  EXPECT_EQ(connected.klipper_process_id, 100);
}

TEST_F(AdapterLink, StatisticsBeforeTheAnswersDoNotKeepTheTimerBusy) {
  bench.hold_answers = true;
  bench.start();
  bench.process_statistics();
  const auto deadline = bench.next_deadline();
  ASSERT_TRUE(deadline);
  EXPECT_GT(*deadline, bench.clock.monotonic()) << "a deadline of now that no call moves is a busy loop";
}

TEST_F(AdapterLink, BulkIsNotSubscribed) {
  bench.status["configfile"] = {{"settings", "{}"}};
  bench.status["gcode_macro START"] = {{"x", "1"}};
  bench.silent["server.history.list"] = true;
  bench.silent["printer.objects.subscribe"] = true;
  bench.start();
  bench.deliver();
  EXPECT_EQ(bench.last_params.find("configfile"), std::string::npos);
  EXPECT_EQ(bench.last_params.find("gcode"), std::string::npos);
  EXPECT_NE(bench.last_params.find(R"("print_stats":null)"), std::string::npos);
}

TEST_F(AdapterLink, RegistersAgainOnlyWhenNameOrKindChanges) {
  bench.connect();
  bench.forget_events();
  bench.restart(true);
  EXPECT_TRUE(bench.all<schema::MachineRegisteredT>().empty());
  bench.options.name = "Other";
  bench.restart(true);
  EXPECT_EQ(bench.all<schema::MachineRegisteredT>().size(), 1u);
}

TEST_F(AdapterLink, ReconnectsForEverWithGrowingPauses) {
  bench.reachable = false;
  bench.start();
  bench.deliver();
  bench.pass(10min);
  EXPECT_GE(bench.opened, 14);
  EXPECT_LE(bench.opened, 20);
  EXPECT_EQ(bench.machine(), (Lines{"MachineRegistered", "unknown -> offline"}));
  bench.reachable = true;
  bench.pass(61s);
  EXPECT_TRUE(bench.link_up);
}

TEST(Backoff, DoublesWithinItsBoundsAndVaries) {
  SeededRandom random(3);
  EXPECT_GE(backoff(0, 1s, 60s, random), 800ms);
  EXPECT_LE(backoff(0, 1s, 60s, random), 1200ms);
  EXPECT_NE(backoff(0, 1s, 60s, random), backoff(0, 1s, 60s, random));
  EXPECT_GE(backoff(3, 1s, 60s, random), 6400ms);
  EXPECT_LE(backoff(3, 1s, 60s, random), 9600ms);
  for (int failures = 6; failures < 2000; failures += 7) {
    EXPECT_GE(backoff(failures, 1s, 60s, random), 48s);
    EXPECT_LE(backoff(failures, 1s, 60s, random), 60s);
  }
}

TEST_F(AdapterLink, BackoffBeginsAnewAfterASubscription) {
  bench.reachable = false;
  bench.start();
  bench.deliver();
  bench.pass(5min);
  bench.reachable = true;
  bench.pass(61s);
  bench.drop();
  bench.pass(1300ms);
  EXPECT_TRUE(bench.link_up);
}

TEST_F(AdapterLink, SilenceOfTwentySecondsIsADeadLink) {
  bench.silent["server.files.get_directory"] = true;
  bench.connect();
  bench.pass(19s);
  EXPECT_TRUE(bench.link_up);
  bench.pass(1100ms);
  EXPECT_EQ(bench.machine().back(), "ready -> offline");
  EXPECT_EQ(bench.all<schema::MachineDisconnectedT>().back()->reason, "timeout");
}

TEST_F(AdapterLink, UnansweredHandshakeEndsTheLink) {
  for (const char* method : {"server.connection.identify", "server.info"}) {
    AdapterBench other;
    other.silent[method] = true;
    other.start();
    other.deliver();
    for (int i = 0; i < 29; ++i) {
      other.pass(1s);
      other.process_statistics();
    }
    EXPECT_EQ(other.opened, 1) << method;
    other.silent.clear();
    other.pass(3s);
    EXPECT_EQ(other.opened, 2) << method;
    EXPECT_EQ(other.machine().back(), "offline -> ready") << method;
  }
}

TEST_F(AdapterLink, KlipperThatDoesNotAnswerIsAskedAgain) {
  bench.silent["printer.info"] = true;
  bench.start();
  bench.deliver();
  for (int i = 0; i < 31; ++i) {
    bench.pass(1s);
    bench.process_statistics();
  }
  EXPECT_EQ(bench.opened, 1);
  EXPECT_EQ(bench.machine().back(), "unknown -> starting");
  bench.silent.clear();
  for (int i = 0; i < 31; ++i) {
    bench.pass(1s);
    bench.process_statistics();
  }
  EXPECT_EQ(bench.machine().back(), "starting -> ready");
}

TEST_F(AdapterLink, WithoutAKeyTheTextSaysWhatToDo) {
  for (const char* message : {"Unauthorized", "Invalid API Key"}) {
    AdapterBench other;
    other.identity.api_key = "secret-key";
    other.errors["server.connection.identify"] = fmt::format(R"({{"code":-32602,"message":"{}"}})", message);
    other.start();
    other.deliver();
    ASSERT_EQ(other.machine(), (Lines{"MachineRegistered", "unknown -> offline"}));
    const std::string& text = other.all<schema::MachineStateChangedT>().back()->text;
    EXPECT_NE(text.find("moonraker_api_key"), std::string::npos);
    EXPECT_EQ(text.find("secret"), std::string::npos);
    EXPECT_EQ(other.saved_state.find("secret"), std::string::npos);
    other.errors.clear();
    other.pass(20s);
    EXPECT_EQ(other.machine().back(), "unknown -> offline") << "a person has to act: no hurry";
    other.pass(20s);
    EXPECT_EQ(other.machine().back(), "offline -> ready");
  }
}

TEST_F(AdapterLink, KeyIsSentAtIdentifyOnly) {
  bench.identity.api_key = "secret-key";
  bench.silent["server.connection.identify"] = true;
  bench.start();
  bench.deliver();
  EXPECT_NE(bench.last_params.find(R"("api_key":"secret-key")"), std::string::npos);
}

TEST_F(AdapterLink, AlreadyIdentifiedDoesNotHinder) {
  bench.errors["server.connection.identify"] = R"({"code":400,"message":"Connection already identified: x"})";
  bench.connect();
  EXPECT_EQ(bench.machine().back(), "unknown -> ready");
}

TEST_F(AdapterLink, KlipperNotReadyIsPolled) {
  bench.klippy_state = "startup";
  bench.start();
  bench.deliver();
  EXPECT_EQ(bench.machine(), (Lines{"MachineRegistered", "MachineConnected", "unknown -> starting"}));
  EXPECT_EQ(bench.all<schema::MachineConnectedT>().back()->klipper_version, "");
  bench.pass(2s);
  EXPECT_EQ(std::ranges::count(bench.requests, "server.info"), 5);
  bench.klippy_state = "ready";
  bench.pass(600ms);
  EXPECT_EQ(bench.machine().back(), "starting -> ready");
}

TEST_F(AdapterLink, MethodNotFoundAndNotConnectedMeanNotReady) {
  for (const char* error :
       {R"({"code":-32601,"message":"Method not found"})", R"({"code":503,"message":"Klippy Host not connected"})"}) {
    for (const char* method : {"printer.info", "printer.objects.list", "printer.objects.subscribe"}) {
      AdapterBench other;
      other.errors[method] = error;
      other.start();
      other.deliver();
      EXPECT_EQ(other.machine().back(), "unknown -> starting") << method;
      other.errors.clear();
      other.pass(600ms);
      EXPECT_EQ(other.machine().back(), "starting -> ready") << method;
    }
  }
}

TEST_F(AdapterLink, ReturnInErrorIsFoundByPollingAlone) {
  bench.connect();
  bench.klippy_state = "disconnected";
  bench.notify("notify_klippy_disconnected");
  EXPECT_EQ(bench.machine().back(), "ready -> offline");
  bench.klippy_state = "error";
  bench.status["webhooks"] = {{"state", R"("error")"}, {"state_message", R"("Option 'x' is not valid")"}};
  bench.pass(1s);
  EXPECT_EQ(bench.machine().back(), "offline -> error");
  EXPECT_EQ(bench.all<schema::MachineStateChangedT>().back()->text, "Option 'x' is not valid");
}

TEST_F(AdapterLink, RestartOfKlipperListsAndSubscribesAgain) {
  bench.connect();
  bench.requests.clear();
  bench.klippy_state = "disconnected";
  bench.notify("notify_klippy_disconnected");
  bench.klippy_state = "ready";
  bench.process_id = 200;
  bench.notify("notify_klippy_ready");
  EXPECT_EQ(std::ranges::count(bench.requests, "printer.objects.list"), 1);
  EXPECT_EQ(std::ranges::count(bench.requests, "printer.objects.subscribe"), 1);
  EXPECT_EQ(std::ranges::count(bench.machine(), "FirmwareRestarted 100 -> 200"), 1);
  EXPECT_EQ(bench.machine().back(), "offline -> ready");
}

TEST_F(AdapterLink, ReadyAfterASubscriptionByPollingChangesNothing) {
  bench.connect();
  const auto told = bench.machine();
  bench.notify("notify_klippy_ready");
  bench.notify("notify_klippy_ready");
  EXPECT_EQ(bench.machine(), told);
}

TEST_F(AdapterLink, WebhooksOverridePrintStatistics) {
  bench.connect();
  bench.update(R"({"print_stats":{"state":"printing"}})");
  bench.update(R"({"webhooks":{"state":"shutdown","state_message":"x"},"print_stats":{"state":"paused"}})");
  bench.update(R"({"print_stats":{"state":"error"}})");
  EXPECT_EQ(bench.machine().back(), "printing -> shutdown");
  EXPECT_EQ(bench.all<schema::MachineStateChangedT>().back()->print_state, "");
}

TEST_F(AdapterLink, RestartedAdapterKnowsWhatItSaidLast) {
  bench.connect();
  bench.forget_events();
  bench.restart(true);
  EXPECT_EQ(bench.machine(), (Lines{"MachineConnected"}));
  bench.forget_events();
  bench.reachable = false;
  bench.restart(true);
  EXPECT_EQ(bench.machine(), (Lines{"MachineDisconnected refused", "ready -> offline"}));
}

TEST_F(AdapterLink, StopSaysGoodbyeOnce) {
  bench.connect();
  bench.forget_events();
  bench.adapter().stop();
  bench.adapter().stop();
  EXPECT_EQ(bench.machine(), (Lines{"MachineDisconnected stopped", "ready -> offline"}));
  EXPECT_FALSE(bench.adapter().next_deadline());
}

TEST_F(AdapterLink, TelemetryOncePerIntervalWithUnchangedValuesLeftOut) {
  bench.status["heater_bed"] = {{"temperature", "50"}, {"target", "60"}, {"power", "0.5"}};
  bench.status["toolhead"] = {{"position", "[1,2,3,4]"}};
  bench.connect();
  auto samples = bench.all<schema::TelemetrySampledT>();
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_TRUE(samples[0]->full);
  const auto has = [](const schema::TelemetrySampledT& sample, std::string_view object, std::string_view field) {
    return std::ranges::any_of(sample.signals, [&](const auto& s) { return s->object == object && s->field == field; });
  };
  EXPECT_TRUE(has(*samples[0], "heater_bed", "power"));
  EXPECT_TRUE(has(*samples[0], "toolhead", "position.z"));
  bench.forget_events();
  for (int i = 0; i < 8; ++i) bench.update(fmt::format(R"({{"extruder":{{"temperature":{},"target":0.0}}}})", 100 + i));
  samples = bench.all<schema::TelemetrySampledT>();
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_FALSE(samples[0]->full);
  EXPECT_FALSE(has(*samples[0], "extruder", "target"));
  EXPECT_TRUE(has(*samples[1], "extruder", "temperature"));
}

TEST_F(AdapterLink, LastChangeIsSampledThoughNoFrameFollows) {
  bench.connect();
  bench.forget_events();
  bench.update(R"({"extruder":{"temperature":55.5}})");
  EXPECT_TRUE(bench.all<schema::TelemetrySampledT>().empty());
  bench.pass(1s);
  ASSERT_EQ(bench.all<schema::TelemetrySampledT>().size(), 1u);
}

TEST_F(AdapterLink, ProcessStatisticsAreTelemetry) {
  bench.connect();
  bench.pass(1s);
  bool found = false;
  for (const auto* sample : bench.all<schema::TelemetrySampledT>()) {
    for (const auto& signal : sample->signals) found = found || (signal->object == "host" && signal->value == 44.5);
  }
  EXPECT_TRUE(found);
}

// Shapes as Klipper and Moonraker send them (recordings a04, b03 and Moonraker's documentation of its sensors).
TEST_F(AdapterLink, SensorsControllersAndLayersAreTelemetry) {
  bench.status["mcu"] = {{"last_stats",
                          R"({"mcu_awake":0.002,"mcu_task_avg":7e-06,"mcu_task_stddev":8e-06,"bytes_write":1298,)"
                          R"("bytes_retransmit":3,"bytes_invalid":0,"srtt":0.001,"freq":49999948})"}};
  bench.status["mcu rpi"] = {{"last_stats", R"({"mcu_awake":0.5})"}};
  bench.status["print_stats"]["info"] = R"({"total_layer":120,"current_layer":7})";
  bench.status["bme280 room"] = {{"temperature", "21.4"}, {"pressure", "1013.2"}, {"humidity", "41.5"}};
  bench.status["tmc2209 stepper_x"] = {{"temperature", "null"}, {"run_current", "0.8"}};
  bench.status["load_cell bed"] = {{"force_g", "12.5"}};
  bench.status["probe"] = {{"last_z_result", "-0.02"}};
  bench.connect();
  bench.notify("notify_sensor_update", R"({"plug":{"power":42.5,"state":"on"},"odd":3})");
  bench.pass(1s);
  std::map<std::string, double> values;
  for (const auto* sample : bench.all<schema::TelemetrySampledT>()) {
    for (const auto& signal : sample->signals) values[signal->object + "." + signal->field] = signal->value;
  }
  EXPECT_EQ(values["mcu.mcu_awake"], 0.002);
  EXPECT_EQ(values["mcu.bytes_retransmit"], 3);
  EXPECT_EQ(values["mcu rpi.mcu_awake"], 0.5);
  EXPECT_EQ(values["print_stats.current_layer"], 7);
  EXPECT_EQ(values["print_stats.total_layer"], 120);
  EXPECT_EQ(values["bme280 room.pressure"], 1013.2);
  EXPECT_EQ(values["tmc2209 stepper_x.run_current"], 0.8);
  EXPECT_FALSE(values.contains("tmc2209 stepper_x.temperature"));
  EXPECT_EQ(values["load_cell bed.force_g"], 12.5);
  EXPECT_EQ(values["probe.last_z_result"], -0.02);
  EXPECT_EQ(values["moonraker_sensor plug.power"], 42.5);
}

TEST_F(AdapterLink, NonsenseIsCountedAndTheMachineGoesOn) {
  bench.connect();
  const std::vector<std::string> nonsense = {
      "",
      "{",
      "null",
      "[]",
      "[1,2]",
      "17",
      "\"x\"",
      "{}",
      std::string("\x00\xff\xfe", 3),
      R"({"id":99,"result":1})",
      R"({"method":5})",
      R"({"method":"notify_unheard_of","params":[]})",
      R"({"method":"notify_status_update"})",
      R"({"method":"notify_status_update","params":[]})",
      R"({"method":"notify_status_update","params":[5,"x"]})",
      R"({"method":"notify_status_update","params":[{"print_stats":7,"extruder":[]},-1]})",
      R"({"method":"notify_status_update","params":[{"print_stats":{"total_duration":-1,"state":[]}},1e308]})",
      R"({"method":"notify_status_update","params":[{"print_stats":{"state":"a","state":"b"}},2000]})",
      R"({"method":"notify_history_changed","params":[]})",
      R"({"method":"notify_history_changed","params":[{"action":"added","job":[]}]})",
      R"({"method":"notify_history_changed","params":[{"action":"added","job":{"start_time":"x","status":"completed"}}]})",
      R"({"method":"notify_history_changed","params":[{"action":"added","job":{"start_time":1e300,"status":"completed"}}]})",
      R"({"method":"notify_proc_stat_update","params":[{"moonraker_stats":[]}]})",
      R"({"method":"notify_proc_stat_update","params":"x"})"};
  for (const std::string& frame : nonsense) bench.frame(frame);
  EXPECT_GE(bench.protocol_errors(), 15);
  EXPECT_TRUE(bench.link_up);
  bench.update(R"({"print_stats":{"state":"printing","filename":"a.gcode","total_duration":1}})");
  EXPECT_EQ(bench.machine().back(), "ready -> printing");
}

TEST_F(AdapterLink, AnswersOfTheWrongShapeLeadToAnotherTry) {
  for (const char* method : {"server.info", "printer.info", "printer.objects.list", "printer.objects.subscribe"}) {
    AdapterBench other;
    other.silent[method] = true;
    other.start();
    other.deliver();
    const auto id = static_cast<int64_t>(other.requests.size());
    for (const char* content : {"null", "5", "[]", "{}", R"({"klippy_state":7})", R"({"objects":5})"}) {
      other.frame(fmt::format(R"({{"result":{},"id":{}}})", content, id));
    }
    other.silent.clear();
    other.pass(1s);
    EXPECT_EQ(other.machine().back().substr(other.machine().back().size() - 5), "ready") << method;
  }
}

// Real frames with bytes changed, cut, doubled and mixed.
TEST_F(AdapterLink, SurvivesGarbage) {
  const uint64_t seed = 20261121;
  SCOPED_TRACE(fmt::format("seed {}", seed));
  SeededRandom random(seed);
  RowText row{.start = 1000, .filename = "a.gcode", .total = 5};
  const std::vector<std::string> frames = {
      R"({"jsonrpc":"2.0","method":"notify_status_update","params":[{"print_stats":{"state":"printing","filename":"a.gcode","total_duration":1.5,"info":{"total_layer":5,"current_layer":1}},"webhooks":{"state":"ready"},"toolhead":{"position":[1,2,3,4]}},1234.5]})",
      R"({"jsonrpc":"2.0","method":"notify_status_update","params":[{"print_stats":{"state":"paused"},"exclude_object":{"objects":[{"name":"A"}],"excluded_objects":["A"]}},1235]})",
      R"({"jsonrpc":"2.0","method":"notify_history_changed","params":[{"action":"added","job":)" +
          row.json("in_progress") + "}]}",
      R"({"jsonrpc":"2.0","method":"notify_history_changed","params":[{"action":"finished","job":)" +
          row.json("completed") + "}]}",
      R"({"jsonrpc":"2.0","method":"notify_klippy_disconnected"})",
      R"({"jsonrpc":"2.0","method":"notify_klippy_ready"})",
      R"({"jsonrpc":"2.0","method":"notify_klippy_shutdown"})",
      R"({"jsonrpc":"2.0","method":"notify_proc_stat_update","params":[{"moonraker_stats":{"time":1795000000.5}}]})"};
  bench.connect();
  for (int round = 0; round < 20'000; ++round) {
    std::string frame = frames[random.next() % frames.size()];
    for (uint64_t changes = random.next() % 4; changes > 0 && !frame.empty(); --changes) {
      const size_t at = random.next() % frame.size();
      switch (random.next() % 4) {
        case 0:
          frame[at] = static_cast<char>(random.next());
          break;
        case 1:
          frame.resize(at);
          break;
        case 2:
          frame.insert(at, frame.substr(at, random.next() % 9));
          break;
        case 3:
          frame.erase(at, random.next() % 9);
          break;
      }
    }
    bench.frame(frame);
    if (random.next() % 50 == 0) bench.pass(std::chrono::milliseconds(random.next() % 1500));
    if (random.next() % 500 == 0) bench.drop();
    if (!bench.link_up) bench.reconnect();
    if (round % 1000 == 0) {
      ASSERT_TRUE(decode_adapter_state(bench.saved_state)) << bench.saved_state;
      bench.forget_events();
    }
  }
  EXPECT_GT(bench.protocol_errors(), 1000);
}

TEST(AdapterStateText, ReadsBackWhatWasWritten) {
  AdapterState state;
  state.name = "n";
  state.kind = "printer";
  state.connected = true;
  state.process_id = 12;
  state.jobs.last_offset = 1.5;
  state.jobs.open = OpenJob{.id = "m.1", .start_us = 1, .filename = "ü \"x\".gcode", .paused = true, .excluded = {"A"}};
  KnownRow& row = state.jobs.known.add(5, "a");
  row.split = row.final_told = true;
  row.ended = schema::JobEvidence::observed;
  row.local_id = "m.e1-2";
  const auto read = decode_adapter_state(encode(state));
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encode(state));
  EXPECT_EQ(read->jobs.open->filename, "ü \"x\".gcode");
  EXPECT_EQ(read->jobs.known.rows().front().local_id, "m.e1-2");
}

TEST(AdapterStateText, StaysBelowItsBound) {
  AdapterState state;
  OpenJob job{.id = "m.1"};
  job.excluded.assign(256, std::string(256, '\x01'));
  state.jobs.open = job;
  for (int i = 0; i < 2000; ++i)
    state.jobs.known.add(1'795'000'000'000'000 + i, "a").local_id = "m.e1795209786041-123456";
  EXPECT_EQ(state.jobs.known.rows().size(), KnownRows::kMaxRows);
  EXPECT_LE(encode(state).size(), kMaxStateBytes);
}

TEST_F(AdapterLink, CorruptOrForeignStateIsBegunAnew) {
  for (const char* text : {"{", "x", "{}", R"({"millrace_adapter":99})", R"({"millrace_adapter":1,"known":[[1]]})",
                           R"({"millrace_adapter":1,"open":{},"known":[]})", "\xff\xfe"}) {
    EXPECT_FALSE(decode_adapter_state(text)) << text;
    AdapterBench other;
    other.start(text);
    other.deliver();
    EXPECT_EQ(other.machine(), (Lines{"MachineRegistered", "MachineConnected", "unknown -> ready"}));
  }
}

}  // namespace
}  // namespace millrace
