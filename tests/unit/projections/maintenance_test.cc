// SPDX-License-Identifier: Apache-2.0
#include "projections/maintenance.h"

#include <cmath>

#include "bus/random.h"
#include "projections/record.h"
#include "shop.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

constexpr int64_t kHourUs = 3'600 * kSecond;
constexpr int64_t kDayUs = 24 * kHourUs;

schema::JobFinishedT ended(const std::string& id, double print_s, double filament_mm, int64_t end_us,
                           schema::JobEvidence evidence = schema::JobEvidence::conclusive) {
  schema::JobFinishedT event = finished(id, schema::JobOutcome::completed, evidence, print_s + 60);
  event.print_duration = print_s;
  event.filament_used = filament_mm;
  event.end_us = end_us;
  event.row_status = "completed";
  return event;
}

schema::MaintenanceTaskDefinedT task(const std::string& id, std::optional<double> every_hours) {
  schema::MaintenanceTaskDefinedT event;
  event.task_id = id;
  event.title = "Clean the nozzle";
  event.category = "cleaning";
  event.every_hours = every_hours;
  return event;
}

schema::MaintenanceRecordedT record(const std::string& id, const std::string& task_id, int64_t date_us,
                                    bool done = true) {
  schema::MaintenanceRecordedT event;
  event.record_id = id;
  event.task_id = task_id;
  event.date_us = date_us;
  event.done = done;
  event.category = "cleaning";
  return event;
}

template <class Event>
Event of_job(const std::string& id) {
  Event event;
  event.job_id = id;
  return event;
}

class MaintenanceTest : public ::testing::Test {
 protected:
  // A print that began `start_h` hours after kStart and printed for so long.
  std::string print(double start_h, double hours, double filament_m = 10) {
    const int64_t start_us = kStart + static_cast<int64_t>(start_h * static_cast<double>(kHourUs));
    const int64_t end_us = start_us + static_cast<int64_t>(hours * static_cast<double>(kHourUs));
    shop.now_us = std::max(shop.now_us, end_us);
    const std::string id = row_id(start_us);
    shop.say(started(id, start_us));
    shop.say(ended(id, hours * 3600, filament_m * 1000, end_us));
    return id;
  }
  void fold() {
    Views fresh;
    fresh.fold(shop.events());
    views = std::move(fresh);
  }
  Odometer odometer() {
    fold();
    return read_odometer(*views.store->reader(), "voron-2", from_unix_us(shop.now_us)).value();
  }
  TaskStanding standing(const std::string& id) {
    fold();
    for (const auto& found : *read_tasks(*views.store->reader(), "voron-2", from_unix_us(shop.now_us))) {
      if (found.task.id == id) return found;
    }
    ADD_FAILURE() << "no task " << id;
    return {};
  }
  std::vector<std::string> record_ids(RecordQuery query) {
    fold();
    query.machine = "voron-2";
    std::vector<std::string> ids;
    const auto page = list_records(*views.store->reader(), query).value();
    for (const auto& found : page.records) ids.push_back(found.id);
    return ids;
  }

  Shop shop;
  Views views;
};

TEST_F(MaintenanceTest, TheOdometerAddsUpPrints) {
  print(0, 2, 30);
  print(10, 1.5, 12.5);
  const Odometer found = odometer();
  EXPECT_DOUBLE_EQ(found.total.hours, 3.5);
  EXPECT_DOUBLE_EQ(found.total.filament_m, 42.5);
  EXPECT_EQ(found.total.starts, 2);
  EXPECT_EQ(to_unix_us(found.first_print), kStart);
}

