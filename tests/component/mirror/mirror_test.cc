// SPDX-License-Identifier: Apache-2.0
// The mirror's promises, on an SQLite file, a real MariaDB and a real PostgreSQL.
#include "mirror/mirror.h"

#include <cmath>
#include <limits>

#include "bus/random.h"
#include "bus/sha256.h"
#include "tests/component/mirror/mirror_fixture.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const SqlValue kNull{};

schema::JobMetadataReadT sliced(const std::string& id) {
  schema::JobMetadataReadT event;
  event.job_id = id;
  event.slicer_name = kOdd;
  event.source = "file";
  event.layer_height = 0.2;
  event.support_enabled = false;
  event.settings_json = R"({"a":"\u0000","b":[1]})";
  for (const double grams : {9.85, 12.27}) {
    event.extruders.push_back(std::make_unique<schema::SlicedExtruderT>());
    event.extruders.back()->used_g = grams;
    event.extruders.back()->filament_vendor = "eSUN";
  }
  return event;
}

schema::MaintenanceRecordedT done_record(const std::string& id, double cost) {
  schema::MaintenanceRecordedT event;
  event.record_id = id;
  event.date_us = kStart;
  event.done = true;
  event.category = "cleaning";
  event.description = kOdd;
  event.cost = cost;
  return event;
}

schema::JobAnnotatedT titled(const std::string& id, std::string_view title) {
  schema::JobAnnotatedT event;
  event.job_id = id;
  event.changed = {"title", "verdict", "tags"};
  event.title = title;
  event.verdict = schema::JobVerdict::scrap;
  event.tags = {"a", std::string(kOdd)};
  return event;
}

schema::JobHiddenT hidden(const std::string& id) {
  schema::JobHiddenT event;
  event.job_id = id;
  return event;
}

class MirrorTest : public MirrorFixture {
 protected:
  void print_completed(int64_t start_us, double total = 100) {
    shop.say(started(row_id(start_us), start_us, std::string(kOdd)));
    shop.say(finished(row_id(start_us), schema::JobOutcome::completed, schema::JobEvidence::conclusive, total));
  }

  // Anything that may happen, to two machines.
  void something(Random& random) {
    const std::string machine = random.unit() < 0.5 ? "voron-2" : "mk4";
    const uint64_t number = random.next() % 12;
    // Two prints without a row are said to be the same row by and by.
    const int64_t start_us = kStart + static_cast<int64_t>(number % 6) * 1000 * kSecond;
    const std::string row = machine + "." + std::to_string(start_us);
    const std::string local = machine + ".e7-" + std::to_string(number);
    const std::string id = random.unit() < 0.6 ? row : local;
    const auto outcome = static_cast<schema::JobOutcome>(2 + random.next() % 4);
    switch (random.next() % 14) {
      case 0:
        return void(shop.say(registered("Machine " + std::to_string(random.next() % 3)), machine));
      case 1:
        return void(shop.say(connected(), machine));
      case 2:
      case 3:
      case 4:
        return void(shop.say(started(id, id == row ? start_us : 0), machine));
      case 5:
      case 6:
        return void(shop.say(finished(id, outcome, schema::JobEvidence::conclusive, 1e4 * random.unit()), machine));
      case 7:
        return void(shop.say(progressed(id, random.unit(), 1e3 * random.unit()), machine));
      case 8: {
        schema::JobIdentifiedT event;
        event.job_id = local;
        event.start_us = start_us;
        return void(shop.say(std::move(event), machine));
      }
      case 9:
        return void(shop.say(titled(id, "t" + std::to_string(random.next())), machine));
      case 10:
        return void(shop.say(hidden(id), machine));
      case 11:
        return void(shop.say(sliced(id), machine));
      case 12: {
        if (random.unit() < 0.6)
          return void(shop.say(done_record("m" + std::to_string(random.next() % 3), 2.5), machine));
        schema::MaintenanceRecordRemovedT event;
        event.record_id = "m" + std::to_string(random.next() % 3);
        return void(shop.say(std::move(event), machine));
      }
      default:
        return void(shop.say(schema::MachineRemovedT{}, machine));
    }
  }
};

