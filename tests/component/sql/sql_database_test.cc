// SPDX-License-Identifier: Apache-2.0
// The same promises on an SQLite file, a real MariaDB and a real PostgreSQL.
#include "sql/sql_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "bus/file_io.h"
#include "tests/support/sql_server.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::shared_sql_server;
using testing::SqlServer;
using testing::SqlServerKind;
using testing::TemporaryDirectory;

constexpr SqlValue kNull{};
SqlValue text(std::string value) { return value; }

DatabaseOptions options_for(const std::string& url) {
  return {.url = parse_database_url(url).value(),
          .password = testing::kSqlServerPassword,
          .timeout = std::chrono::seconds(2)};
}

class SqlDatabaseTest : public ::testing::TestWithParam<SqlServerKind> {
 protected:
  void SetUp() override {
    if (const auto why = SqlServer::why_impossible(GetParam())) GTEST_SKIP() << *why;
    url_ = shared_sql_server(GetParam()).new_database();
    database_ = open();
  }

  std::unique_ptr<SqlDatabase> open(bool read_only = false) {
    auto options = options_for(url_);
    options.read_only = read_only;
    auto opened = SqlDatabase::open(options);
    if (!opened) throw std::runtime_error(opened.error().message());
    return std::move(*opened);
  }
  uint64_t execute(const std::string& sql, const std::vector<SqlValue>& values = {}) {
    return database_->execute(sql, values).value();
  }
  std::vector<SqlRow> rows(const std::string& sql, const std::vector<SqlValue>& values = {}) {
    return database_->rows(sql, values).value();
  }
  void make_table() {
    const std::string suffix = GetParam() == SqlServerKind::kMariadb ? " CHARACTER SET utf8mb4" : "";
    execute("CREATE TABLE t (id BIGINT PRIMARY KEY, x DOUBLE PRECISION, name TEXT)" + suffix);
  }

  std::string url_;
  std::unique_ptr<SqlDatabase> database_;
};

TEST_P(SqlDatabaseTest, ValuesComeBackAsTheyWere) {
  make_table();
  const SqlRow all{int64_t{-9007199254740993}, 0.1, text("Gro\xC3\x9F 'ge\"n\\au' \xF0\x9F\x98\x80 :p1 ? $1\n\t")};
  const SqlRow nothing{int64_t{2}, kNull, kNull};
  const SqlRow empty{int64_t{3}, -1e300, text("")};
  for (const auto& row : {all, nothing, empty}) EXPECT_EQ(execute("INSERT INTO t VALUES (?, ?, ?)", row), 1u);
  EXPECT_THAT(rows("SELECT id, x, name FROM t ORDER BY id"), ElementsAre(all, nothing, empty));
  EXPECT_THAT(rows("SELECT id FROM t WHERE name = ? AND x = ?", {all[2], all[1]}), ElementsAre(SqlRow{all[0]}));
}

TEST_P(SqlDatabaseTest, AKeptStatementTakesOtherTypesTheNextTime) {
  make_table();
  const std::string insert = "INSERT INTO t VALUES (?, ?, ?)";
  execute(insert, {int64_t{1}, kNull, text("a")});
  execute(insert, {int64_t{2}, 2.5, kNull});
  execute(insert, {int64_t{3}, int64_t{4}, text("c")});
  EXPECT_THAT(rows("SELECT x FROM t ORDER BY id"), ElementsAre(SqlRow{kNull}, SqlRow{2.5}, SqlRow{4.0}));
}

TEST_P(SqlDatabaseTest, ManyRowsAreHandedOverAndTheReaderMayStop) {
  make_table();
  ASSERT_TRUE(database_->transact([&]() -> Result<void> {
    for (int64_t id = 0; id < 2000; ++id) execute("INSERT INTO t (id, name) VALUES (?, ?)", {id, std::to_string(id)});
    return {};
  }));
  int64_t sum = 0;
  ASSERT_TRUE(database_->query("SELECT id, name FROM t ORDER BY id", {}, [&](const SqlRow& row) -> Result<void> {
    sum += std::get<int64_t>(row[0]);
    EXPECT_EQ(std::get<std::string>(row[1]), std::to_string(std::get<int64_t>(row[0])));
    return {};
  }));
  EXPECT_EQ(sum, 1999 * 1000);
  const auto stop = [](const SqlRow&) -> Result<void> { return make_error(Errc::kFull, "enough"); };
  EXPECT_EQ(database_->query("SELECT id FROM t", {}, stop).error().code, Errc::kFull);
  EXPECT_EQ(execute("DELETE FROM t WHERE id < ?", {int64_t{500}}), 500u);  // nothing is still being read
}

