// SPDX-License-Identifier: Apache-2.0
#include "projections/job_index.h"

#include <algorithm>

#include "bus/random.h"
#include "projections/job_catalog.h"
#include "projections/job_words.h"
#include "projections/record.h"
#include "shop.h"

namespace millrace {
namespace {

using schema::JobOutcome;
using schema::JobVerdict;
using schema::JobViewT;
using Texts = std::vector<std::string>;

TEST(JobWords, AreFoldedAndSeparated) {
  EXPECT_EQ(words_of("Würfel_0.2mm-PLA.gcode"), (Texts{"0", "2mm", "gcode", "pla", "wurfel"}));
  EXPECT_EQ(words_of("STRASSE Straße Œuvre Łódź"), (Texts{"lodz", "oeuvre", "strasse"}));
  EXPECT_EQ(words_of("Ärger u\xcc\x88"
                     "ber"),
            (Texts{"arger", "uber"}));  // one letter and its accent apart
  EXPECT_EQ(words_of("ДЕТАЛЬ Ёж Ω"), (Texts{"ω", "деталь", "ёж"}));
  EXPECT_EQ(words_of("部品 v2"), (Texts{"v2", "品", "部"}));
  EXPECT_EQ(words_of("\xff\xfe"
                     "a"),
            (Texts{"\xff\xfe"
                   "a"}));
  EXPECT_TRUE(words_of(" -_. \xe2\x80\x94 ").empty());
}

JobViewT a_job(const std::string& id, int64_t start_us, const std::string& filename = "cube.gcode") {
  JobViewT job;
  job.id = id;
  job.machine = id.substr(0, id.find('.'));
  job.start_us = start_us;
  job.order_us = start_us;
  job.filename = filename;
  job.outcome = JobOutcome::completed;
  return job;
}

void put(JobIndex& index, const JobViewT& job) {
  const std::string record = encode_record<schema::JobView>(job);
  index.put(job.id, &record);
}

Texts ids(const JobIndex& index, JobListQuery query = {}) { return index.list(query)->ids; }
Texts found(const JobIndex& index, const std::string& text) { return ids(index, {.filter = {.text = text}}); }

TEST(JobIndex, NewestFirstAndEveryWordMustOccurAsABeginning) {
  JobIndex index;
  put(index, a_job("a.1", 1, "Gehäuse_oben PLA.gcode"));
  put(index, a_job("b.2", 2, "gehause_unten PETG.gcode"));
  EXPECT_EQ(ids(index), (Texts{"b.2", "a.1"}));
  EXPECT_EQ(found(index, "GEHAUS"), (Texts{"b.2", "a.1"}));
  EXPECT_EQ(found(index, "gehäuse pla"), (Texts{"a.1"}));
  EXPECT_EQ(found(index, "pla petg"), Texts{});
  EXPECT_EQ(found(index, "b pe"), (Texts{"b.2"}));  // the machine's name too
  EXPECT_EQ(found(index, "..."), (Texts{"b.2", "a.1"}));
}

TEST(JobIndex, AChangedTextIsFoundAndTheOldOneIsNot) {
  JobIndex index;
  auto job = a_job("a.1", 1);
  put(index, job);
  job.notes = "layer split";
  put(index, job);
  EXPECT_EQ(found(index, "split"), (Texts{"a.1"}));
  job.notes.clear();
  put(index, job);
  EXPECT_EQ(found(index, "split"), Texts{});
  index.put("a.1", nullptr);
  EXPECT_EQ(index.size(), 0u);
  EXPECT_EQ(ids(index), Texts{});
}

TEST(JobIndex, HiddenJobsAreLeftOutOrAlone) {
  JobIndex index;
  auto hidden = a_job("a.1", 1);
  hidden.hidden = true;
  hidden.tags = {"x"};
  put(index, hidden);
  put(index, a_job("a.2", 2));
  EXPECT_EQ(ids(index), (Texts{"a.2"}));
  EXPECT_EQ(ids(index, {.filter = {.hidden = HiddenJobs::kOnly}}), (Texts{"a.1"}));
  EXPECT_EQ(ids(index, {.filter = {.hidden = HiddenJobs::kToo}}), (Texts{"a.2", "a.1"}));
  EXPECT_TRUE(index.tags().empty());
}

TEST(JobIndex, PausedJobsAreToldFromRunningOnes) {
  JobIndex index;
  auto paused = a_job("a.1", 1);
  paused.outcome = JobOutcome::running;
  paused.paused_since_us = 5;
  auto running = a_job("a.2", 2);
  running.outcome = JobOutcome::running;
  put(index, paused);
  put(index, running);
  EXPECT_EQ(ids(index, {.filter = {.paused = true}}), (Texts{"a.1"}));
  EXPECT_EQ(ids(index, {.filter = {.paused = false}}), (Texts{"a.2"}));
}

TEST(JobIndex, FiguresOfEveryShownJobAreVisited) {
  JobIndex index;
  auto job = a_job("a.1", 1);
  job.print_duration = 60;
  job.filament_type = "PLA";
  put(index, job);
  auto hidden = a_job("b.2", 2);
  hidden.hidden = true;
  put(index, hidden);
  put(index, a_job("b.3", 3));
  std::vector<std::string> seen;
  index.each([&](const JobFigures& figures) {
    seen.push_back(std::string(figures.id) + " " + std::string(figures.machine) + " " +
                   std::string(figures.filament_type) + " " + std::to_string(figures.print_duration.value_or(-1)));
    EXPECT_FALSE(figures.filament_used);
  });
  EXPECT_EQ(seen, (Texts{"a.1 a PLA 60.000000", "b.3 b  -1.000000"}));
}

TEST(JobIndex, APlaceOfAnotherOrderIsRefused) {
  JobIndex index;
  put(index, a_job("a.1", 1));
  put(index, a_job("a.2", 2));
  const std::string next = index.list({.limit = 1})->next;
  EXPECT_EQ(ids(index, {.after = next}), (Texts{"a.1"}));
  for (const JobListQuery& query :
       {JobListQuery{.sort = JobSort::kFilename, .after = next}, JobListQuery{.ascending = true, .after = next},
        JobListQuery{.after = "started_at"}, JobListQuery{.after = "started_at desc\nx\ny\nz"}}) {
    EXPECT_EQ(index.list(query).error().code, Errc::kInvalidArgument) << query.after;
  }
}

// --- against looking at every job

struct Choice {
  explicit Choice(uint64_t seed) : random(seed) {}
  SeededRandom random;
  size_t below(size_t end) { return random.next() % end; }
  std::string one_of(const Texts& texts) { return texts[below(texts.size())]; }
};

JobViewT random_job(Choice& random, size_t number) {
  const Texts machines{"a", "b", "mk4"};
  const Texts files{"Cube.gcode", "cube.gcode", "gehäuse v2.gcode", "lid_v10.gcode", "", "部品.gcode"};
  auto job = a_job(random.one_of(machines) + "." + std::to_string(number), static_cast<int64_t>(random.below(40)) + 1,
                   random.one_of(files));
  job.outcome = static_cast<JobOutcome>(1 + random.below(5));
  job.verdict = static_cast<JobVerdict>(random.below(4));
  job.hidden = random.below(10) == 0;
  if (random.below(3) != 0) job.total_duration = static_cast<double>(random.below(6));
  if (random.below(3) != 0) job.filament_used = static_cast<double>(random.below(6));
  if (random.below(2) != 0) job.end_us = static_cast<int64_t>(random.below(20));
  if (random.below(2) != 0) job.tags = {random.one_of({"red", "blue"})};
  if (random.below(4) == 0) job.notes = random.one_of({"second try", "lid broke"});
  return job;
}

bool naive_match(const JobViewT& job, const JobFilter& filter) {
  if (job.hidden ? filter.hidden == HiddenJobs::kLeftOut : filter.hidden == HiddenJobs::kOnly) return false;
  if (!filter.machines.empty() && !filter.machines.contains(job.machine)) return false;
  if (!filter.outcomes.empty() && !filter.outcomes.contains(job.outcome)) return false;
  if (!filter.verdicts.empty() && !filter.verdicts.contains(job.verdict)) return false;
  if (!filter.ids.empty() && !filter.ids.contains(job.id)) return false;
  if (!filter.tags.empty() &&
      std::none_of(job.tags.begin(), job.tags.end(), [&](const auto& tag) { return filter.tags.contains(tag); })) {
    return false;
  }
  if (filter.from && job.start_us < to_unix_us(*filter.from)) return false;
  if (filter.to && job.start_us >= to_unix_us(*filter.to)) return false;
  Texts words = words_of(job.filename + " " + job.title + " " + job.notes + " " + job.machine);
  for (const std::string& tag : job.tags) words.push_back(tag);
  for (const std::string& wanted : words_of(filter.text)) {
    if (std::none_of(words.begin(), words.end(), [&](const auto& word) { return word.starts_with(wanted); }))
      return false;
  }
  return true;
}

std::optional<double> naive_key(const JobViewT& job, JobSort sort) {
  switch (sort) {
    case JobSort::kStartedAt:
      return static_cast<double>(job.start_us);
    case JobSort::kEndedAt:
      return job.end_us == 0 ? std::nullopt : std::optional(static_cast<double>(job.end_us));
    case JobSort::kTotalDuration:
      return job.total_duration;
    default:
      return job.filament_used;
  }
}

bool naive_before(const JobViewT& a, const JobViewT& b, const JobListQuery& query) {
  if (query.sort == JobSort::kFilename) {
    const auto left = std::pair(folded(a.filename), a.filename);
    const auto right = std::pair(folded(b.filename), b.filename);
    if (left != right) return query.ascending ? left < right : left > right;
  } else {
    const auto left = naive_key(a, query.sort);
    const auto right = naive_key(b, query.sort);
    if (left.has_value() != right.has_value()) return left.has_value();
    if (left && *left != *right) return query.ascending ? *left < *right : *left > *right;
  }
  return a.order_us != b.order_us ? a.order_us > b.order_us : a.id < b.id;
}

JobListQuery random_query(Choice& random) {
  JobListQuery query;
  JobFilter& filter = query.filter;
  if (random.below(3) == 0) filter.machines = {"a", "nobody"};
  if (random.below(3) == 0) filter.outcomes = {JobOutcome::completed, JobOutcome::failed};
  if (random.below(4) == 0) filter.verdicts = {JobVerdict::scrap};
  if (random.below(4) == 0) filter.tags = {random.one_of({"red", "blue", "none"})};
  if (random.below(4) == 0) filter.from = from_unix_us(10);
  if (random.below(4) == 0) filter.to = from_unix_us(30);
  if (random.below(6) == 0) filter.ids = {"a.1", "b.2", "mk4.3", "a.4"};
  if (random.below(2) == 0) filter.text = random.one_of({"cube", "GEH v2", "lid", "try re", "部", "nothing", "1"});
  filter.hidden = static_cast<HiddenJobs>(random.below(3));
  query.sort = static_cast<JobSort>(random.below(5));
  query.ascending = random.below(2) == 0;
  query.limit = 1 + random.below(30);
  if (random.below(3) == 0) query.skip = random.below(20);
  return query;
}

TEST(JobIndex, EveryListIsThatOfLookingAtEveryJob) {
  const uint64_t seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Choice random(seed);
  JobIndex index;
  std::map<std::string, JobViewT> jobs;
  for (int round = 0; round < 60; ++round) {
    for (int i = 0; i < 300; ++i) {  // changes of old ones too: the rows close up now and then
      const auto job = random_job(random, random.below(400));
      jobs.insert_or_assign(job.id, job);
      put(index, job);
      if (random.below(20) != 0) continue;
      index.put(job.id, nullptr);
      jobs.erase(job.id);
    }
    ASSERT_EQ(index.size(), jobs.size());
    JobListQuery query = random_query(random);
    std::vector<const JobViewT*> wanted;
    for (const auto& [id, job] : jobs) {
      if (naive_match(job, query.filter)) wanted.push_back(&job);
    }
    std::sort(wanted.begin(), wanted.end(), [&](const auto* a, const auto* b) { return naive_before(*a, *b, query); });
    Texts expected;
    for (const JobViewT* job : wanted) expected.push_back(job->id);
    Texts pages(expected.begin(), expected.begin() + static_cast<ptrdiff_t>(std::min(query.skip, expected.size())));
    do {
      const auto page = index.list(query);
      ASSERT_TRUE(page.has_value());
      EXPECT_EQ(page->total, expected.size());
      pages.insert(pages.end(), page->ids.begin(), page->ids.end());
      query.after = page->next;
      query.skip = 0;
    } while (!query.after.empty());
    ASSERT_EQ(pages, expected) << "text '" << query.filter.text << "' sort " << static_cast<int>(query.sort);
  }
}

// Many alike: the first of them are chosen without sorting all.
TEST(JobIndex, APageOfManyJobsIsTheSameHoweverTheyCame) {
  JobIndex index;
  for (int i = 0; i < 6000; ++i) put(index, a_job("a." + std::to_string(i), (i * 7919) % 6000 + 1));
  for (const bool ascending : {true, false}) {
    for (const JobSort sort : {JobSort::kStartedAt, JobSort::kFilename}) {
      const auto page = index.list({.sort = sort, .ascending = ascending, .limit = 3});
      const bool newest = sort == JobSort::kFilename || !ascending;
      EXPECT_EQ(page->ids.at(0), newest ? "a.4321" : "a.0");
      const auto all = index.list({.sort = sort, .ascending = ascending, .limit = 6000});
      const auto skipped = index.list({.sort = sort, .ascending = ascending, .skip = 2500, .limit = 2});
      EXPECT_EQ(skipped->ids, (Texts{all->ids.at(2500), all->ids.at(2501)}));
    }
  }
}

TEST(JobCatalog, AReaderSeesWhatWasHandedOverBefore) {
  Shop shop;
  Views views;
  JobCatalog catalog(*views.store);
  EXPECT_TRUE(catalog.list({})->ids.empty());
  shop.say(started(row_id(), kStart));
  views.fold(shop.events());
  AppliedGroup group{Position{1}, {}};
  const auto record = views.store->reader()->get(kJobHistoryView, "j/" + row_id());
  group.changes.push_back(
      {std::string(kJobHistoryView), "j/" + row_id(), std::make_shared<const std::string>(**record)});
  catalog.offer(group);
  EXPECT_EQ(catalog.pending(), 1u);
  EXPECT_EQ(catalog.list({})->ids, (Texts{row_id()}));
  EXPECT_EQ(catalog.pending(), 0u);
}

TEST(JobCatalog, WhatCannotBeKeptIsReadFromTheView) {
  Shop shop;
  Views views;
  JobCatalog catalog(*views.store, 0);
  ASSERT_TRUE(catalog.catch_up());
  shop.say(started(row_id(), kStart));
  views.fold(shop.events());
  catalog.offer({Position{1}, {{std::string(kJobHistoryView), "j/" + row_id(), nullptr}}});
  EXPECT_EQ(catalog.pending(), 0u);
  EXPECT_EQ(catalog.list({})->ids, (Texts{row_id()}));
}

}  // namespace
}  // namespace millrace