TEST_P(MirrorTest, TablesAreFilledFromTheLog) {
  shop.say(registered(std::string(kOdd)));
  print_completed(kStart);
  shop.say(titled(row_id(), kOdd));
  shop.say(sliced(row_id()));
  shop.say(done_record("m1", 4.5));
  run();
  EXPECT_THAT(rows("SELECT id, machine_id, name FROM printers"),
              ElementsAre(SqlRow{int64_t{1}, sql_text("voron-2"), sql_text(kOdd)}));
  EXPECT_THAT(rows("SELECT id, printer_id, millrace_job_id, filename, title, status, verdict, total_duration, tags "
                   "FROM print_jobs"),
              ElementsAre(SqlRow{int64_t{1}, int64_t{1}, sql_text(row_id()), sql_text(kOdd), sql_text(kOdd),
                                 sql_text("completed"), sql_text("scrap"), 100.0,
                                 rows("SELECT tags FROM print_jobs").at(0).at(0)}));
  EXPECT_THAT(rows("SELECT print_job_id, slicer_name, layer_height, support_enabled, filament_brand, filament_used_g, "
                   "config_block, thumbnail_base64 FROM job_details"),
              ElementsAre(SqlRow{int64_t{1}, sql_text(kOdd), 0.2, int64_t{0}, sql_text("eSUN"),
                                 sql_text("[9.85,12.27]"), sql_text(R"({"a":"\u0000","b":[1]})"), kNull}));
  EXPECT_THAT(rows("SELECT printer_id, total_jobs, total_time, longest_job FROM job_totals"),
              ElementsAre(SqlRow{int64_t{1}, int64_t{1}, 100.0, 100.0}));
  EXPECT_THAT(rows("SELECT id, printer_id, done, cost, description FROM maintenance_records"),
              ElementsAre(SqlRow{int64_t{1}, int64_t{1}, int64_t{1}, 4.5, sql_text(kOdd)}));
}

TEST_P(MirrorTest, PicturesAndSettingsComeFromTheBlobsThatAreAtHand) {
  const testing::TemporaryDirectory folder;
  blobs = open_blob_folder(folder.path()).value();
  const std::string picture = "\x89PNG", settings = R"({"large":true})";
  for (const auto& bytes : {picture, settings}) ASSERT_TRUE(blobs->put(hex_of(Sha256Digester().digest(bytes)), bytes));
  auto there = sliced(row_id());
  there.thumbnail_blob = hex_of(Sha256Digester().digest(picture));
  there.settings_json.clear();
  there.settings_blob = hex_of(Sha256Digester().digest(settings));
  auto missing = sliced(row_id(kStart + 1000 * kSecond));
  missing.thumbnail_blob = hex_of(Sha256Digester().digest("never stored"));
  print_completed(kStart);
  print_completed(kStart + 1000 * kSecond);
  shop.say(std::move(there));
  shop.say(std::move(missing));
  run();
  EXPECT_THAT(rows("SELECT thumbnail_base64 FROM job_details ORDER BY id"),
              ElementsAre(SqlRow{sql_text("iVBORw==")}, SqlRow{kNull}));
  EXPECT_THAT(rows("SELECT config_block FROM job_details WHERE id = 1"), ElementsAre(SqlRow{sql_text(settings)}));
}