TEST_P(SqlDatabaseTest, ATransactionIsAllOrNothing) {
  make_table();
  const auto failing = database_->transact([&]() -> Result<void> {
    execute("INSERT INTO t (id) VALUES (1)");
    return make_error(Errc::kFull, "no");
  });
  EXPECT_EQ(failing.error().code, Errc::kFull);
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre(SqlRow{int64_t{0}}));
  const auto twice = database_->transact([&]() -> Result<void> {
    execute("INSERT INTO t (id) VALUES (1)");
    auto again = database_->execute("INSERT INTO t (id) VALUES (1)");
    return again ? Result<void>{} : Result<void>{again.error()};
  });
  EXPECT_EQ(twice.error().code, Errc::kIo);
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre(SqlRow{int64_t{0}}));
}

TEST_P(SqlDatabaseTest, WhatServersDoNotAgreeAboutIsRefused) {
  make_table();
  const std::string insert = "INSERT INTO t (id, x, name) VALUES (?, ?, ?)";
  const auto code_of = [&](const std::vector<SqlValue>& values) {
    return database_->execute(insert, values).error().code;
  };
  EXPECT_EQ(code_of({int64_t{1}, std::nan(""), kNull}), Errc::kInvalidArgument);
  EXPECT_EQ(code_of({int64_t{1}, HUGE_VAL, kNull}), Errc::kInvalidArgument);
  EXPECT_EQ(code_of({int64_t{1}, kNull, text(std::string("a\0b", 3))}), Errc::kInvalidArgument);
  EXPECT_EQ(code_of({int64_t{1}, kNull}), Errc::kInvalidArgument);
  EXPECT_EQ(execute(insert, {int64_t{1}, kNull, kNull}), 1u);
}

TEST_P(SqlDatabaseTest, ErrorsSayWhatTheServerSaidButNoValue) {
  make_table();
  const auto wrong = database_->execute("INSERT INTO nowhere VALUES (?)", std::vector<SqlValue>{text("my data")});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, Errc::kIo);
  EXPECT_THAT(wrong.error().context, HasSubstr("nowhere"));
  EXPECT_THAT(wrong.error().context, Not(HasSubstr("my data")));
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre(SqlRow{int64_t{0}}));  // and it goes on
}

TEST_P(SqlDatabaseTest, ColumnsOfATableAreToldInTheirOrder) {
  make_table();
  EXPECT_THAT(database_->columns_of("t").value(), ElementsAre("id", "x", "name"));
  EXPECT_THAT(database_->columns_of("none").value(), ElementsAre());
}

TEST_P(SqlDatabaseTest, ReadOnlyWritesNothing) {
  make_table();
  execute("INSERT INTO t (id) VALUES (7)");
  auto reader = open(true);
  EXPECT_THAT(reader->rows("SELECT id FROM t").value(), ElementsAre(SqlRow{int64_t{7}}));
  EXPECT_FALSE(reader->execute("INSERT INTO t (id) VALUES (8)"));
  EXPECT_FALSE(reader->execute("CREATE TABLE u (id BIGINT)"));
}

INSTANTIATE_TEST_SUITE_P(All, SqlDatabaseTest,
                         ::testing::Values(SqlServerKind::kSqlite, SqlServerKind::kMariadb, SqlServerKind::kPostgresql),
                         [](const auto& info) {
                           return std::string(info.param == SqlServerKind::kSqlite    ? "Sqlite"
                                              : info.param == SqlServerKind::kMariadb ? "Mariadb"
                                                                                      : "Postgresql");
                         });

class SqlServerTest : public SqlDatabaseTest {};

TEST_P(SqlServerTest, AWrongPasswordIsNotRepeated) {
  auto options = options_for(url_);
  options.password = "wrong-password-of-mine";
  const auto refused = SqlDatabase::open(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::kUnavailable);
  EXPECT_THAT(refused.error().context, Not(HasSubstr("wrong-password")));
}

TEST_P(SqlServerTest, AServerThatGoesAwayIsAnErrorAndItsReturnAnotherConnection) {
  SqlServer server(GetParam());
  server.start();
  url_ = server.new_database();
  database_ = open();
  make_table();
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre(SqlRow{int64_t{0}}));
  server.stop();
  EXPECT_FALSE(database_->rows("SELECT count(*) FROM t"));
  EXPECT_FALSE(database_->transact([]() -> Result<void> { return {}; }));
  EXPECT_EQ(SqlDatabase::open(options_for(url_)).error().code, Errc::kUnavailable);
  server.start();
  database_ = open();
  EXPECT_THAT(rows("SELECT count(*) FROM t"), ElementsAre(SqlRow{int64_t{0}}));
}

INSTANTIATE_TEST_SUITE_P(Real, SqlServerTest, ::testing::Values(SqlServerKind::kMariadb, SqlServerKind::kPostgresql),
                         [](const auto& info) {
                           return std::string(info.param == SqlServerKind::kMariadb ? "Mariadb" : "Postgresql");
                         });

