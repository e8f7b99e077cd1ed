// SPDX-License-Identifier: Apache-2.0
// 3d-print-logger's database into a log.
#include "producers/moonraker/row_events.h"
#include "projections/maintenance.h"
#include "tests/unit/cli/older_import_fixture.h"

namespace millrace {
namespace {

using testing::PrintLogDatabase;
using Job = PrintLogDatabase::Job;

// 2026-01-05 10:00:00.25 UTC
constexpr int64_t kTen = int64_t{1'767'607'200} * kSecond + kSecond / 4;
constexpr const char* kLive = "active-cube.gcode-1";

class PrintLogImport : public OlderImportFixture {
 protected:
  PrintLogImport() { database.printer(1, "Voron 2"); }
  HistoryRow moonraker_row(int64_t start_us = kTen) {
    HistoryRow row;
    row.start_us = start_us;
    row.end_us = start_us + 3600 * kSecond;
    row.moonraker_job_id = "00000A";
    row.filename = "cube.gcode";
    row.status = "completed";
    row.total_duration = 3600.25;
    return row;
  }
  void say_row(const HistoryRow& row, schema::JobSeen seen = schema::JobSeen::history) {
    const std::string id = job_id_of_row("voron-2", row.start_us, 1);
    say(started_by_row(id, row, seen, 0));
    if (row.status != "in_progress") say(finished_by_row(id, row, seen, 0));
  }
  PrintLogDatabase database{testing::open_for_test(database_url())};
};

TEST_F(PrintLogImport, APrinterIsADisabledMachineWithWhatWasSaidOfIt) {
  database.printer(2, "Ender 3 (links)", "geheim-4711");
  const auto report = read_all();
  EXPECT_EQ(tally.new_machines, 2u);
  EXPECT_EQ(tally.machines[1], "voron-2");
  const auto machine = views.machine("ender-3-links");
  EXPECT_EQ(machine.name, "Ender 3 (links)");
  ASSERT_NE(machine.settings, nullptr);
  EXPECT_FALSE(machine.settings->enabled);
  EXPECT_EQ(machine.managed_by, "api");
  EXPECT_EQ(machine.settings->moonraker_url, "http://10.0.0.2:7125");
  EXPECT_EQ(machine.settings->location, "Keller");
  EXPECT_EQ(machine.settings->nozzle_diameter, 0.4);
  EXPECT_EQ(machine.settings->loaded_materials_json, R"(["PLA"])");
  EXPECT_EQ(report.keys_left, std::set<std::string>{"Ender 3 (links)"});
  for (const auto& event : shop.events()) {
    EXPECT_EQ(event.envelope.bytes().find("geheim"), std::string_view::npos) << "no key ever leaves its database";
  }
}

TEST_F(PrintLogImport, APrinterThatIsKnownByNameOrAddressStaysAsItIs) {
  say(registered("Voron 2"), "left");
  database.printer(2, "Old name");
  schema::MachineConfiguredT by_address;
  by_address.name = "New name";
  by_address.kind = "printer";
  by_address.moonraker_url = "http://10.0.0.2:7125/";
  say(by_address, "right");
  read_all();
  EXPECT_EQ(tally.new_machines, 0u);
  EXPECT_EQ(tally.machines, (std::map<int64_t, std::string>{{1, "left"}, {2, "right"}}));
}

TEST_F(PrintLogImport, AMachineMayBeNamed) {
  database.job({});
  read_all({.machines = {{"Voron 2", "v2-400"}}});
  EXPECT_EQ(views.jobs()[0].machine, "v2-400");
  const auto wrong = read({.machines = {{"Vorn", "v2"}}});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::kInvalidArgument);
  EXPECT_NE(wrong.error().context.find("'Voron 2'"), std::string::npos) << wrong.error().context;
}

TEST_F(PrintLogImport, ARowOfMoonrakersHistoryIsTheJobWithItsId) {
  database.job({.file = "Würfel 🧊.gcode", .title = "Für \"Öl\" 🛢"});
  read_all();
  const auto jobs = views.jobs();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].id, row_id(kTen));
  EXPECT_EQ(jobs[0].filename, "Würfel 🧊.gcode");
  EXPECT_EQ(jobs[0].title, "Für \"Öl\" 🛢");
  EXPECT_EQ(jobs[0].start_seen, schema::JobSeen::imported);
  EXPECT_EQ(jobs[0].outcome, schema::JobOutcome::completed);
  EXPECT_EQ(jobs[0].total_duration, 3600.25);
  EXPECT_EQ(jobs[0].user, "anna");
  const auto kept = detail(jobs[0].id);
  EXPECT_EQ(kept.metadata_json, R"({"slicer":"OrcaSlicer"})");
  EXPECT_NE(kept.auxiliary_json.find(R"("imported_from":"3d-print-logger")"), std::string::npos);
  EXPECT_NE(kept.auxiliary_json.find(R"("job_id":"00000A")"), std::string::npos) << "the row as it was";
}

