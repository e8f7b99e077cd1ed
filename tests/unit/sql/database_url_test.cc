// SPDX-License-Identifier: Apache-2.0
#include "sql/database_url.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

TEST(DatabaseUrlTest, EachKindIsTakenApart) {
  const auto file = parse_database_url("sqlite:data/mirror=1 %41.sqlite").value();
  EXPECT_EQ(file.path, "data/mirror=1 %41.sqlite");
  const auto server = parse_database_url("mariadb://me%40home@db.example:3307/shop%2f1").value();
  EXPECT_EQ(server.dialect, SqlDialect::kMysql);
  EXPECT_EQ(server.user, "me@home");
  EXPECT_EQ(server.host, "db.example");
  EXPECT_EQ(server.port, 3307);
  const auto address = parse_database_url("postgres://me@[::1]/shop").value();
  EXPECT_EQ(address.text(), "postgresql://me@[::1]:5432/shop");
  const auto socket = parse_database_url("postgresql://me@/shop?socket=/run/post%20gres").value();
  EXPECT_EQ(socket.socket, "/run/post gres");
}

TEST(DatabaseUrlTest, APasswordIsRefusedAndNotRepeated) {
  for (const char* text :
       {"mysql://me:secret@host/db", "postgresql://me:secret@host/db", "mysql://me:sec@ret@host/db"}) {
    const auto parsed = parse_database_url(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::kInvalidArgument);
    EXPECT_EQ(parsed.error().context.find("sec"), std::string::npos);
  }
}

TEST(DatabaseUrlTest, AnythingElseIsRefused) {
  for (const char* text : {"", "sqlite:", "sqlite://x", "sqlite:a\"b", "oracle://me@h/d", "mysql:me@h/d", "mysql://h/d",
                           "mysql://me@h", "mysql://me@h/", "mysql://me@/d", "mysql://me@h:0/d", "mysql://me@h:70000/d",
                           "mysql://me@h:x/d", "mysql://me@h/a/b", "mysql://me@h/d?ssl=1", "mysql://me@h/d?socket=run",
                           "mysql://m%e@h/d", "mysql://me@[::1/d", "mysql://me@[::1]x/d"}) {
    const auto parsed = parse_database_url(text);
    EXPECT_FALSE(parsed) << text;
  }
}

TEST(DatabaseUrlTest, APasswordIsTheOneLineOfItsFile) {
  const testing::TemporaryDirectory directory;
  const auto reading = [&](const std::string& content) {
    std::ofstream(directory / "password", std::ios::trunc) << content;
    return read_database_password(directory / "password");
  };
  EXPECT_EQ(reading(" a b \r\n").value(), " a b ");
  EXPECT_EQ(reading("").error().code, Errc::kMalformed);
  EXPECT_EQ(reading("a\nb\n").error().code, Errc::kMalformed);
  EXPECT_EQ(reading(std::string(2000, 'x')).error().code, Errc::kMalformed);
  EXPECT_FALSE(read_database_password(directory / "none"));
}

}  // namespace
}  // namespace millrace
