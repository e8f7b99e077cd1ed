// SPDX-License-Identifier: Apache-2.0
// Reads that fail, in a time that moves only when told to; then the same through an adapter.
#include "producers/moonraker/retried_reads.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

RpcReply answered() {
  RpcReply reply;
  reply.kind = RpcReply::Kind::kResult;
  return reply;
}
RpcReply error(int64_t code, std::string message = "") {
  RpcReply reply;
  reply.kind = RpcReply::Kind::kError;
  reply.code = code;
  reply.message = std::move(message);
  return reply;
}

class RetriedReadsTest : public ::testing::Test {
 protected:
  void ask(std::optional<std::chrono::seconds> within = {}, bool* wanted = nullptr) {
    MachineRead read;
    read.method = "server.history.list";
    if (within) read.until = clock.monotonic() + *within;
    if (wanted != nullptr) read.wanted = [wanted] { return *wanted; };
    read.done = [this](const RpcReply& reply) { done.push_back(reply); };
    reads.ask(std::move(read));
  }
  // The times of all attempts, seconds since the first, when each of them ends as `next` says.
  std::vector<double> attempts_until_it_ends() {
    while (done.empty()) {
      if (outstanding) {
        std::exchange(outstanding, nullptr)(next);
      } else {
        clock.advance(*reads.next_deadline() - clock.monotonic());
        reads.on_timer();
      }
    }
    return asked_at;
  }
  double now() const { return std::chrono::duration<double>(clock.monotonic() - start).count(); }

  ManualClock clock;
  const MonotonicTime start = clock.monotonic();
  SeededRandom random{5};
  CircuitBreaker breaker{clock};
  std::vector<double> asked_at;
  JsonRpc::Callback outstanding;
  RpcReply next = error(500, "database is locked");
  std::vector<RpcReply> done;
  RetriedReads reads{clock, random, breaker,
                     [this](const std::string&, const std::string&, std::chrono::milliseconds, JsonRpc::Callback back) {
                       asked_at.push_back(now());
                       outstanding = std::move(back);
                     }};
};

TEST_F(RetriedReadsTest, FiveMoreTimesEachPauseTwiceTheOneBeforeAndShifted) {
  ask();
  const std::vector<double> times = attempts_until_it_ends();
  ASSERT_EQ(times.size(), 6u);
  double wanted = 1;
  bool shifted = false;
  for (size_t i = 1; i < times.size(); ++i, wanted *= 2) {
    const double pause = times[i] - times[i - 1];
    EXPECT_GE(pause, wanted * 0.8);
    EXPECT_LE(pause, std::min(wanted * 1.2, 16.0));
    shifted = shifted || std::abs(pause - wanted) > 0.01;
  }
  EXPECT_TRUE(shifted);
  EXPECT_EQ(done.at(0).message, "database is locked");
  EXPECT_FALSE(reads.next_deadline());
}

TEST_F(RetriedReadsTest, AnAnswerEndsIt) {
  ask();
  std::exchange(outstanding, nullptr)(next);
  next = answered();
  EXPECT_EQ(attempts_until_it_ends().size(), 2u);
  EXPECT_TRUE(done.at(0).ok());
}

TEST_F(RetriedReadsTest, WhatWouldComeAgainIsAnAnswer) {
  for (const RpcReply& reply : {error(-32601, "Metadata not available"), error(400), error(-32602, "Unauthorized"),
                                error(503, "Klippy Host not connected")}) {
    done.clear();
    asked_at.clear();
    next = reply;
    ask();
    EXPECT_EQ(attempts_until_it_ends().size(), 1u) << reply.message;
  }
}

TEST_F(RetriedReadsTest, NotLongerThanSomebodyWaits) {
  ask(5s);
  EXPECT_EQ(attempts_until_it_ends().size(), 3u) << "at 0, 1 and 3 s; the next would be at 7 s";
  EXPECT_LE(now(), 5.0);
}