TEST_P(SqlServerTest, WhatDoesNotFitIsRefusedAndNotCut) {
  execute("CREATE TABLE s (a VARCHAR(3), b SMALLINT)");
  EXPECT_FALSE(database_->execute("INSERT INTO s VALUES (?, ?)", std::vector<SqlValue>{text("four"), int64_t{1}}));
  EXPECT_FALSE(database_->execute("INSERT INTO s VALUES (?, ?)", std::vector<SqlValue>{text("abc"), int64_t{70'000}}));
  EXPECT_THAT(rows("SELECT * FROM s"), ElementsAre());
}

TEST_P(SqlServerTest, OtherTypesAreNumbersOrTextAsTheServerShowsThem) {
  const bool maria = GetParam() == SqlServerKind::kMariadb;
  execute(
      maria
          ? "CREATE TABLE o (b BOOLEAN, d DATETIME, n DECIMAL(8,3), j JSON, e ENUM('x','y'), y YEAR, u BIGINT UNSIGNED)"
          : "CREATE TABLE o (b BOOLEAN, d TIMESTAMP, n NUMERIC(8,3), j JSONB, e UUID, y INTERVAL, u NUMERIC)");
  execute(std::string("INSERT INTO o VALUES (true, '2026-01-05 10:00:00', 1.250, '{\"a\": 1}', ") +
          (maria ? "'y', 2026, 18446744073709551615)" : "'00000000-0000-0000-0000-000000000001', '1 day', 'NaN')"));
  const auto row = rows("SELECT * FROM o").at(0);
  EXPECT_EQ(row[0], SqlValue{int64_t{1}});
  EXPECT_EQ(row[1], text("2026-01-05 10:00:00"));
  EXPECT_EQ(row[2], SqlValue{1.25});
  EXPECT_EQ(row[3], text("{\"a\": 1}"));
  EXPECT_TRUE(std::holds_alternative<std::string>(row[4]));
}

class SqliteFileTest : public ::testing::Test {
 protected:
  std::unique_ptr<SqlDatabase> open(const std::filesystem::path& file, bool read_only = false) {
    auto options = options_for("sqlite:" + file.string());
    options.read_only = read_only;
    options.timeout = std::chrono::seconds(0);
    auto opened = SqlDatabase::open(options);
    if (!opened) throw std::runtime_error(opened.error().message());
    return std::move(*opened);
  }
  Errc error_of(const std::filesystem::path& file, bool read_only) {
    auto options = options_for("sqlite:" + file.string());
    options.read_only = read_only;
    options.timeout = std::chrono::seconds(0);
    return SqlDatabase::open(options).error().code;
  }

  TemporaryDirectory directory_;
};

// SQLite stores what it is given, whatever the column was declared as.
TEST_F(SqliteFileTest, ValuesHaveTheTypeThatWasStored) {
  auto database = open(directory_ / "a.sqlite");
  ASSERT_TRUE(database->execute("CREATE TABLE t (a DATETIME, b BOOLEAN, c JSON, d WHATEVER(3), e INTEGER, f)"));
  const std::vector<SqlValue> odd{text("yesterday"), text("maybe"), int64_t{3}, text("d"), text("no number"), 1.5};
  ASSERT_TRUE(database->execute("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", odd));
  EXPECT_THAT(database->rows("SELECT * FROM t").value(), ElementsAre(odd));
  ASSERT_TRUE(database->execute("UPDATE t SET a = 7, f = x'00FF'"));
  EXPECT_THAT(database->rows("SELECT a, f, 1 + 1 FROM t").value(),
              ElementsAre(SqlRow{int64_t{7}, text(std::string("\0\xFF", 2)), int64_t{2}}));
}

TEST_F(SqliteFileTest, APathMayHoldNearlyAnything) {
  const auto file = directory_ / "a = b 'c' dbname=x  \xC3\xA4; :p1 ?.sqlite";
  ASSERT_TRUE(open(file)->execute("CREATE TABLE t (a)"));
  EXPECT_TRUE(std::filesystem::exists(file));
  EXPECT_THAT(open(file, true)->columns_of("t").value(), ElementsAre("a"));
}

TEST_F(SqliteFileTest, ReadingLeavesEveryByteAsItWas) {
  const auto file = directory_ / "a.sqlite";
  ASSERT_TRUE(open(file)->execute("CREATE TABLE t (a)"));
  const auto before = read_file(file).value();
  EXPECT_TRUE(open(file, true)->rows("SELECT * FROM t").value().empty());
  EXPECT_EQ(read_file(file).value(), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_.path()), {}), 1);
}

TEST_F(SqliteFileTest, WhatIsNoDatabaseIsToldFromWhatIsMissingAndWhatIsLocked) {
  EXPECT_EQ(error_of(directory_ / "none.sqlite", true), Errc::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "none.sqlite"));
  EXPECT_EQ(error_of(directory_ / "none/none.sqlite", false), Errc::kNotFound);
  std::ofstream(directory_ / "text") << std::string(5000, 'x');
  EXPECT_EQ(error_of(directory_ / "text", true), Errc::kMalformed);
  auto owner = open(directory_ / "a.sqlite");
  ASSERT_TRUE(owner->execute("CREATE TABLE t (a)"));
  ASSERT_TRUE(owner->execute("BEGIN EXCLUSIVE"));
  EXPECT_EQ(error_of(directory_ / "a.sqlite", true), Errc::kConflict);
}

}  // namespace
}  // namespace millrace
