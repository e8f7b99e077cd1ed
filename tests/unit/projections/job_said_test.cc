// SPDX-License-Identifier: Apache-2.0
// What people say about jobs: verdicts, corrections, hidden and entered jobs, photos, and what a slicer wrote.
#include "projections/job_said.h"

#include <algorithm>
#include <functional>

#include "bus/random.h"
#include "shop.h"

namespace millrace {
namespace {

using schema::JobEvidence;
using schema::JobOutcome;
using schema::JobVerdict;

class JobSaidTest : public testing::Test {
 protected:
  JobPart fold(const std::string& id = row_id()) {
    views = Views();
    views.fold(shop.events());
    auto part = find_job(*views.store->reader(), id);
    EXPECT_TRUE(part.has_value());
    return part ? std::move(*part) : JobPart{};
  }
  void say_as(const std::string& actor, auto payload) {
    auto draft = draft_of(std::move(payload), "voron-2", from_unix_us(shop.now_us));
    draft.actor = actor;
    shop.append({std::move(draft)});
  }
  static schema::JobAnnotatedT verdict(JobVerdict verdict, const std::string& reason = "") {
    schema::JobAnnotatedT event;
    event.job_id = row_id();
    event.changed = {"verdict", "reason"};
    event.verdict = verdict;
    event.reason = reason;
    return event;
  }
  static schema::JobCorrectedT corrected_outcome(JobOutcome outcome) {
    schema::JobCorrectedT event;
    event.job_id = row_id();
    event.changed = {"outcome"};
    event.outcome = outcome;
    return event;
  }
  static schema::JobHiddenT hide() {
    schema::JobHiddenT event;
    event.job_id = row_id();
    return event;
  }
  static schema::JobPhotoAddedT photo(const std::string& blob, const std::string& caption = "") {
    schema::JobPhotoAddedT event;
    event.job_id = row_id();
    event.blob = blob;
    event.caption = caption;
    return event;
  }
  Shop shop;
  Views views;
};

TEST_F(JobSaidTest, EachValueThatWasReplacedStaysVisibleWithItsActor) {
  shop.say(started(row_id(), kStart));
  say_as("anna", verdict(JobVerdict::good));
  say_as("ben", verdict(JobVerdict::scrap, "warping"));
  const auto part = fold();
  EXPECT_EQ(part.job.verdict, JobVerdict::scrap);
  ASSERT_EQ(part.detail.changes.size(), 3u);
  EXPECT_EQ(part.detail.changes[1]->actor, "ben");
  EXPECT_EQ(part.detail.changes[1]->before_json, R"("good")");
  EXPECT_EQ(part.detail.changes[1]->after_json, R"("scrap")");
  EXPECT_EQ(part.detail.changes[2]->field, "reason");
  EXPECT_EQ(part.detail.changes[2]->before_json, "null");
}

TEST_F(JobSaidTest, OnlyTheFieldsThatAreNamedAreSaid) {
  auto first = verdict(JobVerdict::rework, "stringing");
  first.changed.push_back("tags");
  first.tags = {"order 7"};
  shop.say(first);
  schema::JobAnnotatedT second;
  second.job_id = row_id();
  second.changed = {"notes"};
  second.notes = "second try";
  shop.say(second);
  const auto part = fold();
  EXPECT_EQ(part.job.verdict, JobVerdict::rework);
  EXPECT_EQ(part.job.tags, std::vector<std::string>{"order 7"});
  EXPECT_EQ(part.job.notes, "second try");
}

TEST_F(JobSaidTest, TheNewestHundredChangesAreKept) {
  for (int i = 0; i < 60; ++i) {
    shop.say(verdict(JobVerdict::good, "a"));
    shop.say(verdict(JobVerdict::scrap, "b"));
  }
  const auto part = fold();
  ASSERT_EQ(part.detail.changes.size(), kMaxJobChanges);
  EXPECT_EQ(part.detail.changes.back()->position, 120u);
}

TEST_F(JobSaidTest, ACorrectionIsShownAndTheMachinesWordIsKept) {
  shop.say(started(row_id(), kStart));
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive, 50));
  schema::JobCorrectedT event;
  event.job_id = row_id();
  event.changed = {"outcome", "start_us", "total_duration", "no_such_field"};
  event.outcome = JobOutcome::failed;
  event.start_us = kStart - 60 * kSecond;
  event.total_duration = 110;
  event.reason = "the clock";
  shop.say(event);
  const auto part = fold();
  EXPECT_EQ(part.job.outcome, JobOutcome::failed);
  EXPECT_EQ(part.job.evidence, JobEvidence::person);
  EXPECT_EQ(started_at(part.job).us, kStart - 60 * kSecond);
  EXPECT_EQ(part.job.order_us, kStart - 60 * kSecond);
  EXPECT_EQ(part.job.total_duration, 110);
  ASSERT_EQ(part.detail.changes.size(), 3u);
  EXPECT_EQ(part.detail.changes[0]->before_json, R"("completed")");
  EXPECT_EQ(part.detail.changes[0]->reason, "the clock");
  EXPECT_EQ(part.detail.changes[2]->before_json, "50");
}

