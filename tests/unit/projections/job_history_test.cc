// SPDX-License-Identifier: Apache-2.0
#include "projections/job_history.h"

#include <algorithm>

#include "bus/random.h"
#include "shop.h"

namespace millrace {
namespace {

using schema::JobEvidence;
using schema::JobOutcome;
using schema::JobSeen;

class JobHistoryTest : public testing::Test {
 protected:
  void fold() {
    views = Views();
    views.fold(shop.events());
  }
  schema::JobViewT only_job() {
    fold();
    auto jobs = views.jobs();
    EXPECT_EQ(jobs.size(), 1u);
    return jobs.empty() ? schema::JobViewT{} : std::move(jobs.front());
  }
  Shop shop;
  Views views;
};

TEST_F(JobHistoryTest, ASecondStartAndASecondEndAreEvidenceNotJobs) {
  shop.say(started(row_id(), kStart));
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive, 71.99));
  shop.say(started(row_id(), kStart, "cube.gcode", JobSeen::history));
  shop.say(finished(row_id(), JobOutcome::interrupted, JobEvidence::conclusive, 3));
  const auto job = only_job();
  EXPECT_EQ(job.outcome, JobOutcome::completed);
  EXPECT_EQ(job.start_seen, JobSeen::live);
}

TEST_F(JobHistoryTest, AReprintIsASecondJobAndLeavesTheFirstAlone) {
  shop.say(started(row_id(), kStart));
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive));
  shop.say(started(row_id(kStart + kSecond), kStart + kSecond));
  fold();
  const auto jobs = views.jobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].outcome, JobOutcome::running);
  EXPECT_EQ(jobs[1].outcome, JobOutcome::completed);
}

// Any order of the same evidence gives one job with the outcome of the highest rank.
TEST_F(JobHistoryTest, TheBestEvidenceWinsInEveryOrder) {
  const uint64_t seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<EventDraft> drafts;
    const auto add = [&](auto payload) {
      drafts.push_back(draft_of(std::move(payload), "voron-2", from_unix_us(kStart)));
    };
    add(started(row_id(), kStart));
    add(started(row_id(), kStart, "cube.gcode", JobSeen::history));
    add(finished(row_id(), JobOutcome::interrupted, JobEvidence::inconclusive, 0.2));
    add(progressed(row_id(), 0.7, 60));
    auto row = finished(row_id(), JobOutcome::cancelled, JobEvidence::conclusive, 63.85);
    row.row_status = "cancelled";
    add(row);
    const bool with_observed = random.unit() < 0.5;
    if (with_observed) add(finished(row_id(), JobOutcome::completed, JobEvidence::observed, 64.02));
    const bool with_person = random.unit() < 0.5;
    if (with_person) add(finished(row_id(), JobOutcome::failed, JobEvidence::person, 1));
    for (size_t i = drafts.size() - 1; i > 0; --i) std::swap(drafts[i], drafts[random.next() % (i + 1)]);
    shop = Shop();
    for (EventDraft& draft : drafts) shop.append({draft});
    const auto job = only_job();
    EXPECT_EQ(job.outcome, with_person     ? JobOutcome::failed
                           : with_observed ? JobOutcome::completed
                                           : JobOutcome::cancelled);
    EXPECT_EQ(job.total_duration, 63.85) << "the numbers are those of the conclusive row";
    EXPECT_EQ(job.start_seen, JobSeen::live);
  }
}

TEST_F(JobHistoryTest, AtEqualRankTheFirstPositionStays) {
  shop.say(started(row_id(), kStart));
  shop.say(finished(row_id(), JobOutcome::failed, JobEvidence::conclusive));
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive));
  EXPECT_EQ(only_job().outcome, JobOutcome::failed);
}

TEST_F(JobHistoryTest, ARowOfALocalJobAddsNothing) {
  const std::string local = "voron-2.e7-1";
  shop.say(started(local, 0));
  schema::JobIdentifiedT identified;
  identified.job_id = local;
  identified.start_us = kStart;
  identified.moonraker_job_id = "00000C";
  shop.say(identified);
  shop.say(started(row_id(), kStart, "cube.gcode", JobSeen::history));
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive, 12));
  const auto job = only_job();
  EXPECT_EQ(job.id, local);
  EXPECT_EQ(job.outcome, JobOutcome::completed);
  EXPECT_EQ(job.start_us, kStart);
  EXPECT_EQ(find_job(*views.store->reader(), row_id())->job.id, local);
}

TEST_F(JobHistoryTest, ARowThatCameBeforeItsJobWasIdentifiedIsMerged) {
  const std::string local = "voron-2.e7-1";
  shop.say(started(local, 0));
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive, 12));
  schema::JobIdentifiedT identified;
  identified.job_id = local;
  identified.start_us = kStart;
  shop.say(identified);
  const auto job = only_job();
  EXPECT_EQ(job.id, local);
  EXPECT_EQ(job.outcome, JobOutcome::completed);
  EXPECT_EQ(job.total_duration, 12);
}

