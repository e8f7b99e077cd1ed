// SPDX-License-Identifier: Apache-2.0
// The decision table of jobs, row by row, through the whole adapter.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

class JobTable : public ::testing::Test {
 protected:
  JobTable() { bench.connect(); }

  static std::string state(const std::string& word, double total) {
    return fmt::format(R"({{"print_stats":{{"state":"{}","total_duration":{}}}}})", word, total);
  }
  // Begins a print of `file` whose row starts now.
  RowText begin(const std::string& file = "a.gcode", bool row = true) {
    bench.update(fmt::format(R"({{"print_stats":{{"state":"printing","filename":"{}","total_duration":0.1}}}})", file));
    RowText text{.start = bench.machine_now(), .filename = file, .total = 0.1};
    id = fmt::format("m.{:.0f}", text.start * 1e6);
    if (row) {
      bench.history.insert(bench.history.begin(), text.json("in_progress"));
      bench.added(text.json("in_progress"));
    }
    return text;
  }
  // Prints on up to `total` seconds of total_duration.
  void print_to(double total) {
    bench.update(fmt::format(R"({{"print_stats":{{"total_duration":{}}}}})", total), total - last_);
    last_ = total;
  }
  void end_row(RowText& row, const std::string& status, double total, bool tell = true) {
    row.total = total;
    row.end = bench.machine_now();
    bench.history.front() = row.json(status);
    if (tell) bench.finished(row.json(status));
  }
  void klipper(const std::string& state, const std::string& message) {
    bench.update(fmt::format(R"({{"webhooks":{{"state":"{}","state_message":"{}"}}}})", state, message));
  }
  // Klipper is gone, and back after two seconds with that process.
  void restart_klipper(int64_t process_id, bool tell_ready = true) {
    bench.klippy_state = "disconnected";
    bench.notify("notify_klippy_disconnected");
    bench.pass(1s);
    come_back(process_id, tell_ready);
  }
  void come_back(int64_t process_id, bool tell_ready = true) {
    bench.process_id = process_id;
    bench.klippy_state = "ready";
    bench.status["webhooks"]["state"] = R"("ready")";
    stand_by();
    if (tell_ready) bench.notify("notify_klippy_ready");
    bench.pass(1s);
  }
  void stand_by() {
    bench.status["print_stats"]["state"] = R"("standby")";
    bench.status["print_stats"]["filename"] = R"("")";
    bench.status["print_stats"]["total_duration"] = "0.0";
  }
  // The printer goes on while nobody looks.
  void unseen(const std::string& word, double total, double seconds) {
    bench.status["print_stats"]["state"] = "\"" + word + "\"";
    bench.status["print_stats"]["total_duration"] = fmt::format("{}", total);
    bench.eventtime += seconds;
  }
  std::string local(uint64_t back = 1) const { return fmt::format("m.e{}-{}", bench.epoch, bench.sequence - back); }
  Lines jobs() const { return bench.jobs(); }
  const schema::JobFinishedT& end() const { return *bench.all<schema::JobFinishedT>().back(); }

  AdapterBench bench;
  std::string id;

 private:
  double last_ = 0.1;
};

TEST_F(JobTable, L1StartTakesTheRowAndItsFileName) {
  begin();
  EXPECT_EQ(jobs(), (Lines{"JobStarted " + id + " a.gcode live"}));
  const auto& started = *bench.all<schema::JobStartedT>().back();
  EXPECT_EQ(started.moonraker_job_id, "000001");
  EXPECT_EQ(started.user, "someone");
  EXPECT_EQ(started.metadata_json, R"({"size":5})");
  EXPECT_TRUE(started.skew_ms.has_value());
  EXPECT_EQ(to_unix_us(bench.events.back().occurred_at), started.start_us);
  EXPECT_NE(started.start_us, 0);
}

TEST_F(JobTable, L1ReprintWithoutFileNameInTheDeltaIsASecondJob) {
  RowText first = begin();
  bench.update(state("complete", 50), 50);
  end_row(first, "completed", 50);
  bench.forget_events();
  bench.update(R"({"print_stats":{"state":"printing"}})");
  RowText second{.start = bench.machine_now(), .filename = "a.gcode", .id = "000001"};
  bench.added(second.json("in_progress"));
  EXPECT_EQ(jobs(), (Lines{fmt::format("JobStarted m.{:.0f} a.gcode live", second.start * 1e6)}));
}

TEST_F(JobTable, L2StartWithoutARowGetsALocalId) {
  begin("a.gcode", false);
  EXPECT_TRUE(jobs().empty());
  bench.pass(1001ms);
  ASSERT_EQ(jobs().size(), 1u);
  EXPECT_TRUE(jobs()[0].starts_with("JobStarted m.e7-")) << jobs()[0];
}