TEST_F(JobSaidTest, OfTwoCorrectionsOfAFieldTheLastHolds) {
  shop.say(corrected_outcome(JobOutcome::failed));
  shop.say(corrected_outcome(JobOutcome::cancelled));
  EXPECT_EQ(fold().job.outcome, JobOutcome::cancelled);
}

TEST_F(JobSaidTest, AHiddenJobDoesNotComeBackWithAnImport) {
  shop.say(started(row_id(), kStart));
  shop.say(hide());
  shop.say(started(row_id(), kStart, "cube.gcode", schema::JobSeen::imported));
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive));
  EXPECT_TRUE(fold().job.hidden);
  EXPECT_TRUE(views.jobs().empty());
  EXPECT_EQ(views.jobs({.hidden = true}).size(), 1u);
  schema::JobUnhiddenT again;
  again.job_id = row_id();
  shop.say(again);
  EXPECT_FALSE(fold().job.hidden);
  EXPECT_EQ(views.jobs().size(), 1u);
}

TEST_F(JobSaidTest, AnEnteredJobIsOneLikeAnyOther) {
  schema::JobEnteredT event;
  event.job_id = "voron-2.m" + std::to_string(kStart);
  event.filename = "by hand.gcode";
  event.start_us = kStart;
  event.end_us = kStart + 100 * kSecond;
  event.outcome = JobOutcome::completed;
  event.filament_used = 1500;
  shop.say(event);
  const auto part = fold(event.job_id);
  EXPECT_EQ(part.job.outcome, JobOutcome::completed);
  EXPECT_EQ(part.job.evidence, JobEvidence::person);
  EXPECT_EQ(part.job.start_seen, schema::JobSeen::entered);
  EXPECT_EQ(ended_at(part.job).us, kStart + 100 * kSecond);
  EXPECT_EQ(part.job.filament_used, 1500);
  EXPECT_EQ(part.detail.changes.at(0)->field, "entered");
}

TEST_F(JobSaidTest, PhotosComeOnceAndGo) {
  shop.say(photo("aa"));
  shop.say(photo("bb"));
  shop.say(photo("aa", "from above"));
  schema::JobPhotoRemovedT removed;
  removed.job_id = row_id();
  removed.blob = "bb";
  shop.say(removed);
  const auto part = fold();
  ASSERT_EQ(part.detail.photos.size(), 1u);
  EXPECT_EQ(part.detail.photos[0]->caption, "from above");
  EXPECT_EQ(part.job.photo_count, 1u);
  EXPECT_EQ(part.detail.changes.size(), 4u);
}

