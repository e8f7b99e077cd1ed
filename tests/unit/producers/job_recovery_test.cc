// SPDX-License-Identifier: Apache-2.0
// The decision table of jobs after a gap: rows R, the back-fill from history, and restarts of the adapter.
#include <gtest/gtest.h>

#include "tests/unit/producers/job_table_fixture.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

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

// An adapter that ends while a file is read leaves the reading to the next one.
TEST_F(JobTable, TheFileOfAJobIsDueUntilItWasTold) {
  Lines due;
  bench.on_file_due = [&](const JobFile& file) { due.push_back(file.job_id + " " + file.filename); };
  bench.restart(true);
  bench.connect();
  begin();
  const Lines once{id + " a.gcode"};
  EXPECT_EQ(due, once);
  due.clear();
  print_to(8);
  EXPECT_TRUE(due.empty()) << "once is enough while this one lives";
  bench.restart(true);
  EXPECT_EQ(due, once);
  due.clear();
  schema::JobMetadataReadT read;
  read.job_id = id;
  bench.adapter().file_read(std::move(read));
  EXPECT_EQ(bench.all<schema::JobMetadataReadT>().size(), 1u);
  bench.restart(true);
  EXPECT_TRUE(due.empty());
}

}  // namespace
}  // namespace millrace