TEST_F(PrintLogImport, ASecondRunAddsNothing) {
  database.printer(2, "Ender 3");
  database.job({.title = "one"});
  database.job({.job_id = kLive, .start = "2026-01-05 11:00:01", .end = "2026-01-05 11:00:01"});
  database.job({.job_id = "active-lid.gcode-1",
                .start = "2026-03-05 11:00:01",
                .end = "2026-03-05 11:00:01",
                .file = "lid.gcode"});
  database.job({.job_id = "00000B", .status = "in_progress", .printer = 2});
  database.job({.job_id = "00000C", .start = "2026-02-01 01:00:00", .status = "klippy_shutdown", .printer = 2});
  database.record(1, "Düse", true);
  EXPECT_EQ(read_all().doubled, 1u);
  EXPECT_EQ(tally.jobs.new_jobs, 4u);
  const Position end = shop.log->last();
  read_all();
  EXPECT_EQ(shop.log->last(), end);
  EXPECT_EQ(tally.jobs.events, 0u);
  EXPECT_EQ(tally.jobs.known, 4u);
  EXPECT_EQ(tally.known_records, 1u);
}

TEST_F(PrintLogImport, WhatMoonrakersImportBroughtBeforeIsTheSameJob) {
  say(registered("Voron 2"));
  // SQLite's text of a time and Moonraker's number may differ in the last digit; MySQL keeps whole seconds.
  for (const int64_t start : {kTen + 1, kTen + 86'400 * kSecond + 1}) say_row(moonraker_row(start));
  database.job({});
  database.job({.start = "2026-01-06 10:00:00", .end = "2026-01-06 11:00:00"});
  const Position end = shop.log->last();
  read_all();
  EXPECT_EQ(tally.jobs.known, 2u);
  EXPECT_EQ(shop.log->last(), end);
}

TEST_F(PrintLogImport, WhatWasSeenLiveOnlyGainsWhatNobodyKnew) {
  say(registered("Voron 2"));
  auto row = moonraker_row();
  row.filename = ".cache/cube.gcode";
  say_row(row, schema::JobSeen::live);
  database.job({.status = "error", .title = "a title"});
  read_all();
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(tally.jobs.known, 1u);
  EXPECT_EQ(tally.texts, 1u);
  EXPECT_EQ(views.jobs()[0].outcome, schema::JobOutcome::completed) << "worse data takes nobody's place";
  EXPECT_EQ(views.jobs()[0].title, "a title");
}

TEST_F(PrintLogImport, ShiftedRowsOfKnownPrintsAreFoundWithoutAZone) {
  say(registered("Voron 2"));
  say_row(moonraker_row());
  database.job({.start = "2026-01-05 11:00:00.250000", .end = "2026-01-05 12:00:00"});
  read_all();
  EXPECT_EQ(tally.shifted_by_log, 1u);
  EXPECT_EQ(tally.jobs.known, 1u);
  EXPECT_EQ(views.jobs().size(), 1u);
}

TEST_F(PrintLogImport, ShiftedRowsAreRefusedWithoutAZoneAndSetRightWithOne) {
  database.job(
      {.start = "2026-01-05 11:00:00.250000", .end = "2026-01-05 12:00:00.5", .created = "2026-01-05 10:00:00.3"});
  const auto refused = read();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument);
  EXPECT_NE(refused.error().context.find("+1 h"), std::string::npos) << refused.error().context;
  EXPECT_EQ(shop.log->last(), Position{0}) << "nothing was taken";
  const auto berlin = LocalZone::load("Europe/Berlin").value();
  EXPECT_EQ(read_all({.zone = &berlin}).times.by_created, 1u);
  EXPECT_EQ(views.jobs()[0].id, row_id(kTen));
}

TEST_F(PrintLogImport, AnInexactStartIsJoinedWhenMoonrakersHistoryComesLater) {
  database.job({.start = "2026-01-05 10:00:00", .end = "2026-01-05 11:00:00", .title = "mine"});
  read_all();
  HistoryImport history{parts()};
  const auto told = history.take({"voron-2", 0, {moonraker_row()}});
  ASSERT_TRUE(told) << told.error().message();
  EXPECT_EQ(told->new_jobs, 0u);
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].title, "mine");
  EXPECT_EQ(history.take({"voron-2", 0, {moonraker_row()}})->events, 0u);
  read_all();
  EXPECT_EQ(tally.jobs.events, 0u);
}

