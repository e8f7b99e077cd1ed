// SPDX-License-Identifier: Apache-2.0
// 3d-print-logger's database in a real MariaDB.
#include <gtest/gtest.h>

#include "producers/older/print_log.h"
#include "tests/support/older_databases.h"
#include "tests/support/sql_server.h"

namespace millrace {
namespace {

using namespace testing;

class PrintLogMysqlTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = SqlServer::why_impossible(SqlServerKind::kMariadb)) GTEST_SKIP() << *why;
    url = shared_sql_server(SqlServerKind::kMariadb).new_database();
    database.emplace(open_for_test(url, kSqlServerPassword));
  }
  Result<PrintLogReport> read(const PrintLogOptions& options = {}) {
    jobs.clear();
    printers.clear();
    records.clear();
    auto opened =
        SqlDatabase::open({.url = parse_database_url(url).value(), .password = kSqlServerPassword, .read_only = true});
    if (!opened) return opened.error();
    return read_print_log(**opened, options, odd_rows, [this](const OlderPiece& piece) {
      std::map<int64_t, std::string> machines;
      for (const OlderPrinter& printer : piece.printers) {
        printers.push_back(printer);
        machines[printer.id] = "m" + std::to_string(printer.id);
      }
      jobs.insert(jobs.end(), piece.jobs.begin(), piece.jobs.end());
      records.insert(records.end(), piece.records.begin(), piece.records.end());
      return Result<std::map<int64_t, std::string>>(machines);
    });
  }

  std::string url;
  std::optional<PrintLogDatabase> database;
  std::vector<OlderPrinter> printers;
  std::vector<OlderJob> jobs;
  std::vector<OlderRecord> records;
  std::vector<std::string> odd;
  OddRows odd_rows{[this](const std::string& what) { odd.push_back(what); }};
};

TEST_F(PrintLogMysqlTest, EverythingIsReadAsFromSqlite) {
  database->printer(1, "Voron 2 – Keller");
  database->job(
      {.start = "2026-01-05 10:00:00", .end = "2026-01-05 11:00:00", .file = "Würfel 🧊.gcode", .title = "\"Öl\""});
  database->job({.job_id = "active-Würfel 🧊.gcode-1",
                 .start = "2026-01-05 11:00:01",
                 .end = "2026-01-05 11:00:01",
                 .file = "Würfel 🧊.gcode"});
  database->run(
      "INSERT INTO job_details (print_job_id, layer_height, filament_used_g, support_enabled) VALUES "
      "(1, 0.25, '[9.5, 12.25]', 1)");
  database->record(1, "Düse 🔧", true);
  const auto report = read();
  ASSERT_TRUE(report) << report.error().message();
  ASSERT_EQ(printers.size(), 1u);
  EXPECT_EQ(printers[0].settings.name, "Voron 2 – Keller");
  EXPECT_EQ(printers[0].settings.heated_bed, true);
  EXPECT_EQ(printers[0].settings.loaded_materials_json, R"(["PLA"])");
  EXPECT_EQ(report->doubled, 1u);
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].row.filename, "Würfel 🧊.gcode");
  EXPECT_EQ(jobs[0].row.start_us, int64_t{1'767'607'200'000'000});
  EXPECT_EQ(jobs[0].row.metadata_json, R"({"slicer":"OrcaSlicer"})");
  EXPECT_EQ(jobs[0].title, "\"Öl\"");
  EXPECT_NE(jobs[0].detail_json.find(R"("filament_used_g":[9.5,12.25])"), std::string::npos) << jobs[0].detail_json;
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].description, "Düse 🔧");
  EXPECT_EQ(records[0].cost, 12.5);
  EXPECT_TRUE(odd.empty()) << odd[0];
}

TEST_F(PrintLogMysqlTest, AWrongPasswordAndAServerThatIsNotThereAreSaidWithoutThePassword) {
  auto refused = SqlDatabase::open({.url = parse_database_url(url).value(), .password = "s3cret", .read_only = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_EQ(refused.error().context.find("s3cret"), std::string::npos);
}

}  // namespace
}  // namespace millrace
