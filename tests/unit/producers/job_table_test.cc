// SPDX-License-Identifier: Apache-2.0
// The decision table of jobs while the link is up, and Klipper going away: rows L and K, through the whole adapter.
#include <gtest/gtest.h>

#include "tests/unit/producers/job_table_fixture.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

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

}  // namespace
}  // namespace millrace