TEST_F(JobHistoryTest, PausesAreCountedAndAddedUp) {
  schema::JobPausedT paused;
  paused.job_id = row_id();
  paused.cause = "filament_runout";
  schema::JobResumedT resumed;
  resumed.job_id = row_id();
  shop.say(started(row_id(), kStart));
  shop.say(paused);
  shop.say(paused);  // repeated after the adapter lost its state
  shop.now_us += 10 * kSecond;
  shop.say(resumed);
  shop.say(paused);
  shop.now_us += 5 * kSecond;
  shop.say(finished(row_id(), JobOutcome::cancelled, JobEvidence::conclusive));
  const auto job = only_job();
  EXPECT_EQ(job.pause_count, 2u);
  EXPECT_NEAR(static_cast<double>(job.paused_us) / kSecond, 15.3, 0.2);
  EXPECT_EQ(job.paused_since_us, 0);
}

TEST_F(JobHistoryTest, OnlyALargeSkewCorrectsTheTimes) {
  auto start = started(row_id(), kStart);
  start.skew_ms = 4'900;
  shop.say(start);
  EXPECT_EQ(started_at(only_job()).us, kStart);
  shop = Shop();
  start.skew_ms = 3'600'000;
  shop.say(start);
  EXPECT_EQ(started_at(only_job()).us, kStart + 3600 * kSecond);
  EXPECT_TRUE(started_at(only_job()).corrected);
}

TEST_F(JobHistoryTest, AnEndIsTimedByTheRowElseByTheMachineElseByTheAdapterThatSawIt) {
  auto end = finished(row_id(), JobOutcome::completed, JobEvidence::observed);
  const auto ended = [&](int64_t end_us, int64_t occurred_us, bool late) {
    end.end_us = end_us;
    end.late = late;
    shop = Shop();
    shop.append({draft_of(end, "voron-2", from_unix_us(kStart + 9), from_unix_us(occurred_us))});
    return ended_at(only_job()).us;
  };
  EXPECT_EQ(ended(kStart + 1, kStart + 2, false), kStart + 1);
  EXPECT_EQ(ended(0, kStart + 2, true), kStart + 2);
  EXPECT_EQ(ended(0, 0, false), kStart + 9);
  EXPECT_EQ(ended(0, 0, true), 0) << "not seen as it happened: not known";
}

TEST_F(JobHistoryTest, ImplausibleNumbersAreLeftOut) {
  shop.say(started(row_id(), kStart));
  auto end = finished(row_id(), JobOutcome::completed, JobEvidence::conclusive, -3);
  end.filament_used = std::numeric_limits<double>::quiet_NaN();
  shop.say(end);
  EXPECT_FALSE(only_job().total_duration.has_value());
  EXPECT_FALSE(only_job().filament_used.has_value());
}

TEST_F(JobHistoryTest, FiltersAndPagesNewestFirst) {
  for (int i = 0; i < 25; ++i) {
    const int64_t start = kStart + i * kSecond;
    shop.say(started(row_id(start), start, i % 2 == 0 ? "Cube.gcode" : "vase.gcode"));
    if (i % 5 == 0) shop.say(finished(row_id(start), JobOutcome::failed, JobEvidence::conclusive));
  }
  fold();
  JobQuery query;
  query.limit = 10;
  std::vector<std::string> seen;
  size_t pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = list_jobs(*views.store->reader(), query);
    ASSERT_TRUE(page.has_value());
    for (const auto& job : page->jobs) seen.push_back(job.id);
    query.after = page->next;
    more = !page->next.empty();
  }
  EXPECT_EQ(pages, 3u);
  ASSERT_EQ(seen.size(), 25u);
  EXPECT_TRUE(std::is_sorted(seen.rbegin(), seen.rend()));
  EXPECT_EQ(views.jobs({.filename_part = "cUBE", .limit = 100}).size(), 13u);
  EXPECT_EQ(views.jobs({.outcomes = {JobOutcome::failed}}).size(), 5u);
  EXPECT_EQ(views.jobs({.machine = "other"}).size(), 0u);
  EXPECT_EQ(views.jobs({.from = from_unix_us(kStart + 5 * kSecond), .to = from_unix_us(kStart + 8 * kSecond)}).size(),
            3u);
}

TEST_F(JobHistoryTest, AScanThatFindsNothingStillLeadsOn) {
  for (int i = 0; i < 10; ++i) shop.say(started(row_id(kStart + i), kStart + i));
  fold();
  const auto page = list_jobs(*views.store->reader(), {.machine = "other", .scanned = 4});
  ASSERT_TRUE(page.has_value());
  EXPECT_TRUE(page->jobs.empty());
  EXPECT_FALSE(page->next.empty());
  EXPECT_EQ(list_jobs(*views.store->reader(), {.after = "j/x"}).error().code, Errc::kInvalidArgument);
}

TEST_F(JobHistoryTest, AnUnknownJobIsNotFound) {
  fold();
  EXPECT_EQ(find_job(*views.store->reader(), "voron-2.1").error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace millrace