TEST_F(MaintenanceTest, ARunningPrintCountsAsFarAsItHasCome) {
  shop.say(started(row_id(), kStart));
  auto event = progressed(row_id(), 0.5, 1900);
  event.print_duration = 1800;
  event.filament_used = 5000;
  shop.say(event);
  EXPECT_DOUBLE_EQ(odometer().total.hours, 0.5);
  shop.say(ended(row_id(), 3600, 10'000, kStart + kHourUs));
  EXPECT_DOUBLE_EQ(odometer().total.hours, 1.0);
  EXPECT_DOUBLE_EQ(odometer().total.filament_m, 10);
  EXPECT_EQ(odometer().total.starts, 1);
}

TEST_F(MaintenanceTest, BetterEvidenceReplacesAndNeverAdds) {
  shop.say(started(row_id(), kStart));
  auto sight = finished(row_id(), schema::JobOutcome::interrupted, schema::JobEvidence::inconclusive, 100);
  sight.print_duration = 90;
  shop.say(sight);
  EXPECT_DOUBLE_EQ(odometer().total.hours, 90.0 / 3600);
  shop.say(ended(row_id(), 7200, 20'000, kStart + 2 * kHourUs));
  shop.say(ended(row_id(), 7200, 20'000, kStart + 2 * kHourUs));
  EXPECT_DOUBLE_EQ(odometer().total.hours, 2);
  EXPECT_EQ(odometer().total.starts, 1);
}

TEST_F(MaintenanceTest, ACorrectionByAPersonHoldsAgainstLaterRows) {
  const std::string id = print(0, 2);
  auto corrected = of_job<schema::JobCorrectedT>(id);
  corrected.changed = {"print_duration", "filename"};
  corrected.print_duration = 3600;
  shop.say(corrected);
  shop.say(ended(id, 7200, 10'000, kStart + 2 * kHourUs));
  EXPECT_DOUBLE_EQ(odometer().total.hours, 1);
  EXPECT_DOUBLE_EQ(odometer().total.filament_m, 10) << "what was not corrected stays";
}

TEST_F(MaintenanceTest, ACorrectedStartMovesThePrintToItsDay) {
  const std::string id = print(0, 2);
  shop.say(task("t1", 100));
  shop.say(record("m1", "t1", kStart + 10 * kDayUs));
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 0);
  auto corrected = of_job<schema::JobCorrectedT>(id);
  corrected.changed = {"start_us", "end_us"};
  corrected.start_us = kStart + 11 * kDayUs;
  corrected.end_us = corrected.start_us + 2 * kHourUs;
  shop.say(corrected);
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 2);
  EXPECT_DOUBLE_EQ(odometer().total.hours, 2);
}

TEST_F(MaintenanceTest, AHiddenPrintDoesNotCountUntilItIsShownAgain) {
  const std::string id = print(0, 2);
  shop.say(of_job<schema::JobHiddenT>(id));
  shop.say(ended(id, 7200, 10'000, kStart + 2 * kHourUs));
  EXPECT_EQ(odometer().total.starts, 0);
  EXPECT_DOUBLE_EQ(odometer().total.hours, 0);
  shop.say(of_job<schema::JobUnhiddenT>(id));
  EXPECT_DOUBLE_EQ(odometer().total.hours, 2);
}

TEST_F(MaintenanceTest, HidingAnUnknownPrintAddsNone) {
  shop.say(of_job<schema::JobHiddenT>(row_id()));
  shop.say(of_job<schema::JobUnhiddenT>(row_id()));
  EXPECT_EQ(odometer().total.starts, 0);
}

TEST_F(MaintenanceTest, ARowThatIsALocalPrintIsCountedOnce) {
  const std::string local = "voron-2.e7-3";
  shop.say(started(local, 0));
  print(0, 2);  // the row, as a job of its own
  EXPECT_EQ(odometer().total.starts, 2);
  schema::JobIdentifiedT identified;
  identified.job_id = local;
  identified.start_us = kStart;
  shop.say(identified);
  shop.say(ended(row_id(), 7200, 10'000, kStart + 2 * kHourUs));
  EXPECT_EQ(odometer().total.starts, 1);
  EXPECT_DOUBLE_EQ(odometer().total.hours, 2);
}

TEST_F(MaintenanceTest, AnEnteredPrintCounts) {
  auto entered = of_job<schema::JobEnteredT>("voron-2.m" + std::to_string(kStart));
  entered.start_us = kStart;
  entered.end_us = kStart + kHourUs;
  entered.print_duration = 3000;
  entered.outcome = schema::JobOutcome::completed;
  shop.say(entered);
  EXPECT_DOUBLE_EQ(odometer().total.hours, 3000.0 / 3600);
  EXPECT_EQ(odometer().total.starts, 1);
}

TEST_F(MaintenanceTest, AbsurdNumbersCountAsNothing) {
  shop.say(started(row_id(), kStart));
  auto event = ended(row_id(), -5, NAN, kStart);
  event.total_duration = 10;
  shop.say(event);
  EXPECT_DOUBLE_EQ(odometer().total.hours, 0);
  EXPECT_DOUBLE_EQ(odometer().total.filament_m, 0);
  EXPECT_EQ(odometer().total.starts, 1);
}

TEST_F(MaintenanceTest, ConnectedHoursEndWithTheLastWordOfAKilledAdapter) {
  shop.say(connected());  // at 0 h
  shop.now_us = kStart + 2 * kHourUs;
  shop.say(progressed(row_id(), 0.1, 5));
  shop.now_us = kStart + 10 * kHourUs;
  shop.say(connected());  // nobody knows what was in between
  shop.now_us = kStart + 11 * kHourUs;
  shop.say(disconnected("closed"));
  EXPECT_NEAR(odometer().connected_hours, 3, 0.001);
}

TEST_F(MaintenanceTest, ATaskIsDueByItsHoursUntilItIsDone) {
  shop.say(task("t1", 3));
  print(1, 2);
  EXPECT_FALSE(standing("t1").due);
  print(5, 2);
  EXPECT_TRUE(standing("t1").due);
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 4);
  EXPECT_NEAR(*standing("t1").share, 4.0 / 3, 1e-9);
  shop.say(record("m1", "t1", shop.now_us));
  EXPECT_FALSE(standing("t1").due);
  EXPECT_EQ(standing("t1").done_by, "m1");
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 0);
}

TEST_F(MaintenanceTest, EachIntervalMakesATaskDue) {
  shop.say(task("t1", std::nullopt));
  print(1, 1, 100);
  EXPECT_FALSE(standing("t1").due) << "no interval";
  auto by_filament = task("t1", 1000);
  by_filament.every_filament_m = 100;
  shop.say(by_filament);
  EXPECT_TRUE(standing("t1").due);
  auto by_starts = task("t1", 1000);
  by_starts.every_starts = 1;
  shop.say(by_starts);
  EXPECT_TRUE(standing("t1").due);
  auto by_days = task("t1", 1000);
  by_days.every_days = 2;
  shop.say(by_days);
  EXPECT_FALSE(standing("t1").due);
  shop.now_us += 2 * kDayUs;
  EXPECT_TRUE(standing("t1").due);
}

TEST_F(MaintenanceTest, ARecordCountsFromItsOwnDate) {
  print(0, 2);
  print(48, 3);
  print(96, 4);
  shop.say(task("t1", 100));
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 0) << "defined just now";
  shop.say(record("m1", "t1", kStart + 47 * kHourUs));
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 7);
  EXPECT_EQ(standing("t1").used.starts, 2);
  shop.say(record("m2", "t1", kStart + 20 * kHourUs));
  EXPECT_EQ(standing("t1").done_by, "m1") << "an older one tells nothing new";
  shop.say(record("m1", "t1", kStart + 90 * kHourUs));
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 4) << "its date was changed";
}

TEST_F(MaintenanceTest, PlannedAndRemovedRecordsResetNothing) {
  shop.say(task("t1", 100));
  print(1, 2);
  shop.say(record("m1", "t1", shop.now_us, false));
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 2);
  shop.say(record("m1", "t1", shop.now_us, true));
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 0);
  schema::MaintenanceRecordRemovedT removed;
  removed.record_id = "m1";
  shop.say(removed);
  EXPECT_DOUBLE_EQ(standing("t1").used.hours, 2);
}

TEST_F(MaintenanceTest, APrintUnderWayCountsWithThePartBehindIt) {
  print(0, 4, 40);
  shop.say(task("t1", 100));
  shop.say(record("m1", "t1", kStart + 3 * kHourUs));
  EXPECT_NEAR(standing("t1").used.hours, 1, 0.001);
  EXPECT_NEAR(standing("t1").used.filament_m, 10, 0.001);
  EXPECT_EQ(standing("t1").used.starts, 0);
}

TEST_F(MaintenanceTest, RecordsAreListedNewestFirstAndFiltered) {
  shop.say(record("m1", "", kStart + 5 * kSecond));
  shop.say(record("m2", "t1", kStart + 9 * kSecond, false));
  auto repair = record("m3", "", kStart + 7 * kSecond);
  repair.category = "repair";
  shop.say(repair);
  EXPECT_EQ(record_ids({}), (std::vector<std::string>{"m2", "m3", "m1"}));
  EXPECT_EQ(record_ids({.done = false}), (std::vector<std::string>{"m2"}));
  EXPECT_EQ(record_ids({.category = "repair"}), (std::vector<std::string>{"m3"}));
  EXPECT_EQ(record_ids({.task_id = "t1"}), (std::vector<std::string>{"m2"}));
  EXPECT_EQ(record_ids({.from = from_unix_us(kStart + 7 * kSecond), .to = from_unix_us(kStart + 9 * kSecond)}),
            (std::vector<std::string>{"m3"}));
  RecordQuery paged{.limit = 2};
  paged.machine = "voron-2";
  const auto first = list_records(*views.store->reader(), paged).value();
  paged.after = first.next;
  const auto second = list_records(*views.store->reader(), paged).value();
  ASSERT_EQ(second.records.size(), 1u);
  EXPECT_EQ(second.records[0].id, "m1");
  EXPECT_EQ(second.next, "");
  paged.after = "elsewhere";
  EXPECT_EQ(list_records(*views.store->reader(), paged).error().code, Errc::kInvalidArgument);
}

TEST_F(MaintenanceTest, IdsThatWereGivenAreNotGivenAgain) {
  shop.say(record("m7", "", kStart));
  schema::MaintenanceRecordRemovedT removed;
  removed.record_id = "m7";
  shop.say(removed);
  shop.say(record("imported-9", "", kStart));
  shop.say(task("t3", 1));
  EXPECT_EQ(odometer().last_record, 7u);
  EXPECT_EQ(odometer().last_task, 3u);
}

TEST_F(MaintenanceTest, WhatWasToldIsKeptAndGoesWithItsTask) {
  shop.say(task("t1", 1));
  schema::MaintenanceDueT told;
  told.task_id = "t1";
  told.due = true;
  shop.say(told);
  EXPECT_TRUE(standing("t1").task.told_due);
  schema::MaintenanceTaskRemovedT removed;
  removed.task_id = "t1";
  shop.say(removed);
  shop.say(told);  // was under way
  fold();
  EXPECT_TRUE(read_tasks(*views.store->reader(), "voron-2", {})->empty());
  EXPECT_EQ(find_task(*views.store->reader(), "voron-2", "t1").error().code, Errc::kNotFound);
}

TEST_F(MaintenanceTest, ARemovedMachineIsLeftOutWhereAllAreListed) {
  shop.say(task("t1", 1));
  shop.say(task("t1", 1), "ender-3");
  shop.say(schema::MachineRemovedT{}, "ender-3");
  fold();
  EXPECT_EQ(read_tasks(*views.store->reader(), "", {})->size(), 1u);
  EXPECT_EQ(read_tasks(*views.store->reader(), "ender-3", {})->size(), 1u);
  shop.say(connected(), "ender-3");
  fold();
  EXPECT_EQ(read_tasks(*views.store->reader(), "", {})->size(), 2u);
}

// Anything that may be said about a few prints of one machine.
class RandomUse {
 public:
  explicit RandomUse(uint64_t seed) : random_(seed) {}

  void say_something(Shop& shop) {
    const int64_t start_us = kStart + static_cast<int64_t>(random_.next() % 6) * 7 * kHourUs;
    const std::string local = "voron-2.e7-" + std::to_string(random_.next() % 3);
    const std::string id = random_.unit() < 0.3 ? local : row_id(start_us);
    switch (random_.next() % 9) {
      case 0:
        shop.say(started(id, id == local ? 0 : start_us));
        break;
      case 1: {
        auto event = progressed(id, 0.5, random_.between(0, 9000));
        event.print_duration = random_.between(0, 9000);
        shop.say(event);
        break;
      }
      case 2:
      case 3:
        shop.say(ended(id, random_.between(-10, 9000), random_.between(0, 9000), start_us + kHourUs,
                       schema::JobEvidence(random_.next() % 4)));
        break;
      case 4: {
        schema::JobIdentifiedT event;
        event.job_id = local;
        event.start_us = start_us;
        shop.say(event);
        break;
      }
      case 5: {
        auto event = of_job<schema::JobCorrectedT>(id);
        event.changed = {random_.unit() < 0.5 ? "print_duration" : "start_us"};
        event.print_duration = random_.between(0, 100);
        event.start_us = start_us + kDayUs;
        shop.say(event);
        break;
      }
      case 6:
        shop.say(of_job<schema::JobHiddenT>(id));
        break;
      case 7:
        shop.say(of_job<schema::JobUnhiddenT>(id));
        break;
      default:
        shop.say(record("m" + std::to_string(random_.next() % 5), "t1", start_us, random_.unit() < 0.5));
    }
  }
  uint64_t up_to(uint64_t most) { return 1 + random_.next() % most; }

 private:
  SeededRandom random_;
};

std::map<std::string, std::string> bytes_of(const Views& views) {
  std::map<std::string, std::string> bytes;
  EXPECT_TRUE(views.store->reader()->scan(kMaintenanceView, KeyRange::all(), [&](auto key, auto value) {
    bytes.emplace(key, value);
    return true;
  }));
  return bytes;
}

// The sums equal those of the prints that are counted, whatever was said about them and however it was grouped.
TEST_F(MaintenanceTest, SumsAreThoseOfThePrintsWhateverWasSaidAndHoweverItWasGrouped) {
  const uint64_t seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomUse use(seed);
  for (int i = 0; i < 400; ++i) use.say_something(shop);
  fold();
  Views grouped;
  const auto events = shop.events();
  for (size_t at = 0; at < events.size();) {
    const size_t end = std::min(events.size(), at + use.up_to(20));
    grouped.fold({events.begin() + static_cast<ptrdiff_t>(at), events.begin() + static_cast<ptrdiff_t>(end)});
    at = end;
  }
  EXPECT_EQ(bytes_of(grouped), bytes_of(views));

  int64_t prints = 0, print_ms = 0, days = 0, day_ms = 0;
  for (const auto& [key, value] : bytes_of(views)) {
    if (key.starts_with("s/")) {
      ++prints;
      print_ms += decode_record<schema::UpkeepShare>(value)->print_ms;
    }
    if (key.starts_with("d/")) {
      days += decode_record<schema::UpkeepDay>(value)->starts;
      day_ms += decode_record<schema::UpkeepDay>(value)->print_ms;
    }
  }
  EXPECT_EQ(odometer().total.starts, prints);
  EXPECT_DOUBLE_EQ(odometer().total.hours, static_cast<double>(print_ms) / 3.6e6);
  EXPECT_EQ(days, prints);
  EXPECT_EQ(day_ms, print_ms);
}

// Without corrections the odometer says what the history of jobs does.
TEST_F(MaintenanceTest, TheOdometerAgreesWithTheHistoryOfJobs) {
  const uint64_t seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  RandomUse use(seed);
  for (int i = 0; i < 300; ++i) use.say_something(shop);
  Views evidence_only;
  std::vector<RecordedEvent> events;
  for (const RecordedEvent& event : shop.events()) {
    if (event.envelope.type() <= EventType::JobObjectExcluded) events.push_back(event);
  }
  evidence_only.fold(events);
  double seconds = 0;
  const auto jobs = evidence_only.jobs({.limit = 500});
  for (const auto& job : jobs) seconds += job.print_duration.value_or(0);
  const auto found = read_odometer(*evidence_only.store->reader(), "voron-2", {}).value();
  EXPECT_EQ(found.total.starts, static_cast<int64_t>(jobs.size()));
  EXPECT_NEAR(found.total.hours, seconds / 3600, 1e-6 * static_cast<double>(jobs.size() + 1));
}

}  // namespace
}  // namespace millrace