TEST_F(JobTable, L2RowThatWasNotToldIsFoundAndLinked) {
  RowText row = begin("a.gcode", false);
  bench.history.insert(bench.history.begin(), row.json("in_progress"));
  bench.pass(1001ms);
  ASSERT_EQ(jobs().size(), 2u);
  const std::string job = bench.all<schema::JobStartedT>()[0]->job_id;
  EXPECT_EQ(jobs()[1], fmt::format("JobIdentified {} {:.0f}", job, row.start * 1e6));
  bench.update(state("complete", 9), 9);
  end_row(row, "completed", 9);
  EXPECT_EQ(jobs().back(), "JobFinished " + job + " completed - rank 2 9.00");
}

TEST_F(JobTable, L2LateAddedIsLinkedToo) {
  RowText row = begin("a.gcode", false);
  bench.pass(1001ms);
  bench.added(row.json("in_progress"));
  EXPECT_TRUE(jobs().back().starts_with("JobIdentified "));
}

TEST_F(JobTable, L3PrintShorterThanAPollComesFromItsRows) {
  RowText row{.start = bench.machine_now(), .filename = "short.gcode", .total = 0.2};
  bench.update(R"({"print_stats":{"state":"complete","filename":"short.gcode"}})");
  bench.added(row.json("in_progress"));
  bench.finished(row.json("completed"));
  const std::string job = fmt::format("m.{:.0f}", row.start * 1e6);
  EXPECT_EQ(jobs(),
            (Lines{"JobStarted " + job + " short.gcode live", "JobFinished " + job + " completed - rank 2 0.20"}));
}

TEST_F(JobTable, L3RowAheadOfItsStatusStartsOneJobOnly) {
  RowText row{.start = bench.machine_now(), .filename = "a.gcode"};
  bench.added(row.json("in_progress"));
  bench.update(R"({"print_stats":{"state":"printing","filename":"a.gcode","total_duration":0.2}})");
  bench.pass(2s);
  EXPECT_EQ(jobs().size(), 1u);
}

TEST_F(JobTable, L4AndL5PauseAndResume) {
  begin();
  print_to(10);
  bench.update(state("paused", 10.25));
  bench.update(state("printing", 18), 8);
  EXPECT_EQ(jobs()[1], "JobPaused " + id + " unknown");
  EXPECT_EQ(jobs()[2], "JobResumed " + id);
}

TEST_F(JobTable, L4RunoutWithinFiveSecondsIsTheCause) {
  bench.status["filament_switch_sensor spool"] = {{"filament_detected", "true"}, {"enabled", "true"}};
  bench.notify("notify_klippy_ready");
  begin();
  bench.update(R"({"filament_switch_sensor spool":{"filament_detected":false}})", 5);
  bench.update(state("paused", 10), 4.5);
  EXPECT_EQ(jobs().back(), "JobPaused " + id + " filament_runout");
}

TEST_F(JobTable, L4RunoutLongAgoIsNotTheCause) {
  bench.status["filament_switch_sensor spool"] = {{"filament_detected", "true"}, {"enabled", "true"}};
  bench.notify("notify_klippy_ready");
  begin();
  bench.update(R"({"filament_switch_sensor spool":{"filament_detected":false}})", 5);
  bench.update(state("paused", 10), 5.5);
  EXPECT_EQ(jobs().back(), "JobPaused " + id + " unknown");
}

TEST_F(JobTable, L4SensorThatWasEmptyAllAlongIsNotTheCause) {
  bench.status["filament_switch_sensor spool"] = {{"filament_detected", "false"}, {"enabled", "false"}};
  bench.notify("notify_klippy_ready");
  begin();
  bench.update(state("paused", 1), 1);
  EXPECT_EQ(jobs().back(), "JobPaused " + id + " unknown");
}

TEST_F(JobTable, L6NewPrintWhilePausedEndsTheOldOne) {
  RowText old = begin();
  const std::string old_id = id;
  print_to(20);
  bench.update(state("paused", 20.25));
  bench.forget_events();
  bench.update(R"({"print_stats":{"state":"printing","filename":"b.gcode","total_duration":0.1}})");
  RowText next{.start = bench.machine_now(), .filename = "b.gcode", .id = "000002"};
  EXPECT_TRUE(jobs().empty());
  old.total = 20.2;
  bench.finished(old.json("cancelled"));
  bench.added(next.json("in_progress"));
  EXPECT_EQ(jobs(), (Lines{"JobFinished " + old_id + " cancelled replaced rank 2 20.20",
                           fmt::format("JobStarted m.{:.0f} b.gcode live", next.start * 1e6)}));
}

TEST_F(JobTable, L6SameFileWithFallenDurationIsANewPrint) {
  begin();
  print_to(20);
  bench.update(state("paused", 20));
  bench.update(state("printing", 0.1));
  bench.pass(1001ms);
  const auto lines = jobs();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[2], "JobFinished " + id + " cancelled replaced rank 1 20.00");
  EXPECT_TRUE(lines[3].starts_with("JobStarted m.e7-"));
}