TEST_P(MirrorTest, TimesAreUtcInATypeOfTheServer) {
  print_completed(kStart);  // 2026-11-20T21:23:06.041954Z
  run();
  const auto time = GetParam() == SqlServerKind::kSqlite    ? "2026-11-20T21:23:06.041954Z"
                    : GetParam() == SqlServerKind::kMariadb ? "2026-11-20 21:23:06.041954"
                                                            : "2026-11-20 21:23:06.041954+00";
  EXPECT_THAT(rows("SELECT start_time FROM print_jobs"), ElementsAre(SqlRow{sql_text(time)}));
  const auto* year = GetParam() == SqlServerKind::kSqlite
                         ? "SELECT CAST(strftime('%Y', start_time) AS INTEGER) FROM print_jobs"
                         : "SELECT EXTRACT(YEAR FROM start_time) + 0 FROM print_jobs";
  const auto number = rows(year).at(0).at(0);
  EXPECT_TRUE(number == SqlValue{int64_t{2026}} || number == SqlValue{2026.0});
}

TEST_P(MirrorTest, WhateverHappensAndWhereverItIsKilledItEqualsAMirrorFromScratch) {
  const uint64_t seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  SeededRandom random(seed);
  batch.events = 7;
  for (int life = 0; life < 12; ++life) {
    for (uint64_t i = random.next() % 20; i > 0; --i) something(random);
    for (uint64_t i = random.next() % 4; i > 0; --i) ASSERT_TRUE(pass());
    if (random.unit() < 0.5) mirror.reset();  // killed between a commit and the next batch
  }
  run();
  EXPECT_EQ(tables(url), made_from_scratch());
  const auto again = pass();
  EXPECT_EQ(again->rows, 0u);
}

// Fails in the middle of a transaction.
class FailingViews final : public ViewStore {
 public:
  explicit FailingViews(ViewStore& inner) : inner_(inner) {}
  Result<void> commit(const std::vector<ViewWrite>&) override { return {}; }
  Result<void> clear(std::string_view, const std::vector<ViewWrite>&) override { return {}; }
  std::shared_ptr<const ViewReader> reader() const override {
    if (readers_left-- > 0) return inner_.reader();
    class None final : public ViewReader {
      Result<std::optional<std::string>> get(std::string_view, std::string_view) const override {
        return make_error(Errc::kIo, "gone");
      }
      Result<void> scan(std::string_view, const KeyRange&, const Visitor&) const override { return {}; }
    };
    return std::make_shared<None>();
  }
  mutable int readers_left = 1;

 private:
  ViewStore& inner_;
};

TEST_P(MirrorTest, ABatchIsThereWholeOrNotAtAll) {
  for (int64_t i = 0; i < 700; ++i) print_completed(kStart + i * kSecond);  // more than one chunk
  fold();
  FailingViews failing(*views.store);
  Mirror torn(options_for(url), {*shop.log, failing, nullptr, [](Position) { return true; }, clock, *metrics});
  EXPECT_EQ(torn.run_once().error().code, Errc::kIo);
  EXPECT_THAT(rows("SELECT * FROM print_jobs"), IsEmpty());
  EXPECT_THAT(rows("SELECT log_position FROM millrace_mirror"), ElementsAre(SqlRow{int64_t{0}}));
  run();
  EXPECT_THAT(rows("SELECT id FROM print_jobs"), SizeIs(700));
  EXPECT_EQ(tables(url), made_from_scratch());
}

TEST_P(MirrorTest, HiddenJobsGoAndTheTotalsWithThem) {
  print_completed(kStart, 50);
  print_completed(kStart + 1000 * kSecond, 200);
  run();
  EXPECT_THAT(rows("SELECT total_jobs, total_time, longest_job FROM job_totals"),
              ElementsAre(SqlRow{int64_t{2}, 250.0, 200.0}));
  shop.say(hidden(row_id(kStart + 1000 * kSecond)));
  run();
  EXPECT_THAT(rows("SELECT id FROM print_jobs"), ElementsAre(SqlRow{int64_t{1}}));
  EXPECT_THAT(rows("SELECT total_jobs, total_time, longest_job FROM job_totals"),
              ElementsAre(SqlRow{int64_t{1}, 50.0, 50.0}));
  schema::JobUnhiddenT shown;
  shown.job_id = row_id(kStart + 1000 * kSecond);
  shop.say(std::move(shown));
  run();
  EXPECT_THAT(rows("SELECT id FROM print_jobs ORDER BY id"), ElementsAre(SqlRow{int64_t{1}}, SqlRow{int64_t{2}}));
}