TEST_F(PrintLogImport, ABackfillThatCameLaterIsJoinedByTheNextImport) {
  database.job({.start = "2026-01-05 10:00:00", .end = "2026-01-05 11:00:00", .title = "mine"});
  read_all();
  say_row(moonraker_row());
  ASSERT_EQ(views.jobs().size(), 2u) << "an adapter knows nothing of imports";
  read_all();
  EXPECT_EQ(tally.joined, 1u);
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].title, "mine");
  const Position end = shop.log->last();
  read_all();
  EXPECT_EQ(shop.log->last(), end);
}

TEST_F(PrintLogImport, ALiveRowAloneIsAJobThatAnyBetterWitnessCorrects) {
  database.job(
      {.job_id = kLive, .start = "2026-01-05 11:00:00.25", .end = "2026-01-05 11:00:00.25", .status = "error"});
  read_all();
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].evidence, schema::JobEvidence::inconclusive);
  EXPECT_EQ(views.jobs()[0].start_us, kTen - kSecond / 4) << "by its length";
  HistoryImport history{parts()};
  EXPECT_EQ(history.take({"voron-2", 0, {moonraker_row()}})->new_ends, 1u);
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].outcome, schema::JobOutcome::completed);
}

TEST_F(PrintLogImport, ARowThatComesLaterIsThatOfThePrintThatWasOnlySeen) {
  database.job({.job_id = kLive,
                .start = "2026-01-05 11:00:00.25",
                .end = "2026-01-05 11:00:00.25",
                .status = "error",
                .total = 100.0});
  read_all();
  ASSERT_EQ(views.jobs().size(), 1u);
  database.job({});
  read_all();
  EXPECT_EQ(tally.jobs.new_ends, 1u);
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].outcome, schema::JobOutcome::completed);
  const Position end = shop.log->last();
  read_all();
  EXPECT_EQ(shop.log->last(), end);
}

TEST_F(PrintLogImport, WhatAPersonSaidHereStays) {
  database.job({.title = "theirs"});
  read_all();
  schema::JobAnnotatedT cleared;
  cleared.job_id = row_id(kTen);
  cleared.changed = {"title"};
  say(cleared);
  schema::JobHiddenT hidden;
  hidden.job_id = row_id(kTen);
  say(hidden);
  read_all();
  EXPECT_EQ(tally.jobs.events, 0u);
  EXPECT_TRUE(views.jobs().empty());
}

TEST_F(PrintLogImport, SlicerMetadataIsKeptWithSettingsAndPicture) {
  database.job({.id = 7});
  // 1 x 1 pixel.
  const std::string png =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  database.run(
      "INSERT INTO job_details (print_job_id, layer_height, support_enabled, slicer_name, estimated_time, "
      "layer_count, filament_used_mm, filament_used_g, filament_type, config_block, thumbnail_base64) VALUES "
      "(7, 0.2, 1, 'OrcaSlicer', 2434, 70, '[3274.48, 4080.36]', '[9.85, 12.27]', 'PLA', "
      "'{\"enable_support\": \"0\", \"filament_type\": \"PLA;PETG\"}', ?)",
      {png});
  read_all();
  EXPECT_EQ(tally.details, 1u);
  const auto kept = detail(row_id(kTen));
  ASSERT_NE(kept.sliced, nullptr);
  EXPECT_EQ(kept.sliced->source, "3d-print-logger");
  EXPECT_EQ(kept.sliced->layer_count, 70);
  EXPECT_EQ(kept.sliced->estimated_time_s, 2434);
  EXPECT_EQ(kept.sliced->support_enabled, false) << "its parser took any support_type for support";
  ASSERT_EQ(kept.sliced->extruders.size(), 2u);
  EXPECT_EQ(kept.sliced->extruders[1]->used_mm, 4080.36);
  EXPECT_EQ(kept.sliced->extruders[1]->filament_type, "PETG");
  EXPECT_EQ(kept.sliced->thumbnail_width, 1u);
  EXPECT_TRUE(blobs->has(kept.sliced->thumbnail_blob));
  EXPECT_NE(kept.sliced->settings_json.find("enable_support"), std::string::npos);
}