TEST_F(JobTable, L7RestartInsideAPollSplitsTheRow) {
  RowText row = begin();
  const std::string old_id = id;
  print_to(30);
  bench.forget_events();
  bench.update(R"({"print_stats":{"total_duration":0.2}})");
  ASSERT_EQ(jobs().size(), 2u);
  EXPECT_EQ(jobs()[0], "JobFinished " + old_id + " cancelled replaced rank 3 30.00");
  const std::string fresh = bench.all<schema::JobStartedT>().back()->job_id;
  EXPECT_TRUE(fresh.starts_with("m.e7-"));
  bench.update(state("complete", 40), 40);
  end_row(row, "completed", 40);
  bench.pass(1001ms);
  ASSERT_EQ(jobs().size(), 3u);
  EXPECT_EQ(jobs()[2], "JobFinished " + fresh + " completed - rank 2 40.00");
  bench.drop();
  bench.reconnect();
  bench.pass(1s);
  EXPECT_EQ(jobs().size(), 3u) << "the split row must not end anything later either";
}

TEST_F(JobTable, L8EndTakesTheNumbersOfTheRow) {
  RowText row = begin();
  print_to(63);
  bench.update(state("cancelled", 64.02), 1);
  EXPECT_EQ(jobs().size(), 1u) << "held for the row";
  end_row(row, "cancelled", 63.85);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " cancelled - rank 2 63.85");
  EXPECT_EQ(end().row_status, "cancelled");
  EXPECT_NE(end().end_us, 0);
}

TEST_F(JobTable, L9RowAloneEndsTheJob) {
  RowText row = begin();
  print_to(5);
  end_row(row, "completed", 5.1);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " completed - rank 2 5.10");
}

TEST_F(JobTable, L10ResetToStandbyTakesTheNumbersOfTheRow) {
  RowText row = begin();
  print_to(33);
  bench.update(R"({"print_stats":{"state":"standby","filename":"","total_duration":0.0}})");
  end_row(row, "cancelled", 33.28);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " cancelled - rank 2 33.28");
}

TEST_F(JobTable, L11WithoutARowTheStatusDecides) {
  begin();
  print_to(33);
  bench.update(state("complete", 34));
  bench.pass(1001ms);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " completed - rank 3 34.00");
}

TEST_F(JobTable, L11ResetKeepsTheLastNumbersAndMayBeCorrected) {
  RowText row = begin();
  print_to(33);
  bench.update(R"({"print_stats":{"state":"standby","filename":"","total_duration":0.0}})");
  bench.pass(1001ms);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " cancelled - rank 1 33.00");
  end_row(row, "completed", 33.2);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " completed - rank 2 33.20");
}

TEST_F(JobTable, L12AndL13AndL18AreNoEvents) {
  bench.update(R"({"print_stats":{"state":"complete"}})");
  bench.update(R"({"print_stats":{"state":"standby"}})");
  bench.update(R"({"pause_resume":{"is_paused":true},"idle_timeout":{"state":"Printing"}})");
  bench.notify("notify_gcode_response", R"("!! Print cancelled")");
  bench.notify("notify_job_queue_changed", R"({"action":"jobs_added","updated_queue":[],"queue_state":"ready"})");
  bench.pass(2s);
  EXPECT_TRUE(jobs().empty());
}

TEST_F(JobTable, L14OldResultInTheFirstSnapshotIsNoEvent) {
  AdapterBench other;
  other.status["print_stats"]["state"] = R"("complete")";
  other.status["print_stats"]["filename"] = R"("old.gcode")";
  other.connect();
  other.pass(2s);
  EXPECT_TRUE(other.jobs().empty());
}

TEST_F(JobTable, L15FinishOfAnotherPrintLeavesTheOpenOneAlone) {
  begin();
  RowText other{.start = bench.machine_now() - 5000, .filename = "x.gcode", .total = 7, .id = "000009"};
  bench.finished(other.json("completed"));
  const std::string other_id = fmt::format("m.{:.0f}", other.start * 1e6);
  EXPECT_EQ(jobs()[1], "JobStarted " + other_id + " x.gcode live");
  EXPECT_EQ(jobs()[2], "JobFinished " + other_id + " completed - rank 2 7.00");
  bench.update(state("paused", 5));
  EXPECT_EQ(jobs().back(), "JobPaused " + id + " unknown");
}

TEST_F(JobTable, L16AddedWhileAJobIsOpenReplacesIt) {
  begin();
  print_to(12);
  RowText next{.start = bench.machine_now(), .filename = "b.gcode", .id = "000002"};
  bench.added(next.json("in_progress"));
  EXPECT_EQ(jobs()[1], "JobFinished " + id + " cancelled replaced rank 1 12.00");
  EXPECT_EQ(jobs()[2], fmt::format("JobStarted m.{:.0f} b.gcode live", next.start * 1e6));
}