TEST_P(MirrorTest, ARemovedMachineStaysAndIsNotActive) {
  print_completed(kStart);
  run();
  EXPECT_THAT(rows("SELECT is_active FROM printers"), ElementsAre(SqlRow{int64_t{1}}));
  shop.say(schema::MachineRemovedT{});
  run();
  EXPECT_THAT(rows("SELECT is_active FROM printers"), ElementsAre(SqlRow{int64_t{0}}));
  EXPECT_THAT(rows("SELECT id FROM print_jobs"), SizeIs(1));
}

TEST_P(MirrorTest, ARowThatTurnsOutToBeAnotherPrintGoes) {
  shop.say(started("voron-2.e7-1", 0));
  print_completed(kStart);
  run();
  EXPECT_THAT(rows("SELECT id FROM print_jobs"), SizeIs(2));
  schema::JobIdentifiedT identified;
  identified.job_id = "voron-2.e7-1";
  identified.start_us = kStart;
  shop.say(std::move(identified));
  run();
  EXPECT_THAT(rows("SELECT millrace_job_id FROM print_jobs"), ElementsAre(SqlRow{sql_text("voron-2.e7-1")}));
  EXPECT_EQ(tables(url), made_from_scratch());
}

TEST_P(MirrorTest, WhatIsNoNumberNoTextOrNoTimeIsNull) {
  auto odd = sliced(row_id());
  odd.layer_height = std::nan("");
  odd.object_height = std::numeric_limits<double>::infinity();
  odd.file_bytes = std::numeric_limits<uint64_t>::max();
  odd.infill_pattern = std::string("a\0b\xFF", 4);
  odd.settings_json = "{broken";
  odd.file_modified_us = std::numeric_limits<int64_t>::max();
  shop.say(started(row_id(), kStart));
  shop.say(std::move(odd));
  shop.say(done_record("m1", std::nan("")));
  run();
  EXPECT_THAT(rows("SELECT layer_height, object_height, file_bytes, infill_pattern, config_block, file_modified "
                   "FROM job_details"),
              ElementsAre(SqlRow{kNull, kNull, std::numeric_limits<int64_t>::max(),
                                 sql_text("a\xEF\xBF\xBD"
                                          "b\xEF\xBF\xBD"),
                                 kNull, kNull}));
  EXPECT_THAT(rows("SELECT cost FROM maintenance_records"), ElementsAre(SqlRow{kNull}));
}

TEST_P(MirrorTest, IdsThatNoProgramWritesStopNothing) {
  shop.say(registered("huge"), std::string(300, 'm'));
  shop.say(registered("lower"), "mk4");
  shop.say(registered("upper"), "MK4");
  shop.say(started("mk4." + std::string(200, 'x'), 0), "mk4");
  run();
  EXPECT_THAT(rows("SELECT name FROM printers ORDER BY id"),
              ElementsAre(SqlRow{sql_text("lower")}, SqlRow{sql_text("upper")}));
  EXPECT_THAT(rows("SELECT id FROM print_jobs"), SizeIs(1));
}

TEST_P(MirrorTest, TablesOfAnotherLogAreRefusedUntilARebuildIsAskedFor) {
  print_completed(kStart);
  run();
  mirror.reset();
  shop = Shop(2);
  views = Views();
  folded = 0;
  shop.say(registered("Another"), "mk4");
  const auto refused = pass();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(refused.error().context, HasSubstr("millrace mirror rebuild"));
  EXPECT_THAT(rows("SELECT machine_id FROM printers"), ElementsAre(SqlRow{sql_text("voron-2")}));
  ASSERT_TRUE(request_mirror_rebuild(*open(url)));
  run();
  EXPECT_THAT(rows("SELECT machine_id FROM printers"), ElementsAre(SqlRow{sql_text("mk4")}));
}

