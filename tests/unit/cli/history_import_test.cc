// SPDX-License-Identifier: Apache-2.0
#include "cli/history_import.h"

#include "bus/metrics.h"
#include "cli/moonraker_history.h"
#include "producers/moonraker/row_events.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"

namespace millrace {
namespace {

HistoryRow row_of(int64_t start_us, const std::string& status = "completed", const std::string& file = "cube.gcode") {
  HistoryRow row;
  row.start_us = start_us;
  row.end_us = status == "in_progress" ? 0 : start_us + 100 * kSecond;
  row.moonraker_job_id = "00000A";
  row.filename = file;
  row.status = status;
  row.user = "anna";
  row.total_duration = 100;
  row.print_duration = 90;
  row.filament_used = 1234.5;
  row.metadata_json = R"({"slicer":"OrcaSlicer"})";
  return row;
}

class HistoryImportTest : public ::testing::Test {
 protected:
  void fold() {
    const auto events = shop.events();
    views.fold({events.begin() + static_cast<ptrdiff_t>(folded), events.end()});
    folded = events.size();
  }
  template <class Event>
  void say(Event event) {
    shop.say(std::move(event));
    fold();
  }
  ImportTally take(std::vector<HistoryRow> rows) {
    const auto tally = import.take({"voron-2", 12, std::move(rows)});
    EXPECT_TRUE(tally.has_value()) << tally.error().message();
    return tally ? *tally : ImportTally{};
  }

