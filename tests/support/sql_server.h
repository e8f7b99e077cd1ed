// SPDX-License-Identifier: Apache-2.0
// Databases for tests: an SQLite file, and MariaDB and PostgreSQL servers of the test's own on Unix sockets.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bus/child_process.h"
#include "bus/result.h"
#include "tests/support/event_fixtures.h"

namespace millrace::testing {

enum class SqlServerKind { kSqlite, kMariadb, kPostgresql };

inline constexpr const char* kSqlServerPassword = "it's a \\ \"password\" with blanks";

// The servers refuse to run as root: as root they run as the users that Debian's packages make.  start() throws, which
// fails the test, when a server is not installed or does not come up.
class SqlServer {
 public:
  explicit SqlServer(SqlServerKind kind);
  ~SqlServer();
  SqlServer(const SqlServer&) = delete;
  SqlServer& operator=(const SqlServer&) = delete;

  void start();
  void stop();  // as its host would; does nothing for SQLite
  void kill();

  SqlServerKind kind() const { return kind_; }
  // A new, empty database for user "mill", whose password is kSqlServerPassword; its URL, such as
  // "mysql://mill@/one?socket=...".
  std::string new_database();
  // Only where the test runs as root and Debian's users are missing, or may not be switched to.
  static std::optional<std::string> why_impossible(SqlServerKind kind);
  std::filesystem::path directory() const { return directory_.path(); }

 private:
  std::vector<std::string> as_user(std::vector<std::string> command) const;
  void run(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment = {});
  void start_mariadb();
  void start_postgresql();
  void sql(const std::string& statement);

  const SqlServerKind kind_;
  TemporaryDirectory directory_;
  bool filled_ = false;
  int databases_ = 0;
  std::optional<ChildProcess> process_;
};

// One server of each kind for all tests of the program that asks for it: starting one takes seconds.
SqlServer& shared_sql_server(SqlServerKind kind);

}  // namespace millrace::testing
