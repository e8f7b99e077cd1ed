// SPDX-License-Identifier: Apache-2.0
// A log, its views and a mirror of them in a real database, and what stands in the tables.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mirror/mirror.h"
#include "mirror/mirror_tables.h"
#include "tests/support/sql_server.h"
#include "tests/unit/projections/shop.h"

namespace millrace {

using testing::SqlServer;
using testing::SqlServerKind;

inline constexpr std::string_view kOdd =
    "Gr\xC3\xB6\xC3\x9F"
    "e 'ge\"n\\au' \xF0\x9F\x98\x80 ?:p1 %s";

inline std::string shown(const SqlValue& value) {
  if (const auto* whole = std::get_if<int64_t>(&value)) return fmt::format("{}", *whole);
  if (const auto* real = std::get_if<double>(&value)) return fmt::format("{:.17g}", *real);
  if (const auto* text = std::get_if<std::string>(&value)) return "'" + *text + "'";
  return "NULL";
}

class MirrorFixture : public ::testing::TestWithParam<SqlServerKind> {
 protected:
  void SetUp() override {
    if (const auto why = SqlServer::why_impossible(GetParam())) GTEST_SKIP() << *why;
    url = server().new_database();
  }
  virtual SqlServer& server() { return testing::shared_sql_server(GetParam()); }

  // Folds what the views do not have yet.
  void fold() {
    std::vector<RecordedEvent> news;
    for (auto& event : shop.events()) {
      if (event.position.value > folded) news.push_back(std::move(event));
    }
    if (news.empty()) return;
    views.fold(news);
    folded = news.back().position.value;
  }

  MirrorOptions options_for(const std::string& database) const {
    MirrorOptions options;
    options.url = parse_database_url(database).value();
    options.password = testing::kSqlServerPassword;
    options.timeout = std::chrono::seconds(5);
    options.batch = batch;
    return options;
  }
  std::unique_ptr<Mirror> mirror_into(const std::string& database) {
    return std::make_unique<Mirror>(options_for(database),
                                    MirrorParts{*shop.log, *views.store, blobs.get(), views_have(), clock, *metrics});
  }

  std::function<bool(Position)> views_have() {
    return [this](Position position) { return position.value <= folded; };
  }

  // One transaction of the mirror under test, which stays connected.
  Result<Mirror::Pass> pass() {
    fold();
    if (!mirror) mirror = mirror_into(url);
    return mirror->run_once();
  }
  // Until the tables are at the end of the log.
  void run() {
    for (;;) {
      const auto done = pass();
      ASSERT_TRUE(done) << done.error().message();
      if (done->at_end) return;
    }
  }

  std::unique_ptr<SqlDatabase> open(const std::string& database) const {
    return SqlDatabase::open({.url = parse_database_url(database).value(), .password = testing::kSqlServerPassword})
        .value();
  }
  std::vector<SqlRow> rows(const std::string& sql) const { return open(url)->rows(sql).value(); }
  void execute(const std::string& sql) const { open(url)->execute(sql).value(); }

  // Every row of every table as one line, in the order of its key.
  std::string tables(const std::string& database) const {
    std::string all;
    const auto opened = open(database);
    for (const auto& table : mirror_tables()) {
      std::string columns;
      for (const auto& column : table.columns) columns += quoted_name(column.name, opened->dialect()) + ", ";
      columns.resize(columns.size() - 2);
      for (const auto& row : opened->rows(fmt::format("SELECT {} FROM {} ORDER BY 1", columns, table.name)).value()) {
        all += table.name;
        for (size_t i = 0; i < row.size(); ++i) all += fmt::format(" {}={}", table.columns[i].name, shown(row[i]));
        all += "\n";
      }
    }
    return all;
  }
  // What a mirror of the same log into a new database gives.
  std::string made_from_scratch() {
    const auto other = server().new_database();
    const auto fresh = mirror_into(other);
    for (;;) {
      const auto done = fresh->run_once();
      if (!done) throw std::runtime_error(done.error().message());
      if (done->at_end) return tables(other);
    }
  }

  Shop shop;
  Views views;
  std::unique_ptr<BlobStore> blobs;  // none
  std::atomic<uint64_t> folded{0};   // the views have everything up to here
  testing::ManualClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  MirrorBatchLimit batch;
  std::string url;
  std::unique_ptr<Mirror> mirror;
};

inline std::string name_of_kind(const ::testing::TestParamInfo<SqlServerKind>& info) {
  switch (info.param) {
    case SqlServerKind::kSqlite:
      return "Sqlite";
    case SqlServerKind::kMariadb:
      return "Mariadb";
    case SqlServerKind::kPostgresql:
      return "Postgresql";
  }
  return "";
}

inline SqlValue sql_text(std::string_view value) { return std::string(value); }

}  // namespace millrace