TEST_F(RetriedReadsTest, WhatNobodyWantsAnyMoreIsForgotten) {
  bool wanted = true;
  ask({}, &wanted);
  std::exchange(outstanding, nullptr)(next);
  wanted = false;
  clock.advance(2s);
  reads.on_timer();
  EXPECT_EQ(asked_at.size(), 1u);
  EXPECT_TRUE(done.empty());
  EXPECT_FALSE(reads.next_deadline());
}

TEST_F(RetriedReadsTest, UnansweredOnesOpenTheBreakerAndWaitForIt) {
  next = RpcReply{};  // no answer
  ask();
  const std::vector<double> times = attempts_until_it_ends();
  ASSERT_EQ(times.size(), 6u);
  EXPECT_GE(times[5] - times[4], 60.0) << "after the fifth failure nothing is asked for a minute";
  EXPECT_TRUE(breaker.open());
}

TEST_F(RetriedReadsTest, ThreeAnswersCloseTheBreaker) {
  for (int i = 0; i < 5; ++i) breaker.failed();
  next = answered();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(breaker.open());
    done.clear();
    ask();
    attempts_until_it_ends();
  }
  EXPECT_GE(now(), 60.0);
  EXPECT_FALSE(breaker.open());
}

TEST_F(RetriedReadsTest, AnErrorOfOnePartOfMoonrakerKeepsNothingElseFromIt) {
  ask();
  attempts_until_it_ends();
  EXPECT_FALSE(breaker.open());
}

TEST_F(RetriedReadsTest, WhileTheBreakerRestsNobodyIsKeptWaitingForNothing) {
  for (int i = 0; i < 5; ++i) breaker.failed();
  ask(5s);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_TRUE(asked_at.empty());
  EXPECT_FALSE(done[0].ok());
}

TEST_F(RetriedReadsTest, OnlyOneTriesWhetherItIsWellAgain) {
  for (int i = 0; i < 5; ++i) breaker.failed();
  ask();
  ask();
  clock.advance(60s);
  reads.on_timer();
  EXPECT_EQ(asked_at.size(), 1u);
  ASSERT_TRUE(reads.next_deadline());
  EXPECT_GT(*reads.next_deadline(), clock.monotonic()) << "a deadline of now that no call moves is a busy loop";
}

TEST_F(RetriedReadsTest, TooManyFailAtOnce) {
  for (size_t i = 0; i < RetriedReads::kMaxReads; ++i) ask();
  EXPECT_TRUE(done.empty());
  ask();
  EXPECT_EQ(done.size(), 1u);
}

class AdapterReads : public ::testing::Test {
 protected:
  void live(std::chrono::seconds time) {
    for (int64_t i = 0; i < time.count(); ++i) {
      bench.pass(1s);
      bench.process_statistics();
    }
  }
  auto asked(const std::string& method) { return std::ranges::count(bench.requests, method); }

  AdapterBench bench;
};

TEST_F(AdapterReads, EachOfThemIsAskedAgainWhileMoonrakerFails) {
  bench.components = R"(["spoolman","job_queue","power"])";
  const Lines reads = {"server.history.list",          "printer.objects.query",   "server.spoolman.get_spool_id",
                       "machine.device_power.devices", "server.job_queue.status", "server.files.get_directory"};
  for (const std::string& method : reads) bench.errors[method] = R"({"code":500,"message":"Internal Server Error"})";
  bench.connect();
  live(12s);
  for (const std::string& method : reads) EXPECT_GE(asked(method), 3) << method;
  bench.errors.clear();
  bench.config = R"({"printer":{"kinematics":"corexy"}})";
  bench.spool = "7";
  live(20s);
  EXPECT_EQ(bench.all<schema::PrinterConfigReadT>().size(), 1u);
  EXPECT_EQ(bench.all<schema::SpoolChangedT>().size(), 1u);
  const auto before = bench.requests.size();
  live(60s);
  EXPECT_EQ(bench.requests.size(), before) << "what was answered is not asked again";
}

TEST_F(AdapterReads, AtMostSixTimes) {
  bench.errors["printer.objects.query"] = R"({"code":500,"message":"Internal Server Error"})";
  bench.connect();
  live(300s);
  EXPECT_EQ(asked("printer.objects.query"), 6);
}