TEST_F(PrintLogImport, MaintenanceComesOnceAndFollowsItsSourceUntilAPersonChangesIt) {
  database.record(1, "Düse gewechselt 🔧", false);
  database.record(2, "Riemen", true, "belts");
  read_all();
  EXPECT_EQ(tally.new_records, 2u);
  EXPECT_TRUE(told_odd("category 'belts'"));
  auto records = list_records(*views.store->reader(), {.machine = "voron-2"})->records;
  ASSERT_EQ(records.size(), 2u);
  database.run("UPDATE maintenance_records SET done = 1 WHERE id = 1");
  read_all();
  EXPECT_EQ(tally.new_records, 1u) << "done by now";
  schema::MaintenanceRecordRemovedT removed;
  removed.record_id = records[0].id;
  say(removed);
  read_all();
  EXPECT_EQ(tally.known_records, 2u) << "what was removed here does not come back";
  EXPECT_EQ(list_records(*views.store->reader(), {.machine = "voron-2"})->records.size(), 1u);
}

TEST_F(PrintLogImport, OddRowsAreToldAndTheRestGoesOn) {
  database.run(
      "INSERT INTO print_jobs (id, printer_id, job_id, filename, status, start_time, end_time, total_duration, "
      "print_duration, filament_used, job_metadata) VALUES "
      "(1, 1, 'A', 'a.gcode', 'completed', '2026-01-01 10:00:00', 'tomorrow', 1e300, 'NaN', -4, '{broken'), "
      "(2, 1, 'B', 'b.gcode', 'exploded', '2026-01-02 10:00:00', NULL, 5, 5, 5, 'null'), "
      "(3, 1, 'C', 'c.gcode', 'completed', 'NaN', NULL, 5, 5, 5, NULL), "
      "(4, 9, 'D', 'd.gcode', 'completed', '2026-01-03 10:00:00', NULL, 5, 5, 5, NULL), "
      "(5, 1, 'E', '', 'completed', '2026-01-03 10:00:00', NULL, 5, 5, 5, NULL), "
      "(6, 1, 'F', 'f.gcode', 'completed', '2026-01-04 10:00:00', '2026-01-04 09:59:59', 5, 5, 5, NULL)");
  database.job({});
  const auto report = read_all();
  EXPECT_EQ(tally.jobs.new_jobs, 4u);
  EXPECT_EQ(report.orphans, 1u);
  for (const char* told :
       {"print_jobs 1: end_time 'tomorrow' is no time", "print_jobs 1: total_duration '1e+300'",
        "print_jobs 1: print_duration 'NaN'", "print_jobs 1: filament_used '-4",
        "print_jobs 1: job_metadata '{broken' is no JSON", "print_jobs 2: status 'exploded'",
        "print_jobs 6: end_time '2026-01-04 09:59:59' lies before the start", "print_jobs 3: start_time 'NaN'",
        "print_jobs 3 is left out", "print_jobs 5 is left out", "print_jobs 4 is left out: of printer_id 9"}) {
    EXPECT_TRUE(told_odd(told)) << told;
  }
  const auto jobs = views.jobs();
  EXPECT_EQ(jobs[2].outcome, schema::JobOutcome::failed);
  EXPECT_EQ(jobs[2].row_status, "exploded");
  EXPECT_FALSE(jobs[3].total_duration.has_value());
}

TEST_F(PrintLogImport, RowsOfADeletedPrinterComeWhereTheirMachineIsNamed) {
  database.job({.printer = 9});
  EXPECT_EQ(read_all().orphans, 1u);
  EXPECT_EQ(read_all({.machines = {{"#9", "old-one"}}}).orphans, 0u);
  EXPECT_EQ(views.jobs()[0].machine, "old-one");
}

TEST_F(PrintLogImport, ANumberThatIsNoPrintersIsRefused) {
  for (const char* name : {"#", "#x", "#99999999999999999999"}) {
    const auto refused = read({.machines = {{name, "old-one"}}});
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, Errc::kInvalidArgument) << name;
  }
}