TEST_F(JobTable, L17ExclusionIsToldAndChangesNoOutcome) {
  bench.status["exclude_object"] = {{"objects", R"([{"name":"A"},{"name":"B"}])"}, {"excluded_objects", "[]"}};
  bench.notify("notify_klippy_ready");
  begin();
  bench.update(R"({"exclude_object":{"excluded_objects":["A"]}})");
  bench.update(R"({"exclude_object":{"excluded_objects":["A","B"]}})");
  EXPECT_EQ(jobs()[1], "JobObjectExcluded " + id + " A 1/2");
  EXPECT_EQ(jobs()[2], "JobObjectExcluded " + id + " B 2/2");
}

TEST_F(JobTable, L19ProgressAtMostOnceInTenSecondsOfEventtime) {
  begin();
  bench.forget_events();
  for (int i = 1; i <= 60; ++i) {
    bench.update(
        fmt::format(R"({{"virtual_sdcard":{{"progress":{}}},"print_stats":{{"total_duration":{}}}}})", i * 0.01, i), 1);
  }
  EXPECT_EQ(bench.all<schema::JobProgressedT>().size(), 6u);
}

TEST_F(JobTable, L19NewLayerIsProgress) {
  begin();
  bench.update(R"({"print_stats":{"info":{"total_layer":50,"current_layer":3}}})");
  const auto progressed = bench.all<schema::JobProgressedT>();
  ASSERT_EQ(progressed.size(), 1u);
  EXPECT_EQ(progressed[0]->layer, 3);
  EXPECT_EQ(progressed[0]->total_layers, 50);
}

// M112: webhooks and "paused" in one update.
TEST_F(JobTable, K1ShutdownAndPausedInOneUpdateIsOneFailure) {
  RowText row = begin();
  print_to(8);
  bench.update(R"({"webhooks":{"state":"shutdown","state_message":"Shutdown due to M112 command"},)"
               R"("print_stats":{"state":"paused"}})");
  bench.notify("notify_klippy_shutdown");
  end_row(row, "klippy_shutdown", 8.1);
  bench.update(R"({"print_stats":{"message":"x"}})", 2);
  EXPECT_EQ(jobs(), (Lines{jobs()[0], "JobFinished " + id + " failed m112 rank 2 8.10"}));
  EXPECT_EQ(end().text, "Shutdown due to M112 command");
}

struct Fault {
  std::string message;
  std::string cause;
};

TEST_F(JobTable, K1OtherOrdersOfTheSameShutdownAreOneFailure) {
  const std::vector<Fault> faults = {{"Shutdown due to webhooks request", "emergency_stop"},
                                     {"ADC out of range", "sensor_fault"},
                                     {"Heater extruder not heating at expected rate", "heater_fault"},
                                     {"Lost communication with MCU 'mcu'", "mcu_lost"},
                                     {"MCU 'mcu' shutdown: Timer too close", "timing"},
                                     {"something else", "klipper_error"}};
  for (const Fault& fault : faults) {
    for (int order = 0; order < 6; ++order) {
      RowText row = begin();
      bench.forget_events();
      print_to(row.total + 5);
      std::vector<int> steps = {0, 1, 2};
      for (int i = 0; i < order; ++i) std::next_permutation(steps.begin(), steps.end());
      for (const int step : steps) {
        if (step == 0) klipper("shutdown", fault.message);
        if (step == 1) bench.notify("notify_klippy_shutdown");
        if (step == 2) end_row(row, "klippy_shutdown", 5);
      }
      bench.update(R"({"print_stats":{"state":"paused"}})", 0.5);
      const auto ends = bench.all<schema::JobFinishedT>();
      ASSERT_EQ(ends.size(), 1u) << fault.message << " in order " << order;
      EXPECT_EQ(ends[0]->cause, fault.cause) << order;
      EXPECT_EQ(ends[0]->text, fault.message) << order;
      EXPECT_TRUE(bench.all<schema::JobPausedT>().empty());
      restart_klipper(100);
    }
  }
}

TEST_F(JobTable, K1WithoutARowIsSeenAllTheSame) {
  begin();
  print_to(8);
  klipper("shutdown", "ADC out of range");
  bench.pass(1001ms);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " failed sensor_fault rank 3 8.00");
}

TEST_F(JobTable, K1ShutdownThatEndsInErrorInsideABlockingCommand) {
  RowText row = begin();
  klipper("shutdown", "Stepper too far in past");
  end_row(row, "klippy_shutdown", 1);
  bench.update(R"({"print_stats":{"state":"error","message":"Homing failed due to printer shutdown"}})", 0.5);
  bench.pass(2s);
  EXPECT_EQ(bench.all<schema::JobFinishedT>().size(), 1u);
  EXPECT_EQ(end().cause, "timing");
}

