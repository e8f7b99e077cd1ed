// SPDX-License-Identifier: Apache-2.0
// Every recorded session of a real Moonraker, served to the real adapter through a real Mosquitto into a real log: the
// machine's states and jobs are what really happened.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

struct Expected {
  std::string recording;
  std::string job;  // empty: no job of the recording itself
  std::string outcome;
  double total_duration = NAN;  // seconds; NAN: not looked at
  double print_duration = NAN;
  double filament_used = NAN;  // mm
  int pauses = 0;
  int objects_excluded = 0;
  size_t earlier_jobs = 0;  // at least so many from history.list
};

void PrintTo(const Expected& expected, std::ostream* out) { *out << expected.recording; }

class RecordingTest : public ::testing::TestWithParam<Expected> {};

void expect_near(const json& job, const std::string& field, double expected) {
  if (std::isnan(expected)) return;
  ASSERT_TRUE(job[field].is_number()) << field << " in " << job.dump();
  EXPECT_NEAR(job[field].get<double>(), expected, 0.006) << field;
}

TEST_P(RecordingTest, GivesWhatReallyHappened) {
  const Expected& expected = GetParam();
  Shop shop;
  const char* elsewhere = std::getenv("MILLRACE_RECORDINGS");
  const std::filesystem::path folder = elsewhere != nullptr ? elsewhere : MILLRACE_SOURCE_DIR "/tests/recordings";
  shop.start_replay(folder / (expected.recording + ".jsonl"), "20");
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return shop.machine("m").value("connection", "") == "connected"; }));

  // Once the replay has ended the machine falls silent: nothing new is recorded for a while.
  int position = -1;
  int quiet = 0;
  ASSERT_TRUE(eventually(
      [&] {
        const int now = shop.last_position();
        quiet = now == position ? quiet + 1 : 0;
        position = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return quiet > 30;
      },
      std::chrono::seconds(60)));

  const json jobs = shop.jobs();
  size_t live = 0;
  size_t earlier = 0;
  for (const json& job : jobs) {
    (job["id"] == expected.job || job["seen"] == "live" ? live : earlier) += 1;
    EXPECT_NE(job["outcome"], "running") << job.dump();
  }
  EXPECT_EQ(live, expected.job.empty() ? 0u : 1u) << jobs.dump(1);
  EXPECT_GE(earlier, expected.earlier_jobs);
  if (expected.job.empty()) return;

  const json job = shop.get("/api/v1/jobs/" + expected.job);
  ASSERT_TRUE(job.is_object()) << expected.job << " is not there: " << jobs.dump(1);
  EXPECT_EQ(job["outcome"], expected.outcome);
  EXPECT_EQ(job["pause_count"], expected.pauses);
  expect_near(job, "total_duration", expected.total_duration);
  expect_near(job, "print_duration", expected.print_duration);
  expect_near(job, "filament_used", expected.filament_used);
  if (expected.objects_excluded > 0) {
    EXPECT_EQ(job["objects_excluded"], expected.objects_excluded);
  }

  // Each event of the job's life once, in order, and the view equal to a replay.
  std::vector<std::string> life;
  const json events = shop.get("/api/v1/events?limit=500&machine=m&type=JobStarted");
  for (const json& event : events["items"]) {
    if (event["payload"]["job_id"] == expected.job) life.push_back(event["type"]);
  }
  EXPECT_EQ(life.size(), 1u);
  EXPECT_EQ(shop.machine("m")["state"], "ready");
}

INSTANTIATE_TEST_SUITE_P(
    Real, RecordingTest,
    ::testing::Values(Expected{"a01_complete_orca", "m.1795209786041954", "completed", 71.99, 27.20, 26.188, 0, 0, 1},
                      Expected{"a02_pause_resume_prusa", "m.1795209961964364", "completed", 143.83, 45.24, 18.813, 1},
                      Expected{"a03_cancel_superslicer", "m.1795210110673221", "cancelled", 33.28, 0, 0},
                      Expected{"a04_gpio_objects", ""},
                      Expected{"a05_unicode_filename_runout", "m.1795210181459043", "completed", 66.64, NAN, NAN, 1},
                      Expected{"a06_gcode_script_semantics", ""},
                      Expected{"a07_exclude_object_job_queue", "m.1795210555891030", "completed"},
                      Expected{"a08_metadata_all_slicers", ""},
                      Expected{"a10_cancel_standard_macro", "m.1795210471367653", "cancelled", 63.85, 1.50, 1.276, 0, 0,
                               1},
                      Expected{"a11_complete_simplify3d", "m.1795210677310079", "completed", 66.16},
                      Expected{"a12_complete_kisslicer", "m.1795210762324949", "completed", 45.39},
                      Expected{"a13_complete_ideamaker", "m.1795210825276364", "completed", 109.64},
                      Expected{"a14_exclude_object", "m.1795211014467017", "completed", 22.92, 2.21, 2.589, 0, 1}),
    [](const auto& info) { return info.param.recording.substr(0, 3); });

}  // namespace
}  // namespace millrace
