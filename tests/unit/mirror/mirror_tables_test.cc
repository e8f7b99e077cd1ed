// SPDX-License-Identifier: Apache-2.0
#include "mirror/mirror_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace millrace {
namespace {

using ::testing::HasSubstr;

TEST(MirrorTablesTest, ATimeIsWrittenAsEachServerTakesIt) {
  constexpr int64_t kNoonUs = 1'795'262'400'000'001;
  EXPECT_EQ(time_value(kNoonUs, SqlDialect::kSqlite), SqlValue{std::string("2026-11-21T12:00:00.000001Z")});
  EXPECT_EQ(time_value(kNoonUs, SqlDialect::kPostgresql), SqlValue{std::string("2026-11-21T12:00:00.000001Z")});
  EXPECT_EQ(time_value(kNoonUs, SqlDialect::kMysql), SqlValue{std::string("2026-11-21 12:00:00.000001")});
}

TEST(MirrorTablesTest, ATimeThatIsNotKnownOrThatNoServerTakesIsNull) {
  for (const int64_t us :
       {int64_t{0}, int64_t{-1}, int64_t{253'402'300'800'000'000}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(time_value(us, SqlDialect::kMysql), SqlValue{}) << us;
  }
  EXPECT_NE(time_value(253'402'300'799'999'999, SqlDialect::kMysql), SqlValue{});
}

TEST(MirrorTablesTest, ReservedWordsAreQuoted) {
  const auto& jobs = mirror_tables()[1];
  EXPECT_THAT(upsert_statement(jobs, SqlDialect::kPostgresql, 1), HasSubstr("\"user\" = excluded.\"user\""));
  EXPECT_THAT(upsert_statement(jobs, SqlDialect::kMysql, 1), HasSubstr("`user` = VALUES(`user`)"));
}

TEST(MirrorTablesTest, ARowHasAValueForEachColumnAndTheStatementAPlaceholder) {
  const schema::JobViewT job;
  const schema::JobDetailT detail;
  const auto row = row_of(JobSource{SqlDialect::kSqlite, 1, 2, job, detail});
  const auto& table = mirror_tables()[1];
  EXPECT_EQ(row.size(), table.columns.size());
  const auto sql = upsert_statement(table, SqlDialect::kSqlite, 3);
  EXPECT_EQ(static_cast<size_t>(std::count(sql.begin(), sql.end(), '?')), 3 * row.size());
}

TEST(MirrorTablesTest, APictureThatIsTooLongIsLeftOut) {
  const schema::JobMetadataReadT sliced;
  const auto columns = mirror_tables()[2].columns;
  const auto picture = std::find_if(columns.begin(), columns.end(),
                                    [](const ColumnHead& column) { return column.name == "thumbnail_base64"; });
  const auto index = static_cast<size_t>(picture - columns.begin());
  const std::string settings, fits(75'000, 'x'), too_long(75'001, 'x');
  const auto kept = row_of(DetailSource{SqlDialect::kSqlite, 1, sliced, settings, fits});
  EXPECT_EQ(std::get<std::string>(kept[index]).size(), kMaxThumbnailCharacters);
  EXPECT_EQ(row_of(DetailSource{SqlDialect::kSqlite, 1, sliced, settings, too_long})[index], SqlValue{});
}

}  // namespace
}  // namespace millrace