TEST_P(MirrorTest, ARebuildThatIsAskedForWhileItRunsIsDone) {
  print_completed(kStart);
  run();
  const auto before = tables(url);
  execute("UPDATE print_jobs SET title = 'changed by hand'");
  ASSERT_TRUE(request_mirror_rebuild(*open(url)));
  run();
  EXPECT_EQ(tables(url), before);
}

TEST_P(MirrorTest, ADeathWhileTheTablesAreMadeDoesNoHarm) {
  print_completed(kStart);
  run();
  mirror.reset();
  ASSERT_TRUE(request_mirror_rebuild(*open(url)));
  execute("DROP TABLE maintenance_records");
  execute("DROP TABLE job_totals");
  run();
  EXPECT_EQ(tables(url), made_from_scratch());
}

TEST_P(MirrorTest, TablesOfOtherViewsAndOfUnreadableNamesAreMadeAnew) {
  print_completed(kStart);
  run();
  for (const auto* change : {"UPDATE millrace_mirror SET views = 'older'", "UPDATE millrace_mirror SET replaced_at = 5",
                             "UPDATE millrace_mirror SET schema_version = 0"}) {
    execute(change);
    execute("UPDATE print_jobs SET title = 'left over'");
    run();
    EXPECT_THAT(rows("SELECT title FROM print_jobs"), ElementsAre(SqlRow{kNull})) << change;
  }
}

TEST_P(MirrorTest, TablesThatAreNotItsOwnAreLeftAlone) {
  execute("CREATE TABLE print_jobs (id INTEGER, mine INTEGER)");
  execute("INSERT INTO print_jobs VALUES (1, 2)");
  const auto refused = pass();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(refused.error().context, HasSubstr("print_jobs"));
  EXPECT_EQ(request_mirror_rebuild(*open(url)).error().code, Errc::kConflict);
  EXPECT_THAT(rows("SELECT mine FROM print_jobs"), ElementsAre(SqlRow{int64_t{2}}));
}

TEST_P(MirrorTest, TablesOfANewerProgramAndOfALongerLogAreRefused) {
  print_completed(kStart);
  run();
  execute("UPDATE millrace_mirror SET schema_version = 99");
  EXPECT_EQ(pass().error().code, Errc::kIncompatible);
  execute("UPDATE millrace_mirror SET schema_version = 1, log_position = 1000");
  EXPECT_EQ(pass().error().code, Errc::kConflict);
}

TEST_P(MirrorTest, TwoMirrorsOfOneDatabaseDoNotBothWrite) {
  print_completed(kStart);
  run();
  const auto database = open(url);
  const auto moved =
      database->transact([&] { return move_mirror_position(*database, Position{0}, Position{9}, clock.wall()); });
  EXPECT_EQ(moved.error().code, Errc::kConflict);
}

TEST_P(MirrorTest, ItWaitsForTheViews) {
  shop.say(registered("one"));
  run();
  print_completed(kStart);
  const auto behind = mirror->run_once();  // nothing was folded
  EXPECT_EQ(behind.error().code, Errc::kUnavailable);
  run();
  EXPECT_THAT(rows("SELECT id FROM print_jobs"), SizeIs(1));
}

TEST_P(MirrorTest, TelemetryAloneWritesNothing) {
  shop.say(registered("one"));
  run();
  const auto before = rows("SELECT * FROM millrace_mirror");
  clock.advance(std::chrono::hours(1));
  shop.say(sampled({{"extruder", "temperature", 200}}));
  EXPECT_EQ(pass()->position, shop.log->last());
  EXPECT_EQ(rows("SELECT * FROM millrace_mirror"), before);
  EXPECT_EQ(metrics->gauge("millrace_mirror_lag_positions", "").value(), 0);
}

TEST_P(MirrorTest, AStateTableThatIsNotItsOwnIsLeftAlone) {
  execute("CREATE TABLE millrace_mirror (id INTEGER, mine INTEGER)");
  const auto refused = pass();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kConflict);
  EXPECT_THAT(refused.error().context, HasSubstr("millrace_mirror"));
}

