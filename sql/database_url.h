// SPDX-License-Identifier: Apache-2.0
// Where an SQL database is.  Pure functions, but for the file of a password.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

enum class SqlDialect { kSqlite, kMysql, kPostgresql };  // kMysql is MariaDB too

std::string_view name_of(SqlDialect dialect);  // "SQLite", "MySQL", "PostgreSQL"

struct DatabaseUrl {
  SqlDialect dialect = SqlDialect::kSqlite;
  std::string path;  // SQLite: the file
  std::string user;  // the others: all that follows
  std::string host;
  uint16_t port = 0;
  std::string database;
  std::string socket;  // MySQL: the socket file; PostgreSQL: the folder that holds it; empty: by host and port

  std::string text() const;  // for people and logs: without what a user's name may tell of a password
};

// sqlite:PATH
// mysql://user@host:3306/database, also mariadb://; with ?socket=/run/mysqld/mysqld.sock over that socket
// postgresql://user@host:5432/database, also postgres://; with ?socket=/run/postgresql over the socket in that folder
// %XX stands for any byte of a part, but not in PATH.  kInvalidArgument for anything else, above all for a password,
// which would end up in logs and lists of processes; no message repeats one.
Result<DatabaseUrl> parse_database_url(std::string_view text);

// The file's content without the end of its line.  kMalformed when it is empty, has several lines or more than 1 KiB.
Result<std::string> read_database_password(const std::filesystem::path& file);

}  // namespace millrace