TEST_F(PrintLogImport, APrintThatMayBeGoingOnIsLeftForLaterAndAStaleOneIsInterrupted) {
  database.job({.job_id = "1", .end = "", .status = "printing"});
  database.job({.job_id = "2", .start = "2026-01-09 10:00:00", .end = "", .status = "paused"});
  clock.set_wall(from_unix_us(kTen + int64_t{5} * 86'400 * kSecond));
  EXPECT_EQ(read_all().printing, 1u);
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].moonraker_job_id, "1");
  EXPECT_EQ(views.jobs()[0].outcome, schema::JobOutcome::interrupted);
  clock.advance(std::chrono::hours(24 * 30));
  EXPECT_EQ(read_all().printing, 0u);
  EXPECT_EQ(views.jobs().size(), 2u) << "nobody will ever end it";
}

TEST_F(PrintLogImport, AnOlderSchemaGivesWhatItHas) {
  database.run("DROP TABLE job_details");
  database.run("DROP TABLE maintenance_records");
  database.run("ALTER TABLE print_jobs DROP COLUMN title");
  database.run("ALTER TABLE print_jobs RENAME COLUMN url TO something_new");
  database.run(
      "INSERT INTO print_jobs (printer_id, job_id, filename, status, start_time) VALUES "
      "(1, 'A', 'a.gcode', 'completed', '2026-01-01 10:00:00')");
  const auto report = read_all();
  EXPECT_EQ(tally.jobs.new_jobs, 1u);
  EXPECT_EQ(report.missing_tables, (std::set<std::string>{"job_details", "maintenance_records"}));
}

TEST_F(PrintLogImport, TheOldFileStaysAsItIs) {
  database.job({.file = "Würfel.gcode"});
  database.close();
  const auto bytes = [&] {
    std::ifstream file(folder / "older.db", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string before = hex_of(Sha256Digester().digest(bytes()));
  read_all();
  EXPECT_EQ(hex_of(Sha256Digester().digest(bytes())), before);
  EXPECT_FALSE(std::filesystem::exists(folder / "older.db-wal"));
  EXPECT_FALSE(std::filesystem::exists(folder / "older.db-journal"));
}

TEST_F(PrintLogImport, WhatIsNoSuchDatabaseIsSaid) {
  database.run("DROP TABLE print_jobs");
  EXPECT_EQ(read().error().code, Errc::kMalformed);
  EXPECT_NE(read().error().context.find("print_jobs"), std::string::npos);
  database.close();
  std::ofstream(folder / "older.db", std::ios::trunc)
      << "This is a letter and no database, and long enough to be read.";
  EXPECT_EQ(read().error().code, Errc::kMalformed);
  std::filesystem::remove(folder / "older.db");
  EXPECT_EQ(read().error().code, Errc::kNotFound);
}

TEST_F(PrintLogImport, ALockedDatabaseIsSaid) {
  database.job({});
  database.run("BEGIN EXCLUSIVE");
  auto opened = SqlDatabase::open(
      {.url = parse_database_url(database_url()).value(), .read_only = true, .timeout = std::chrono::seconds(1)});
  const auto failed = opened ? read_print_log(**opened, {}, odd_rows, take()).error() : opened.error();
  EXPECT_EQ(failed.code, Errc::kConflict) << failed.message();
}

TEST_F(PrintLogImport, PiecesThatNoReaderMakesAreRefused) {
  OlderPiece piece;
  piece.source = kPrintLogger;
  piece.machine = "Voron 2";
  piece.jobs.emplace_back();
  EXPECT_EQ(import.take(piece).error().code, Errc::kInvalidArgument);
  piece.machine = "voron-2";
  piece.jobs.resize(OlderImport::kMaxJobs + 1);
  EXPECT_EQ(import.take(piece).error().code, Errc::kTooLarge);
  JsonReader reader;
  for (const char* text :
       {R"({"source":"octoprint"})", R"({"source":"klipperiwc","jobs":{}})", R"({"source":"klipperiwc","jobs":[{}]})",
        R"({"source":"klipperiwc","minutes":[{"object":"a","field":"b","hour":1,"minutes":[[61,1,1,1,1,1,1]]}]})",
        R"({"source":"klipperiwc","records":[{"id":"o1"}]})"}) {
    EXPECT_EQ(older_piece_in(reader.parse(text).value()).error().code, Errc::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace millrace
