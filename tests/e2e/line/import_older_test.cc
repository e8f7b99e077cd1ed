// SPDX-License-Identifier: Apache-2.0
// `millrace import 3d-print-logger` and `millrace import klipperiwc`: into a folder without a hub, and beside a running
// one with a real Mosquitto.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>

#include "tests/support/older_databases.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

class ImportOlderTest : public ::testing::Test {
 protected:
  std::string url(const std::string& name) const { return "sqlite:" + (shop.directory() / name).string(); }
  Shop::Ran import(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "import");
    arguments.insert(arguments.end(), {"--data", shop.data().string()});
    return shop.run(arguments);
  }
  json imported(std::vector<std::string> arguments) {
    arguments.emplace_back("--json");
    const auto ran = import(arguments);
    EXPECT_EQ(ran.code, 0) << ran.output;
    const json tally =
        json::parse(ran.output.substr(std::min(ran.output.find('{'), ran.output.size())), nullptr, false);
    EXPECT_TRUE(tally.is_object()) << ran.output;
    return tally;
  }
  // A year of prints, each with the second row of a live print, and details.
  void fill(PrintLogDatabase& database, int prints) {
    database.printer(1, "Voron 2.4");
    database.run("BEGIN");
    for (int i = 0; i < prints; ++i) {
      const int64_t start_s = 1'767'600'000 + int64_t{i} * 3600;
      const auto at = [&](int64_t s) {
        std::string text = to_rfc3339(from_unix_us(s * 1'000'000 + 250'000)).substr(0, 26);
        text[10] = ' ';
        return text;
      };
      char number[16];
      std::snprintf(number, sizeof number, "%06X", static_cast<unsigned>(i + 1));
      const std::string file = "part " + std::to_string(i % 50) + " ä🧊.gcode";
      database.job(
          {.job_id = number, .start = at(start_s), .end = at(start_s + 1800), .file = file, .created = at(start_s)});
      if (i >= prints - 50) {
        database.job(
            {.job_id = "active-" + file + "-1", .start = at(start_s + 1800), .end = at(start_s + 1800), .file = file});
      }
    }
    database.run(
        "INSERT INTO job_details (print_job_id, layer_height, slicer_name, config_block) SELECT id, 0.2, "
        "'OrcaSlicer', '{\"layer_height\": \"0.2\"}' FROM print_jobs WHERE job_id NOT LIKE 'active-%'");
    database.run("COMMIT");
    database.record(1, "Düse", true);
  }

  Shop shop;
};

TEST_F(ImportOlderTest, APrintLogComesOnceWithoutAHubAndWithOneAddsNothing) {
  PrintLogDatabase database(open_for_test(url("printlog.db")));
  constexpr int kPrints = 5000;
  fill(database, kPrints);
  database.close();
  const std::vector<std::string> asked{"3d-print-logger", "--database", url("printlog.db"), "--zone", "Europe/Berlin"};
  const json first = imported(asked);
  EXPECT_EQ(first["new_jobs"], kPrints) << first;
  EXPECT_EQ(first["doubled_rows"], 50);
  EXPECT_EQ(first["details"], kPrints);
  EXPECT_EQ(first["new_records"], 1);
  EXPECT_EQ(first["unusable_rows"], 0);
  std::cout << first["rows"] << " rows in " << first["seconds"] << " s\n";
  const json again = imported(asked);
  EXPECT_EQ(again["events"], 0) << again;
  EXPECT_EQ(again["known"], kPrints);
  shop.start_simulator({"--machines", "1", "--behaviour", "idle"});
  shop.start_all();
  EXPECT_EQ(imported(asked)["events"], 0);
  const json machine = shop.machine("voron-2-4");
  EXPECT_EQ(machine["name"], "Voron 2.4");
  EXPECT_EQ(machine["enabled"], false) << "an import connects to nothing";
  const json page = shop.get("/api/v1/jobs?limit=1&machine=voron-2-4")["items"];
  ASSERT_EQ(page.size(), 1u);
  EXPECT_EQ(page[0]["filename"], "part 49 ä🧊.gcode");
  EXPECT_EQ(page[0]["slicer"], "OrcaSlicer");
}

TEST_F(ImportOlderTest, ARunningHubTakesBothSystems) {
  shop.start_simulator({"--machines", "1", "--behaviour", "idle"});
  shop.start_all();
  PrintLogDatabase print_log(open_for_test(url("printlog.db")));
  fill(print_log, 300);
  EXPECT_EQ(imported({"3d-print-logger", "--database", url("printlog.db"), "--machine", "Voron 2.4=sim-1"})["new_jobs"],
            300);
  KlipperIwcDatabase status(open_for_test(url("klipperiwc.sqlite3")));
  status.status(1, "2026-02-05 10:00:00");
  status.temperature(1, "hotend", 205.5, 210.0, "2026-02-05 10:00:00");
  status.job(1, "old.gcode", "completed", 1, "2024-02-05 09:00:00");
  const json told = imported({"klipperiwc", "--database", url("klipperiwc.sqlite3"), "--machine", "sim-1"});
  EXPECT_EQ(told["new_minutes"], 2) << told;
  EXPECT_EQ(told["new_jobs"], 1);
  EXPECT_EQ(shop.get("/api/v1/jobs?limit=500&machine=sim-1&q=part")["items"].size(), 300u);
  const json telemetry = shop.get(
      "/api/v1/machines/sim-1/"
      "telemetry?from=2026-02-05T10:00:00Z&to=2026-02-05T10:01:00Z&signals=extruder.temperature");
  EXPECT_NE(telemetry.dump().find("205.5"), std::string::npos) << telemetry;
  EXPECT_EQ(imported({"klipperiwc", "--database", url("klipperiwc.sqlite3"), "--machine", "sim-1"})["events"], 0);
}

TEST_F(ImportOlderTest, WhatIsAskedWronglyOrCannotBeHadIsSaid) {
  EXPECT_EQ(import({"3d-print-logger"}).code, 2);
  EXPECT_EQ(import({"3d-print-logger", "--database", url("x.db"), "--machine", "Voron"}).code, 2);
  EXPECT_EQ(import({"3d-print-logger", "--database", url("x.db"), "--zone", "Mars/Base"}).code, 2);
  EXPECT_EQ(import({"3d-print-logger", "--database", "postgresql://mill@localhost/x"}).code, 2);
  EXPECT_EQ(import({"klipperiwc", "--database", url("x.db"), "--machine", "Voron 2"}).code, 2);
  EXPECT_EQ(import({"klipperiwc", "--database", "mysql://mill@localhost/x", "--machine", "voron-2"}).code, 2);
  const auto missing = import({"3d-print-logger", "--database", url("nowhere.db")});
  EXPECT_EQ(missing.code, 1);
  EXPECT_NE(missing.output.find("nowhere.db"), std::string::npos) << missing.output;
  std::ofstream(shop.directory() / "letter.db")
      << "Dear reader, this is a letter and no database, however long it may be.";
  const auto letter = import({"3d-print-logger", "--database", url("letter.db")});
  EXPECT_EQ(letter.code, 1) << letter.output;
  EXPECT_NE(letter.output.find("letter.db"), std::string::npos) << letter.output;
  EXPECT_FALSE(std::filesystem::exists(shop.data() / "log")) << "nothing was made for nothing";
}

}  // namespace
}  // namespace millrace
