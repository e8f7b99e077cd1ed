// SPDX-License-Identifier: Apache-2.0
#include "consumers/maintenance_watch.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

// A log and its view, as small as they can be: what was told of each task.
class MaintenanceWatchTest : public ::testing::Test {
 protected:
  MaintenanceWatch::Look look() {
    return [this](WallTime now) -> Result<std::vector<MaintenanceStanding>> {
      if (behind) return make_error(Errc::kUnavailable, "the views are behind");
      std::vector<MaintenanceStanding> standings;
      for (const auto& [id, every] : every_days) {
        MaintenanceStanding standing;
        standing.machine = "voron-2";
        standing.task_id = id;
        standing.days = std::chrono::duration<double>(now - begin).count() / 86'400;
        standing.due = standing.days >= every;
        standing.told_due = told[id];
        standings.push_back(standing);
      }
      return standings;
    };
  }
  std::function<void(HubWrite)> submit() {
    return [this](HubWrite write) {
      if (refused) return write.done(*refused);
      for (const EventDraft& draft : write.events) {
        const auto* due = draft.payload.AsMaintenanceDue();
        ASSERT_NE(due, nullptr);
        EXPECT_EQ(draft.machine, "voron-2");
        told[due->task_id] = due->due;
        log.push_back(due->task_id + (due->due ? " due" : " done"));
      }
      write.done(Position{log.size()});
    };
  }
  double due_tasks() { return metrics->gauge("millrace_maintenance_due_tasks", "").value(); }

  ManualClock clock;
  const WallTime begin = clock.wall();
  std::unique_ptr<Metrics> metrics = make_metrics();
  std::map<std::string, double> every_days{{"t1", 2}, {"t2", 5}};
  std::map<std::string, bool> told;
  std::vector<std::string> log;
  std::optional<Error> refused;
  bool behind = false;
  MaintenanceWatch watch{{}, look(), submit(), clock, *metrics};
};

TEST_F(MaintenanceWatchTest, EachChangeIsToldOnce) {
  EXPECT_EQ(watch.run_once().value(), 0u);
  clock.advance(std::chrono::hours(49));
  EXPECT_EQ(watch.run_once().value(), 1u);
  EXPECT_EQ(watch.run_once().value(), 0u);
  EXPECT_EQ(due_tasks(), 1);
  every_days["t1"] = 30;  // done, or changed
  EXPECT_EQ(watch.run_once().value(), 1u);
  EXPECT_EQ(log, (std::vector<std::string>{"t1 due", "t1 done"}));
  EXPECT_EQ(due_tasks(), 0);
}

TEST_F(MaintenanceWatchTest, SeveralChangesAreOneWrite) {
  clock.advance(std::chrono::hours(24 * 6));
  EXPECT_EQ(watch.run_once().value(), 2u);
  EXPECT_EQ(log, (std::vector<std::string>{"t1 due", "t2 due"}));
}

TEST_F(MaintenanceWatchTest, WhatTheLogRefusedIsToldLater) {
  clock.advance(std::chrono::hours(49));
  refused = make_error(Errc::kFull, "the disk is full");
  EXPECT_EQ(watch.run_once().error().code, Errc::kFull);
  refused.reset();
  EXPECT_EQ(watch.run_once().value(), 1u);
}

TEST_F(MaintenanceWatchTest, NothingIsToldFromViewsThatAreBehind) {
  clock.advance(std::chrono::hours(49));
  behind = true;
  EXPECT_EQ(watch.run_once().error().code, Errc::kUnavailable);
  EXPECT_TRUE(log.empty());
}

}  // namespace
}  // namespace millrace
