// SPDX-License-Identifier: Apache-2.0
// KlipperIWC's status history into a log.
#include <cmath>

#include "projections/telemetry_history.h"
#include "tests/unit/cli/older_import_fixture.h"

namespace millrace {
namespace {

// 2026-01-05 10:00:00 UTC
constexpr int64_t kTenMinute = 1'767'607'200 / 60;

class KlipperIwcImport : public OlderImportFixture {
 protected:
  KlipperIwcReport read_klipperiwc() {
    tally = {};
    auto opened = SqlDatabase::open({.url = parse_database_url(database_url()).value(), .read_only = true});
    const KlipperIwcOptions options{"voron-2", to_unix_us(clock.wall())};
    const auto report = read_klipperiwc_log(**opened, options, odd_rows, take());
    EXPECT_TRUE(report.has_value()) << report.error().message();
    return report ? *report : KlipperIwcReport{};
  }
  SignalColumns minutes(const std::string& object, const std::string& field, size_t count = 3) {
    const auto reader = views.store->reader();
    const auto opened = TelemetryReader::open(*reader, "voron-2", {.from = kTenMinute, .step = 1, .buckets = count});
    return opened->read(object, field).value();
  }
  testing::KlipperIwcDatabase database{testing::open_for_test(database_url())};
};

TEST_F(KlipperIwcImport, TemperaturesAreMinutesAtTheirOwnTimes) {
  database.status(1, "2026-01-05 10:00:00");
  database.temperature(1, "hotend", 200, 210.0, "2026-01-05 10:00:00");
  database.temperature(1, "hotend", 206, 210.0, "2026-01-05 10:00:30");
  database.temperature(1, "hotend", 210, 210.0, "2026-01-05 10:02:00");
  database.temperature(1, "bed", 60.5, {}, "2026-01-05 10:00:00");
  database.temperature(1, "Kammer", 32.5, {}, "2026-01-05 10:00:00.500000");
  read_klipperiwc();
  const auto hotend = minutes("extruder", "temperature");
  EXPECT_EQ(hotend.minimum[0], 200);
  EXPECT_EQ(hotend.mean[0], 203) << "each value held for half of the minute";
  EXPECT_EQ(hotend.maximum[0], 206);
  EXPECT_EQ(hotend.mean[2], 210);
  EXPECT_EQ(minutes("extruder", "target").mean[0], 210);
  EXPECT_EQ(minutes("heater_bed", "temperature").mean[0], 60.5);
  EXPECT_TRUE(std::isnan(minutes("heater_bed", "target").mean[0]));
  EXPECT_EQ(minutes("temperature_sensor Kammer", "temperature").mean[0], 32.5);
  EXPECT_TRUE(views.machine().objects.empty()) << "old values are not what the machine shows now";
}

TEST_F(KlipperIwcImport, ASecondRunAddsNothingButWhatIsNew) {
  database.status(1, "2026-01-05 10:00:00", "cube.gcode", 0.25);
  database.temperature(1, "bed", 60, 60.0, "2026-01-05 10:00:00");
  database.job(1, "cube.gcode", "running", 0.25, "2026-01-05 09:00:00");
  read_klipperiwc();
  EXPECT_EQ(tally.new_minutes, 3u);
  const Position end = shop.log->last();
  read_klipperiwc();
  EXPECT_EQ(shop.log->last(), end);
  EXPECT_EQ(tally.known_minutes, 3u);
  EXPECT_EQ(tally.jobs.known, 1u);
  database.temperature(1, "bed", 61, 60.0, "2026-01-05 10:01:00");
  read_klipperiwc();
  EXPECT_EQ(tally.new_minutes, 2u);
}

TEST_F(KlipperIwcImport, PrintsAreMadeOfTheirSights) {
  for (int i = 1; i <= 6; ++i) database.status(i, "2026-01-05 10:0" + std::to_string(i) + ":00");
  database.job(1, "Würfel.gcode", "running", 0.5, "2026-01-05 09:00:00");
  database.job(2, "Würfel.gcode", "completed", 1, "2026-01-05 09:00:00");
  database.job(3, "next.gcode", "queued", 0, "");
  database.job(4, "Würfel.gcode", "running", 0.1, "2026-01-05 10:03:30");
  database.job(5, "Würfel.gcode", "failed", 0.2, "2026-01-05 10:03:30");
  database.job(6, "lid.gcode", "running", 0.2, "");
  const auto report = read_klipperiwc();
  EXPECT_EQ(report.queued, 1u);
  EXPECT_EQ(report.prints, 3u);
  const auto jobs = views.jobs();  // newest first
  ASSERT_EQ(jobs.size(), 3u);
  EXPECT_EQ(jobs[0].filename, "lid.gcode");
  EXPECT_EQ(jobs[0].outcome, schema::JobOutcome::interrupted);
  EXPECT_EQ(jobs[1].outcome, schema::JobOutcome::failed);
  EXPECT_EQ(jobs[1].cause, "unknown");
  EXPECT_EQ(jobs[2].outcome, schema::JobOutcome::completed);
  EXPECT_EQ(jobs[2].start_us, (kTenMinute - 60) * 60 * kSecond);
  EXPECT_EQ(jobs[2].end_us, (kTenMinute + 2) * 60 * kSecond);
  EXPECT_EQ(jobs[2].evidence, schema::JobEvidence::inconclusive);
}

TEST_F(KlipperIwcImport, APrintThatIsKnownIsNotToldAgain) {
  const int64_t start = (kTenMinute - 60) * 60 * kSecond;
  say(started(row_id(start + 7), start + 7));
  auto ended = finished(row_id(start + 7), schema::JobOutcome::cancelled, schema::JobEvidence::conclusive, 4000);
  ended.end_us = start + 4000 * kSecond;
  say(ended);
  database.status(1, "2026-01-05 10:00:00");
  database.job(1, "cube.gcode", "running", 0.5, "2026-01-05 08:59:58");
  read_klipperiwc();
  EXPECT_EQ(tally.jobs.known, 1u);
  ASSERT_EQ(views.jobs().size(), 1u);
  EXPECT_EQ(views.jobs()[0].outcome, schema::JobOutcome::cancelled);
}

TEST_F(KlipperIwcImport, TheNextPrintOfAFileIsAnotherOne) {
  for (int i = 0; i < 60; ++i) {
    const std::string at = "2026-01-05 10:" + std::string(i < 10 ? "0" : "") + std::to_string(i);
    database.status(i + 1, at + ":05");
    const std::string began = "2026-01-05 10:" + std::to_string(i / 10 * 10 + 100).substr(1) + ":00";
    database.job(i + 1, "cube.gcode", i % 10 == 9 ? "completed" : "running", i % 10 / 9.0, began);
  }
  read_klipperiwc();
  EXPECT_EQ(tally.jobs.new_jobs, 6u);
  read_klipperiwc();
  EXPECT_EQ(tally.jobs.events, 0u);
}

TEST_F(KlipperIwcImport, MinutesInWhichTheMachineWasHeardAreLeftOut) {
  shop.now_us = kTenMinute * 60 * kSecond;
  say(sampled({{"extruder", "temperature", 100}}, true));
  shop.now_us += 61 * kSecond;
  say(sampled({{"extruder", "temperature", 101}}));
  database.status(1, "2026-01-05 10:00:00");
  database.temperature(1, "hotend", 200, {}, "2026-01-05 10:00:10");
  database.temperature(1, "chamber", 30, {}, "2026-01-05 10:00:10");
  read_klipperiwc();
  EXPECT_EQ(tally.known_minutes, 2u);
  EXPECT_EQ(minutes("extruder", "temperature").maximum[0], 100);
}

TEST_F(KlipperIwcImport, OddValuesAndOrphansAreTold) {
  database.run("INSERT INTO status_history (id, state, recorded_at) VALUES (1, 'idle', 'never')");
  database.run(
      "INSERT INTO temperature_history (status_id, component, actual, target, timestamp) VALUES "
      "(99, 'bed', 'NaN', 1e9, '2026-01-05 10:00:00'), (99, '', 60, 60, '2026-01-05 10:00:00')");
  database.run(
      "INSERT INTO job_history (status_id, job_identifier, name, progress, status_value, is_active, created_at) "
      "VALUES (99, 'x', 'old.gcode', 0.5, 'running', 1, '2026-01-05 10:00:00'), "
      "(99, 'y', 'y.gcode', 0.5, 'dreaming', 1, '2026-01-05 10:00:00')");
  read_klipperiwc();
  for (const char* told :
       {"status_history 1 is left out", "actual 'NaN' is no number", "target '1000000000' cannot be true",
        "temperature_history 2 is left out", "'dreaming' is not known"}) {
    EXPECT_TRUE(told_odd(told)) << told;
  }
  EXPECT_EQ(tally.jobs.new_jobs, 1u) << "of a status that was removed: the row's own time";
}

TEST_F(KlipperIwcImport, WhatItMakesUpIsNoticed) {
  database.run(
      "INSERT INTO status_history (id, state, recorded_at, uptime_seconds, active_job_name, "
      "active_job_progress) VALUES (1, 'printing', '2026-01-05 10:00:00', 16320, 'Voron_Mount_v6.gcode', 0.42)");
  EXPECT_EQ(read_klipperiwc().samples, 1u);
}

TEST_F(KlipperIwcImport, TheMinuteUnderWayAndAPrintThatGoesOnWait) {
  clock.set_wall(from_unix_us((kTenMinute + 1) * 60 * kSecond + 5));
  database.status(1, "2026-01-05 10:01:00");
  database.temperature(1, "bed", 60, {}, "2026-01-05 10:00:59");
  database.temperature(1, "bed", 61, {}, "2026-01-05 10:01:00");
  database.job(1, "cube.gcode", "running", 0.5, "2026-01-05 09:00:00");
  EXPECT_EQ(read_klipperiwc().printing, 1u);
  EXPECT_EQ(tally.new_minutes, 1u);
  EXPECT_EQ(tally.jobs.new_jobs, 0u);
}

TEST_F(KlipperIwcImport, WhatIsNoSuchDatabaseIsSaid) {
  database.run("DROP TABLE status_history");
  auto opened = SqlDatabase::open({.url = parse_database_url(database_url()).value(), .read_only = true});
  EXPECT_EQ(read_klipperiwc_log(**opened, {"voron-2", 0}, odd_rows, take()).error().code, Errc::kMalformed);
}

TEST(ComponentNames, AreKlippersWhereThereAreSuch) {
  EXPECT_EQ(object_of_component("Hotend"), "extruder");
  EXPECT_EQ(object_of_component("bed"), "heater_bed");
  EXPECT_EQ(object_of_component("extruder1"), "extruder1");
  EXPECT_EQ(object_of_component("temperature_fan chamber"), "temperature_fan chamber");
  EXPECT_EQ(object_of_component("chamber"), "temperature_sensor chamber");
  EXPECT_EQ(object_of_component(""), "");
  EXPECT_EQ(object_of_component(std::string_view("a\0b", 3)), "");
}

}  // namespace
}  // namespace millrace