TEST_F(JobTable, K2RestartOfKlipperInterrupts) {
  RowText row = begin();
  print_to(8);
  bench.klippy_state = "disconnected";
  bench.notify("notify_klippy_disconnected");
  end_row(row, "klippy_disconnect", 8);
  bench.pass(1s);
  EXPECT_EQ(jobs().size(), 1u) << "held for the process id";
  come_back(100);
  EXPECT_EQ(jobs(), (Lines{jobs()[0], "JobFinished " + id + " interrupted klipper_restarted rank 2 8.00"}));
}

TEST_F(JobTable, K2OtherProcessMeansThatKlipperDied) {
  begin();
  restart_klipper(32354);
  EXPECT_EQ(end().cause, "klipper_died");
  EXPECT_EQ(bench.all<schema::FirmwareRestartedT>().back()->previous_process_id, 100);
}

TEST_F(JobTable, K2WaitsThirtySecondsAtMost) {
  begin();
  bench.klippy_state = "disconnected";
  bench.notify("notify_klippy_disconnected");
  for (int i = 0; i < 29; ++i) {
    bench.pass(1s);
    bench.process_statistics();
  }
  EXPECT_EQ(jobs().size(), 1u);
  bench.process_statistics();
  bench.pass(1100ms);
  EXPECT_EQ(end().cause, "klipper_away");
  come_back(100);
  EXPECT_EQ(jobs().size(), 2u);
}

TEST_F(JobTable, K3ShutdownThenDisconnectIsOneEnd) {
  RowText row = begin();
  klipper("shutdown", "Shutdown due to webhooks request");
  end_row(row, "klippy_shutdown", 1);
  restart_klipper(100);
  EXPECT_EQ(bench.all<schema::JobFinishedT>().size(), 1u);
}

TEST_F(JobTable, K4BackInStandbyIsNoJobEvent) {
  restart_klipper(100);
  EXPECT_TRUE(jobs().empty());
}

TEST_F(JobTable, K5ServerExitFinishesNothing) {
  RowText row = begin();
  print_to(8);
  end_row(row, "server_exit", 8);
  bench.drop("closed", 1001);
  EXPECT_EQ(jobs().size(), 1u);
  EXPECT_EQ(bench.machine().back(), "printing -> offline");
}

TEST_F(JobTable, K8NoTimerEndsAJob) {
  begin();
  bench.reachable = false;
  bench.drop("reset");
  bench.pass(3h);
  EXPECT_EQ(jobs().size(), 1u);
}

TEST_F(JobTable, K10GcodeErrorWhileKlipperIsReady) {
  RowText row = begin();
  bench.update(R"({"print_stats":{"state":"error","message":"Move out of range"}})");
  end_row(row, "error", 3);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " failed gcode_error rank 2 3.00");
  EXPECT_EQ(end().text, "Move out of range");
}

TEST_F(JobTable, R1KnownPrintGoesOnWithoutAnEvent) {
  begin();
  print_to(8);
  bench.drop();
  bench.reconnect();
  EXPECT_EQ(jobs().size(), 1u);
}

TEST_F(JobTable, R1LatePauseAndResume) {
  begin();
  print_to(8);
  bench.drop();
  unseen("paused", 12, 4);
  bench.reconnect();
  EXPECT_EQ(jobs().back(), "JobPaused " + id + " unknown late");
  bench.drop();
  unseen("printing", 20, 8);
  bench.reconnect();
  EXPECT_EQ(jobs().back(), "JobResumed " + id + " late");
}

TEST_F(JobTable, R1PrintThatIsNewToUsStarts) {
  AdapterBench other;
  RowText row{.start = other.machine_now() - 60, .filename = "a.gcode", .total = 60};
  other.status["print_stats"] = {{"state", R"("printing")"}, {"filename", R"("a.gcode")"}, {"total_duration", "60"}};
  other.history = {row.json("in_progress")};
  other.connect();
  EXPECT_EQ(other.jobs(), (Lines{fmt::format("JobStarted m.{:.0f} a.gcode history", row.start * 1e6)}));
}

TEST_F(JobTable, R2PrintOutlivesMoonraker) {
  RowText row = begin();
  print_to(8);
  end_row(row, "server_exit", 8);
  bench.drop("closed", 1001);
  unseen("printing", 13, 5);
  bench.reconnect();
  bench.update(state("complete", 60), 47);
  bench.pass(1001ms);
  EXPECT_EQ(jobs(), (Lines{jobs()[0], "JobFinished " + id + " completed - rank 3 60.00"}));
  bench.drop();
  bench.reconnect();
  bench.pass(1s);
  EXPECT_EQ(jobs().size(), 2u) << "a later back-fill must not interrupt it";
}