class PostgresqlMirrorTest : public MirrorTest {};

TEST_P(PostgresqlMirrorTest, ARebuildLeavesWhatOthersBuiltOnTheTables) {
  print_completed(kStart);
  run();
  execute("CREATE VIEW finished AS SELECT filename FROM print_jobs");
  execute("GRANT SELECT ON print_jobs TO PUBLIC");
  execute("UPDATE print_jobs SET title = 'changed by hand'");
  ASSERT_TRUE(request_mirror_rebuild(*open(url)));
  run();
  EXPECT_THAT(rows("SELECT title FROM print_jobs"), ElementsAre(SqlRow{kNull}));
  EXPECT_THAT(rows("SELECT filename FROM finished"), SizeIs(1));
  EXPECT_THAT(rows("SELECT grantee FROM information_schema.role_table_grants WHERE table_name = 'print_jobs' AND "
                   "grantee = 'PUBLIC'"),
              SizeIs(1));
}

TEST_P(PostgresqlMirrorTest, ATableThatIsMissingIsMadeBesideThoseThatAViewReads) {
  print_completed(kStart);
  run();
  const auto before = tables(url);
  execute("CREATE VIEW finished AS SELECT filename FROM print_jobs");
  execute("DROP TABLE job_details");
  ASSERT_TRUE(request_mirror_rebuild(*open(url)));
  run();
  EXPECT_EQ(tables(url), before);
}

TEST_P(PostgresqlMirrorTest, WhatCannotBeDroppedStaysWhole) {
  print_completed(kStart);
  run();
  execute("CREATE VIEW finished AS SELECT filename FROM print_jobs");
  execute("ALTER TABLE job_totals DROP COLUMN longest_job");
  ASSERT_TRUE(request_mirror_rebuild(*open(url)));
  const auto refused = pass();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().context, HasSubstr("finished"));
  EXPECT_THAT(rows("SELECT id FROM print_jobs"), SizeIs(1));
  execute("DROP VIEW finished");
  run();
  EXPECT_EQ(tables(url), made_from_scratch());
}

TEST_P(PostgresqlMirrorTest, TablesWithOtherColumnsAreMadeAnew) {
  print_completed(kStart);
  run();
  const auto before = tables(url);
  execute("ALTER TABLE printers DROP COLUMN location");
  ASSERT_TRUE(request_mirror_rebuild(*open(url)));
  run();
  EXPECT_EQ(tables(url), before);
}

// What is planned while the tables are small is kept: a plan that reads them whole makes a fill quadratic.
TEST_P(PostgresqlMirrorTest, NoStatementReadsAWholeTable) {
  const auto scans_after = [&](int jobs) {
    mirror.reset();  // the server counts what a connection did when it ends
    std::vector<SqlRow> counts;
    EXPECT_TRUE(testing::eventually(
        [&] {
          counts = rows("SELECT n_tup_ins, seq_scan FROM pg_stat_user_tables WHERE relname = 'print_jobs'");
          return counts[0][0] == SqlValue(int64_t{jobs});
        },
        std::chrono::seconds(30)));
    return std::get<int64_t>(counts[0][1]);
  };
  shop.say(started(row_id(kStart), kStart));
  run();
  const int64_t made_with = scans_after(1);
  for (int i = 1; i < 40; ++i) {
    shop.say(started(row_id(kStart + i * kSecond), kStart + i * kSecond));
    run();
  }
  EXPECT_EQ(scans_after(40), made_with);
}

INSTANTIATE_TEST_SUITE_P(Postgresql, PostgresqlMirrorTest, ::testing::Values(SqlServerKind::kPostgresql), name_of_kind);

INSTANTIATE_TEST_SUITE_P(All, MirrorTest,
                         ::testing::Values(SqlServerKind::kSqlite, SqlServerKind::kMariadb, SqlServerKind::kPostgresql),
                         name_of_kind);

}  // namespace
}  // namespace millrace