TEST_F(JobSaidTest, WhatWasReadFromTheFileBeatsMoonrakersSummaryInBothOrders) {
  schema::JobMetadataReadT of_file;
  of_file.job_id = row_id();
  of_file.source = "file";
  of_file.slicer_name = "OrcaSlicer";
  for (const char* type : {"PLA", "PETG", "PLA"}) {
    of_file.extruders.push_back(std::make_unique<schema::SlicedExtruderT>());
    of_file.extruders.back()->filament_type = type;
  }
  schema::JobMetadataReadT summary = of_file;
  summary.source = "moonraker";
  summary.slicer_name = "Orca";
  for (const bool file_first : {true, false}) {
    shop = Shop();
    shop.say(file_first ? of_file : summary);
    shop.say(file_first ? summary : of_file);
    const auto part = fold();
    EXPECT_EQ(part.job.slicer_name, "OrcaSlicer");
    EXPECT_EQ(part.job.filament_type, "PLA;PETG");
    EXPECT_EQ(part.detail.sliced->source, "file");
  }
}

TEST_F(JobSaidTest, TheReasonsOfTheLastChangeAreOffered) {
  EXPECT_EQ(verdict_reasons(*views.store->reader())->front(), "adhesion");
  schema::VerdictReasonsChangedT changed;
  changed.reasons = {"wet filament", "other"};
  shop.append({draft_of(std::move(changed), "", from_unix_us(shop.now_us))});
  views.fold(shop.events());
  EXPECT_EQ(*verdict_reasons(*views.store->reader()), (std::vector<std::string>{"wet filament", "other"}));
}

TEST_F(JobSaidTest, WhatWasSaidOfTheRowAndOfTheLocalJobIsOfOnePrint) {
  const std::string local = "voron-2.e7-3";
  shop.say(started(local, 0));
  shop.say(started(row_id(), kStart));
  shop.say(verdict(JobVerdict::scrap, "clog"));
  shop.say(hide());
  shop.say(photo("aa"));
  schema::JobIdentifiedT identified;
  identified.job_id = local;
  identified.start_us = kStart;
  shop.say(identified);
  shop.say(corrected_outcome(JobOutcome::failed));  // by the row's id
  const auto part = fold(local);
  EXPECT_EQ(part.job.verdict, JobVerdict::scrap);
  EXPECT_TRUE(part.job.hidden);
  EXPECT_EQ(part.job.outcome, JobOutcome::failed);
  EXPECT_EQ(part.detail.photos.size(), 1u);
  EXPECT_EQ(part.detail.changes.size(), 5u);
}

// A person wins whenever it is said; evidence keeps its own rules; different fields do not touch each other.
TEST_F(JobSaidTest, TheSameIsShownInEveryOrder) {
  const uint64_t seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  std::vector<std::function<void()>> acts{
      [&] { shop.say(started(row_id(), kStart)); },
      [&] { shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive, 71)); },
      [&] { shop.say(finished(row_id(), JobOutcome::interrupted, JobEvidence::inconclusive, 3)); },
      [&] { shop.say(corrected_outcome(JobOutcome::failed)); },
      [&] { shop.say(verdict(JobVerdict::rework, "clog")); },
      [&] { shop.say(hide()); },
      [&] { shop.say(photo("aa")); },
      [&] {
        schema::JobCorrectedT event;
        event.job_id = row_id();
        event.changed = {"filename"};
        event.filename = "better.gcode";
        shop.say(event);
      },
  };
  for (int round = 0; round < 100; ++round) {
    for (size_t i = acts.size(); i > 1; --i) std::swap(acts[i - 1], acts[random.next() % i]);
    shop = Shop();
    for (const auto& act : acts) act();
    const auto job = fold().job;
    EXPECT_EQ(job.outcome, JobOutcome::failed);
    EXPECT_EQ(job.evidence, JobEvidence::person);
    EXPECT_EQ(job.filename, "better.gcode");
    EXPECT_EQ(job.total_duration, 71);
    EXPECT_EQ(job.verdict, JobVerdict::rework);
    EXPECT_EQ(job.reason, "clog");
    EXPECT_TRUE(job.hidden);
    EXPECT_EQ(job.photo_count, 1u);
  }
}

}  // namespace
}  // namespace millrace