// SIGKILL of Moonraker: the row is stale and has no end.
TEST_F(JobTable, R2StateWasLostToo) {
  RowText row = begin();
  print_to(8);
  row.total = 0.2;
  bench.history.front() = row.json("interrupted");
  bench.forget_events();
  unseen("printing", 13, 5);
  bench.restart(false);
  EXPECT_TRUE(jobs().empty()) << "the machine's clock is not known yet";
  bench.process_statistics();
  EXPECT_EQ(jobs(), (Lines{"JobStarted " + id + " a.gcode history"}));
  bench.update(state("complete", 60), 47);
  bench.pass(1001ms);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " completed - rank 3 60.00");
}

TEST_F(JobTable, R2OldRowOfTheSameFileIsAnotherPrint) {
  AdapterBench other;
  RowText row{.start = other.machine_now() - 500, .filename = "a.gcode", .total = 5};
  other.status["print_stats"] = {{"state", R"("printing")"}, {"filename", R"("a.gcode")"}, {"total_duration", "60"}};
  other.history = {row.json("server_exit")};
  other.connect();
  other.pass(1001ms);
  const std::string old = fmt::format("m.{:.0f}", row.start * 1e6);
  ASSERT_EQ(other.jobs().size(), 3u);
  EXPECT_EQ(other.jobs()[0], "JobStarted " + old + " a.gcode history");
  EXPECT_EQ(other.jobs()[1], "JobFinished " + old + " interrupted not_observed rank 1 5.00");
  EXPECT_TRUE(other.jobs()[2].starts_with("JobStarted m.e7-"));
}

TEST_F(JobTable, R2PrintersClockJumpedWhileAway) {
  RowText row = begin();
  print_to(8);
  end_row(row, "server_exit", 8);
  bench.drop("closed", 1001);
  bench.wall_minus_eventtime += 3600;
  unseen("printing", 13, 5);
  bench.reconnect();
  bench.pass(1s);
  EXPECT_EQ(jobs().size(), 1u);
}

TEST_F(JobTable, R3OtherFileEndsTheOpenJob) {
  begin();
  print_to(30);
  bench.drop();
  bench.history.clear();
  bench.status["print_stats"]["filename"] = R"("b.gcode")";
  unseen("printing", 3, 60);
  bench.reconnect();
  bench.pass(1001ms);
  EXPECT_EQ(jobs()[1], "JobFinished " + id + " interrupted unknown rank 1 30.00 late");
  EXPECT_TRUE(jobs()[2].starts_with("JobStarted m.e7-"));
}

TEST_F(JobTable, R3FallenDurationIsAnotherPrintOfTheSameFile) {
  begin();
  print_to(30);
  bench.drop();
  bench.history.clear();
  unseen("printing", 3, 60);
  bench.reconnect();
  bench.pass(1001ms);
  EXPECT_EQ(jobs()[1], "JobFinished " + id + " interrupted unknown rank 1 30.00 late");
  EXPECT_EQ(jobs().size(), 3u);
}

TEST_F(JobTable, R4ResultFromTheRowThatWasMissed) {
  RowText row = begin();
  bench.drop();
  end_row(row, "completed", 55, false);
  unseen("complete", 55, 60);
  bench.reconnect();
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " completed - rank 2 55.00 late");
}

TEST_F(JobTable, R5ResultFromTheStatusWhereTheRowKnowsNothing) {
  RowText row = begin();
  print_to(10);
  end_row(row, "server_exit", 10);
  bench.drop("closed", 1001);
  unseen("complete", 55, 60);
  bench.reconnect();
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " completed - rank 3 55.00 late");
  EXPECT_EQ(end().end_us, 0);
  EXPECT_NE(end().last_observed_us, 0);
}

TEST_F(JobTable, R6ResetAfterAConclusiveRow) {
  RowText row = begin();
  bench.drop();
  end_row(row, "cancelled", 20, false);
  stand_by();
  bench.reconnect();
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " cancelled - rank 2 20.00 late");
}

TEST_F(JobTable, R7NobodyKnowsTheEnd) {
  RowText row = begin();
  end_row(row, "server_exit", 2);
  bench.drop("closed", 1001);
  stand_by();
  bench.eventtime += 60;
  bench.reconnect();
  EXPECT_EQ(end().cause, "not_observed");
  EXPECT_EQ(end().evidence, schema::JobEvidence::inconclusive);
  EXPECT_EQ(end().end_us, 0);
  EXPECT_NE(end().last_observed_us, 0);
}

TEST_F(JobTable, R7OtherProcessMeansThatKlipperDied) {
  RowText row = begin();
  end_row(row, "server_exit", 2);
  bench.drop("closed", 1001);
  stand_by();
  bench.process_id = 999;
  bench.eventtime += 60;
  bench.reconnect();
  EXPECT_EQ(end().cause, "klipper_died");
}