TEST_F(AdapterReads, AHandshakeThatFailsIsTriedWithTheSamePauses) {
  bench.errors["printer.objects.subscribe"] = R"({"code":500,"message":"Internal Server Error"})";
  bench.connect();
  live(60s);
  EXPECT_GE(asked("printer.objects.subscribe"), 6);
  EXPECT_LE(asked("printer.objects.subscribe"), 9) << "not twice a second";
  bench.errors.clear();
  live(17s);
  EXPECT_EQ(bench.machine().back(), "starting -> ready");
}

TEST_F(AdapterReads, WhatAnEarlierKlipperWasAskedIsNotAskedAgain) {
  bench.errors["printer.objects.query"] = R"({"code":500,"message":"Internal Server Error"})";
  bench.connect();
  bench.klippy_state = "startup";
  bench.notify("notify_klippy_disconnected");
  const auto before = asked("printer.objects.query");
  live(40s);
  EXPECT_EQ(asked("printer.objects.query"), before);
}

TEST_F(AdapterReads, ACommandIsNeverSentASecondTime) {
  bench.connect();
  for (const std::string error : {R"({"code":500,"message":"Internal Server Error"})", ""}) {
    bench.requests.clear();
    bench.silent["printer.gcode.script"] = error.empty();
    if (!error.empty()) bench.errors["printer.gcode.script"] = error;
    AskedCommand asked_command;
    asked_command.message.id = "c" + error;
    asked_command.message.machine = "m";
    asked_command.message.command = "set_temperature";
    asked_command.message.args = R"({"heater":"extruder","target":0})";
    asked_command.message.recorded = true;
    asked_command.scopes = ScopeSet::all();
    asked_command.received = bench.clock.monotonic();
    bench.adapter().take_command(std::move(asked_command));
    bench.deliver();
    live(120s);
    EXPECT_EQ(asked("printer.gcode.script"), 1);
  }
}

TEST_F(AdapterReads, TheHostsDiskIsTelemetryNowAndThen) {
  bench.answers["server.files.get_directory"] =
      R"({"dirs":[],"files":[],"disk_usage":{"total":30000000000,"used":29000000000,"free":1000000000}})";
  bench.connect();
  live(10s);
  double free = 0, total = 0;
  for (const auto* sample : bench.all<schema::TelemetrySampledT>()) {
    for (const auto& signal : sample->signals) {
      if (signal->object == "host" && signal->field == "disk_free") free = signal->value;
      if (signal->object == "host" && signal->field == "disk_total") total = signal->value;
    }
  }
  EXPECT_EQ(free, 1e9);
  EXPECT_EQ(total, 30e9);
  const auto alarms = [&](const auto& told) {
    return std::ranges::count_if(told, [](const auto* alarm) { return alarm->rule == "host_disk"; });
  };
  EXPECT_EQ(alarms(bench.all<schema::AlarmRaisedT>()), 1);
  EXPECT_EQ(asked("server.files.get_directory"), 1);
  bench.answers["server.files.get_directory"] =
      R"({"dirs":[],"files":[],"disk_usage":{"total":30000000000,"used":1000000000,"free":29000000000}})";
  live(600s);
  EXPECT_EQ(asked("server.files.get_directory"), 2);
  const auto cleared = bench.all<schema::AlarmClearedT>();
  EXPECT_TRUE(std::ranges::any_of(cleared, [](const auto* alarm) { return alarm->alarm_id == "m/host_disk"; }));
}

TEST_F(AdapterReads, AnAbsurdDiskIsNoDisk) {
  for (const char* usage :
       {R"({"total":0,"free":0})", R"({"total":5,"free":6})", R"({"free":6})", "7", R"({"total":5,"free":-1})"}) {
    AdapterBench other;
    other.answers["server.files.get_directory"] = std::string(R"({"disk_usage":)") + usage + "}";
    other.connect();
    for (int i = 0; i < 10; ++i) {
      other.pass(1s);
      other.process_statistics();
    }
    for (const auto* sample : other.all<schema::TelemetrySampledT>()) {
      for (const auto& signal : sample->signals) EXPECT_FALSE(signal->field.starts_with("disk")) << usage;
    }
  }
}

}  // namespace
}  // namespace millrace