  Shop shop;
  Views views;
  size_t folded = 0;
  size_t groups = 0;
  ::millrace::testing::ManualClock clock;
  HistoryImport import{{*views.store, [this] { return shop.log->last(); },
                        [this](std::vector<EventDraft> events) -> Result<Position> {
                          ++groups;
                          return shop.append(std::move(events))->last;
                        },
                        [this](Position) -> Result<void> {
                          fold();
                          return {};
                        },
                        clock}};
};

TEST_F(HistoryImportTest, ARowIsTheEventsOfABackfill) {
  const ImportTally tally = take({row_of(kStart)});
  EXPECT_EQ(tally.new_jobs, 1u);
  EXPECT_EQ(tally.events, 2u);
  EXPECT_TRUE(tally.new_machine);
  const auto events = shop.events();
  ASSERT_EQ(events.size(), 2u);
  const auto* start = events[0].envelope.as<schema::JobStarted>();
  ASSERT_NE(start, nullptr);
  EXPECT_EQ(text(start->job_id()), row_id());
  EXPECT_EQ(start->seen(), schema::JobSeen::history);
  EXPECT_EQ(start->skew_ms(), 12);
  EXPECT_EQ(to_unix_us(events[0].envelope.occurred_at()), kStart);
  const auto* end = events[1].envelope.as<schema::JobFinished>();
  ASSERT_NE(end, nullptr);
  EXPECT_EQ(end->outcome(), schema::JobOutcome::completed);
  EXPECT_EQ(end->evidence(), schema::JobEvidence::conclusive);
  EXPECT_EQ(views.jobs()[0].filament_used, 1234.5);
}

TEST_F(HistoryImportTest, TheSameRowsAgainAddNothing) {
  std::vector<HistoryRow> rows;
  for (const char* status : {"completed", "cancelled", "error", "klippy_shutdown", "klippy_disconnect", "server_exit",
                             "interrupted", "in_progress", "word of a later Moonraker"}) {
    rows.push_back(row_of(kStart + static_cast<int64_t>(rows.size()) * 1000 * kSecond, status));
  }
  rows.push_back(row_of(kStart + 90'000 * kSecond));
  rows.back().total_duration.reset();
  EXPECT_EQ(take(rows).new_jobs, rows.size());
  const Position end = shop.log->last();
  const ImportTally again = take(rows);
  EXPECT_EQ(again.known, rows.size());
  EXPECT_EQ(again.events, 0u);
  EXPECT_EQ(shop.log->last(), end);
}

TEST_F(HistoryImportTest, WhatWasWatchedAddsNothing) {
  say(started_by_row(row_id(), row_of(kStart), schema::JobSeen::live, 3));
  say(finished_by_row(row_id(), row_of(kStart), schema::JobSeen::live, 3));
  EXPECT_EQ(take({row_of(kStart)}).known, 1u);
}

TEST_F(HistoryImportTest, APrintWithALocalIdIsFoundByItsRow) {
  const std::string local = "voron-2.e7-1";
  say(started(local, 0));
  schema::JobIdentifiedT identified;
  identified.job_id = local;
  identified.start_us = kStart;
  say(identified);
  EXPECT_EQ(take({row_of(kStart)}).new_ends, 1u);
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].id, local);
  EXPECT_EQ(views.jobs()[0].outcome, schema::JobOutcome::completed);
  EXPECT_EQ(take({row_of(kStart)}).known, 1u);
}

TEST_F(HistoryImportTest, AnInconclusiveEndIsBetteredByARowAndNotTheOtherWayRound) {
  take({row_of(kStart, "interrupted")});
  EXPECT_EQ(take({row_of(kStart, "completed")}).new_ends, 1u);
  EXPECT_EQ(take({row_of(kStart, "interrupted")}).known, 1u);
  EXPECT_EQ(views.jobs()[0].outcome, schema::JobOutcome::completed);
}

TEST_F(HistoryImportTest, TheOneRowOfASplitPrintSaysNothing) {
  say(started(row_id(), kStart));
  auto replaced = finished(row_id(), schema::JobOutcome::cancelled, schema::JobEvidence::observed, 40);
  replaced.cause = "replaced";
  say(replaced);
  EXPECT_EQ(take({row_of(kStart)}).known, 1u);
}

TEST_F(HistoryImportTest, TwoPrintsWithOneStartAreTwoJobs) {
  auto other = row_of(kStart, "cancelled", "other.gcode");
  other.moonraker_job_id = "00000B";
  for (int round = 0; round < 2; ++round) take({row_of(kStart), other});
  const auto jobs = views.jobs();
  ASSERT_EQ(jobs.size(), 2u);
  std::set<std::string> ids{jobs[0].id, jobs[1].id};
  EXPECT_EQ(ids, (std::set<std::string>{row_id(), row_id() + "-2"}));
  EXPECT_EQ(shop.events().size(), 4u);
}

TEST_F(HistoryImportTest, AnotherNumberOfTheSamePrintIsNoOtherPrint) {
  take({row_of(kStart)});
  auto renumbered = row_of(kStart);
  renumbered.moonraker_job_id = "000001";
  EXPECT_EQ(take({renumbered}).known, 1u);
}

TEST_F(HistoryImportTest, ManyRowsAreFewGroups) {
  std::vector<HistoryRow> rows;
  for (int i = 0; i < 500; ++i) rows.push_back(row_of(kStart + i * 1000 * kSecond));
  EXPECT_EQ(take(rows).new_jobs, 500u);
  EXPECT_LE(groups, 4u);
}

TEST_F(HistoryImportTest, WrongMachinesAndTooManyRowsAreRefused) {
  EXPECT_EQ(import.take({"Voron 2", {}, {}}).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(import.take({"hub", {}, {}}).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(import.take({"voron-2", {}, std::vector<HistoryRow>(501)}).error().code, Errc::kInvalidArgument);
}

TEST_F(HistoryImportTest, RowsAndTalliesTravelAsJson) {
  JsonReader reader;
  const ImportedRows sent{"voron-2", -7, {row_of(kStart, "error", "Würfel \"1\".gcode")}};
  const std::string text = to_json(sent);
  const auto received = imported_rows_in(reader.parse(text).value()).value();
  EXPECT_EQ(to_json(received), text);
  EXPECT_EQ(received.skew_ms, -7);
  EXPECT_FALSE(imported_rows_in(reader.parse(R"({"machine":"m","rows":[{"status":"x"}]})").value()));
  const auto tally = import_tally_in(reader.parse(to_json(take({row_of(kStart)}))).value()).value();
  EXPECT_EQ(tally.new_jobs, 1u);
  EXPECT_EQ(tally.position, Position{2});
}

// A Moonraker made of texts: one a row.
class MoonrakerHistoryTest : public ::testing::Test {
 protected:
  static std::string good_row(int64_t number) {
    return R"({"job_id":"0","filename":"a.gcode","status":"completed","start_time":)" + std::to_string(1000 + number) +
           R"(,"end_time":2000,"total_duration":10,"print_duration":5,"filament_used":1})";
  }
  HttpResponse page(const std::string& target) {
    targets.push_back(target);
    const auto number_in = [&](const std::string& name) {
      return std::stoull(target.substr(target.find(name + "=") + name.size() + 1));
    };
    const size_t start = number_in("start"), limit = number_in("limit");
    HttpResponse answer;
    answer.headers = {{"date", "Sat, 21 Nov 2026 19:49:27 GMT"}};
    answer.body = R"({"result":{"count":1,"jobs":[)";
    for (size_t i = start; i < std::min(rows.size(), start + limit); ++i) {
      answer.body += (i > start ? "," : "") + rows[i];
    }
    answer.body += "]}}";
    return answer;
  }
  size_t read_all() {
    std::set<int64_t> starts;
    size_t count = 0;
    for (;;) {
      const auto next = history.next();
      if (!next) {
        failed = next.error();
        break;
      }
      if (next->empty()) break;
      for (const HistoryRow& row : *next) starts.insert(row.start_us);
      count += next->size();
    }
    EXPECT_EQ(starts.size(), count) << "a row came twice";
    return count;
  }

  std::vector<std::string> rows;
  std::vector<std::string> targets;
  std::vector<std::string> warnings;
  std::vector<std::chrono::milliseconds> pauses;
  std::vector<std::string> whys;
  bool stopped = false;
  SeededRandom random{1};
  std::function<Result<HttpResponse>(const std::string&)> answer = [this](const std::string& target) {
    return page(target);
  };
  std::optional<Error> failed;
  ::millrace::testing::ManualClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  ProtocolErrors errors{"voron-2", clock, metrics->counter("errors", "")};
  MoonrakerHistory history{{[this](const std::string& target) { return answer(target); },
                            [this](std::chrono::milliseconds time, int retry, const std::string& why) {
                              pauses.push_back(time);
                              EXPECT_EQ(retry, static_cast<int>(pauses.size()));
                              whys.push_back(why);
                              return !stopped;
                            },
                            [this](const std::string& warning) { warnings.push_back(warning); }},
                           errors,
                           random};
};

TEST_F(MoonrakerHistoryTest, EveryRowIsReadOnceToTheEnd) {
  for (int i = 0; i < 1234; ++i) rows.push_back(good_row(i));
  EXPECT_EQ(read_all(), 1234u);
  EXPECT_EQ(targets.front(), "/server/history/list?limit=500&start=0&order=asc");
  EXPECT_EQ(targets[1], "/server/history/list?limit=500&start=495&order=asc");
  EXPECT_EQ(targets.size(), 3u);
  EXPECT_EQ(history.machine_unix_s(), 1795290567);
  EXPECT_FALSE(failed);
}

TEST_F(MoonrakerHistoryTest, AnEmptyHistoryIsNoError) {
  EXPECT_EQ(read_all(), 0u);
  EXPECT_FALSE(failed);
}

TEST_F(MoonrakerHistoryTest, ARowWithoutAStartIsToldAndLeftOut) {
  rows = {good_row(1), R"({"job_id":"7","filename":"b.gcode","status":"completed"})", good_row(2)};
  EXPECT_EQ(read_all(), 2u);
  EXPECT_EQ(history.unusable(), 1u);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("\"job_id\":\"7\""), std::string::npos) << warnings[0];
  EXPECT_EQ(warnings[0].substr(0, 6), "row 2 ");
}

TEST_F(MoonrakerHistoryTest, ARowThatIsNoJsonCostsOnlyItself) {
  for (int i = 0; i < 700; ++i) rows.push_back(good_row(i));
  rows[300] = "{\"status\":\"comp\xff\xfe";
  EXPECT_EQ(read_all(), 699u);
  EXPECT_EQ(history.unusable(), 1u);
  EXPECT_FALSE(failed);
}

TEST_F(MoonrakerHistoryTest, NotANumberIsNoAmountAndTheRowIsKept) {
  rows = {R"({"job_id":"1","filename":"NaN \"NaN\".gcode","status":"error","start_time":1500,)"
          R"("total_duration":NaN,"print_duration":-3,"filament_used":-Infinity})"};
  const auto found = history.next();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->size(), 1u);
  const HistoryRow& row = found->front();
  EXPECT_EQ(row.filename, "NaN \"NaN\".gcode");
  EXPECT_FALSE(row.total_duration || row.print_duration || row.filament_used);
  EXPECT_NE(row.auxiliary_json.find("\"total_duration\":\"NaN\""), std::string::npos) << row.auxiliary_json;
}

TEST_F(MoonrakerHistoryTest, AnAnswerThatIsTooLargeIsAskedForInSmallerPages) {
  for (int i = 0; i < 300; ++i) rows.push_back(good_row(i));
  answer = [this](const std::string& target) -> Result<HttpResponse> {
    HttpResponse found = page(target);
    if (found.body.size() > 10'000) return make_error(Errc::kTooLarge, "too large");
    return found;
  };
  EXPECT_EQ(read_all(), 300u);
}

TEST_F(MoonrakerHistoryTest, WhatMayPassIsTriedAgain) {
  rows = {good_row(1)};
  int failures = 3;
  answer = [this, &failures](const std::string& target) -> Result<HttpResponse> {
    if (failures-- == 3) return make_error(Errc::kUnavailable, "refused");
    HttpResponse broken;
    broken.status = 503;
    return failures >= 0 ? broken : page(target);
  };
  EXPECT_EQ(read_all(), 1u);
  EXPECT_EQ(whys, (std::vector<std::string>{"refused", "Moonraker answers 503", "Moonraker answers 503"}));
}

TEST_F(MoonrakerHistoryTest, WhatKeepsFailingIsGivenUpAfterFiveRetriesFurtherAndFurtherApart) {
  answer = [](const std::string&) -> Result<HttpResponse> { return make_error(Errc::kTimeout, "no answer"); };
  read_all();
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->code, Errc::kTimeout);
  ASSERT_EQ(pauses.size(), 5u);
  for (size_t i = 0; i < pauses.size(); ++i) {
    EXPECT_GE(pauses[i], std::chrono::milliseconds(800 << i)) << i;
    EXPECT_LE(pauses[i], std::chrono::milliseconds(std::min(1200 << i, 16'000))) << i;
  }
}

TEST_F(MoonrakerHistoryTest, WhoWantsAnEndWaitsForNoRetry) {
  stopped = true;
  answer = [](const std::string&) -> Result<HttpResponse> { return make_error(Errc::kUnavailable, "refused"); };
  read_all();
  ASSERT_TRUE(failed);
  EXPECT_EQ(pauses.size(), 1u);
}

TEST_F(MoonrakerHistoryTest, WhatDoesNotPassIsSaid) {
  const auto fails_with = [this](int status, const std::string& body) {
    HttpResponse response;
    response.status = status;
    response.body = body;
    answer = [response](const std::string&) { return response; };
    const auto next = history.next();
    return next ? Error{Errc::kIo, "no error"} : next.error();
  };
  EXPECT_NE(fails_with(401, "").context.find("--api-key-file"), std::string::npos);
  EXPECT_EQ(fails_with(401, "").code, Errc::kUnavailable);
  EXPECT_EQ(fails_with(404, "").code, Errc::kNotFound);
  EXPECT_EQ(fails_with(500, "oops").code, Errc::kUnavailable);
  EXPECT_EQ(fails_with(200, R"({"hello":"world"})").code, Errc::kMalformed);
  EXPECT_EQ(fails_with(200, "<html>").code, Errc::kMalformed) << "after some tries";
}

TEST_F(MoonrakerHistoryTest, AHistoryThatRepeatsItselfEnds) {
  for (int i = 0; i < 500; ++i) rows.push_back(good_row(i));
  answer = [this](const std::string&) { return page("/server/history/list?limit=500&start=0&order=asc"); };
  EXPECT_EQ(read_all(), 500u);
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->code, Errc::kMalformed);
}

}  // namespace
}  // namespace millrace