TEST_F(JobTable, R7SmallerEventtimeMeansThatTheHostWasRestarted) {
  RowText row = begin();
  end_row(row, "interrupted", 2, false);
  bench.drop("reset");
  stand_by();
  bench.process_id = 999;
  bench.wall_minus_eventtime += 900;
  bench.eventtime = 100;
  bench.reconnect();
  EXPECT_EQ(end().cause, "host_restarted");
}

TEST_F(JobTable, R8WaitsUntilKlipperIsReady) {
  RowText row = begin();
  end_row(row, "interrupted", 2, false);
  bench.drop("reset");
  stand_by();
  bench.klippy_state = "error";
  bench.status["webhooks"]["state"] = R"("error")";
  bench.reconnect();
  EXPECT_EQ(jobs().size(), 1u);
  restart_klipper(100);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " interrupted not_observed rank 1 0.10 late");
}

TEST_F(JobTable, R8ConclusiveRowCountsAtOnce) {
  RowText row = begin();
  bench.drop("reset");
  end_row(row, "klippy_shutdown", 2, false);
  bench.klippy_state = "shutdown";
  bench.status["webhooks"] = {{"state", R"("shutdown")"}, {"state_message", R"("ADC out of range")"}};
  bench.reconnect();
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " failed sensor_fault rank 2 2.00 late");
}

TEST_F(JobTable, R9KnownRowsAreNotToldAgain) {
  RowText row = begin();
  bench.update(state("complete", 5));
  end_row(row, "completed", 5);
  const size_t told = jobs().size();
  for (int i = 0; i < 3; ++i) {
    bench.drop();
    bench.reconnect();
    bench.pass(1s);
  }
  EXPECT_EQ(jobs().size(), told);
}

TEST_F(JobTable, HistoryIsReadToTheEndOldestFirst) {
  AdapterBench other;
  for (int i = 0; i < 120; ++i) {
    RowText row{.start = 1'790'000'000.0 + 100 * i,
                .filename = fmt::format("{}.gcode", i),
                .total = 10,
                .id = fmt::format("{:06X}", i)};
    other.history.insert(other.history.begin(), row.json(i == 7 ? "interrupted" : "completed"));
  }
  other.connect();
  other.pass(1s);
  const auto started = other.all<schema::JobStartedT>();
  ASSERT_EQ(started.size(), 120u);
  EXPECT_EQ(started.front()->filename, "0.gcode");
  EXPECT_EQ(started.back()->filename, "119.gcode");
  EXPECT_EQ(other.all<schema::JobFinishedT>().size(), 120u);
  other.forget_events();
  other.requests.clear();
  other.drop();
  other.reconnect();
  other.pass(1s);
  EXPECT_TRUE(other.jobs().empty());
  EXPECT_EQ(std::ranges::count(other.requests, "server.history.list"), 1) << "the first page holds nothing new";
}

TEST_F(JobTable, RowWrittenUnderASlowClockIsNotMissed) {
  RowText slow{.start = 1000, .filename = "slow.gcode", .total = 5};
  bench.drop();
  bench.history.insert(bench.history.begin(), slow.json("completed"));
  bench.reconnect();
  bench.pass(1s);
  EXPECT_EQ(jobs(),
            (Lines{"JobStarted m.1000000000 slow.gcode history", "JobFinished m.1000000000 completed - rank 2 5.00"}));
}

TEST_F(JobTable, SameKeyWithAnotherFileIsASecondPrint) {
  RowText first{.start = 1000, .filename = "a.gcode", .total = 5};
  RowText second{.start = 1000, .filename = "b.gcode", .total = 6, .id = "000002"};
  RowText renumbered{.start = 1000, .filename = "a.gcode", .total = 5, .id = "0000FF"};
  for (const RowText* row : {&first, &second, &renumbered}) bench.finished(row->json("completed"));
  EXPECT_EQ(jobs(),
            (Lines{"JobStarted m.1000000000 a.gcode live", "JobFinished m.1000000000 completed - rank 2 5.00",
                   "JobStarted m.1000000000-2 b.gcode live", "JobFinished m.1000000000-2 completed - rank 2 6.00"}));
}

TEST_F(JobTable, InconclusiveRowIsCorrectedByALaterConclusiveOne) {
  RowText row{.start = 1000, .filename = "a.gcode", .total = 5};
  bench.finished(row.json("interrupted"));
  bench.finished(row.json("interrupted"));
  bench.finished(row.json("completed"));
  bench.finished(row.json("completed"));
  EXPECT_EQ(jobs().size(), 3u);
  EXPECT_EQ(jobs().back(), "JobFinished m.1000000000 completed - rank 2 5.00");
}

TEST_F(JobTable, AbsurdNumbersAreNullAndTheRowIsKept) {
  bench.finished(R"({"job_id":"1","filename":"a","status":"completed","start_time":1000,"total_duration":-5,)"
                 R"("print_duration":1e300,"filament_used":"x"})");
  const auto& finished = end();
  EXPECT_FALSE(finished.total_duration || finished.print_duration || finished.filament_used);
  EXPECT_NE(finished.auxiliary_json.find("1e+300"), std::string::npos) << finished.auxiliary_json;
  EXPECT_EQ(bench.protocol_errors(), 1);
}

TEST_F(JobTable, UnknownStatusIsAFailureWithItsTextKept) {
  RowText row{.start = 1000, .filename = "a.gcode", .total = 5};
  bench.finished(row.json("melted"));
  EXPECT_EQ(end().outcome, schema::JobOutcome::failed);
  EXPECT_EQ(end().row_status, "melted");
}

TEST_F(JobTable, AdapterRestartInMidPrintWithItsState) {
  begin();
  print_to(8);
  bench.forget_events();
  unseen("printing", 20, 12);
  bench.restart(true);
  bench.process_statistics();
  bench.pass(1001ms);
  EXPECT_TRUE(jobs().empty());
}

TEST_F(JobTable, AdapterRestartInMidPrintWithoutItsState) {
  begin();
  print_to(8);
  bench.forget_events();
  unseen("printing", 20, 12);
  bench.restart(false);
  bench.process_statistics();
  EXPECT_EQ(jobs(), (Lines{"JobStarted " + id + " a.gcode history"})) << "the same id, so it is evidence";
}

TEST_F(JobTable, AdapterRestartBetweenDisconnectAndReturnOfKlipper) {
  RowText row = begin();
  bench.klippy_state = "disconnected";
  bench.notify("notify_klippy_disconnected");
  end_row(row, "klippy_disconnect", 3);
  bench.forget_events();
  bench.klippy_state = "ready";
  bench.process_id = 555;
  stand_by();
  bench.restart(true);
  EXPECT_EQ(jobs(), (Lines{"JobFinished " + id + " interrupted klipper_died rank 2 3.00 late"}));
}

TEST_F(JobTable, HistoryThatFailsDoesNotBlockTheLivePart) {
  AdapterBench other;
  other.errors["server.history.list"] = R"({"code":500,"message":"broken"})";
  other.connect();
  other.update(R"({"print_stats":{"state":"printing","filename":"a.gcode","total_duration":0.1}})");
  RowText row{.start = other.machine_now(), .filename = "a.gcode", .total = 3};
  other.added(row.json("in_progress"));
  EXPECT_EQ(other.jobs().size(), 1u);
  RowText old{.start = 1000, .filename = "old.gcode", .total = 3};
  other.history = {old.json("completed")};
  other.errors.clear();
  other.pass(3s);
  EXPECT_EQ(other.jobs().back(), "JobFinished m.1000000000 completed - rank 2 3.00");
}

TEST_F(JobTable, HistoryThatFailsLeavesAMissedEndOpenUntilItCanBeRead) {
  RowText row = begin();
  bench.drop();
  stand_by();
  bench.errors["server.history.list"] = R"({"code":500,"message":"broken"})";
  bench.reconnect();
  EXPECT_EQ(jobs().size(), 1u);
  end_row(row, "completed", 9, false);
  bench.errors.clear();
  bench.pass(3s);
  EXPECT_EQ(jobs().back(), "JobFinished " + id + " completed - rank 2 9.00 late");
}

TEST_F(JobTable, WithoutAHistoryComponentJobsAreLocal) {
  AdapterBench other;
  other.errors["server.history.list"] = R"({"code":-32601,"message":"Method not found"})";
  other.connect();
  other.update(R"({"print_stats":{"state":"printing","filename":"a.gcode","total_duration":0.1}})");
  other.pass(1001ms);
  other.update(R"({"print_stats":{"state":"complete","total_duration":9}})", 9);
  other.pass(1001ms);
  ASSERT_EQ(other.jobs().size(), 2u);
  const std::string job = other.all<schema::JobStartedT>()[0]->job_id;
  EXPECT_EQ(other.jobs()[1], "JobFinished " + job + " completed - rank 2 9.00");
}

TEST_F(JobTable, LinkLostInsideAHoldGoesOnWithoutTheRowAndIsLinkedLater) {
  RowText row = begin("a.gcode", false);
  bench.history = {row.json("in_progress")};
  bench.drop();
  ASSERT_EQ(jobs().size(), 1u);
  unseen("printing", 5, 5);
  bench.reconnect();
  ASSERT_EQ(jobs().size(), 2u);
  EXPECT_TRUE(jobs()[1].starts_with("JobIdentified m.e7-"));
}

}  // namespace
}  // namespace millrace
