// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sql_server.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "tests/support/process.h"

namespace millrace::testing {
namespace {

constexpr const char* kPostgresql = "/usr/lib/postgresql/15/bin/";
constexpr std::chrono::seconds kStart{60};

const char* user_of(SqlServerKind kind) { return kind == SqlServerKind::kMariadb ? "mysql" : "postgres"; }

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// In single quotes, as all of these servers and psql take it.
std::string sql_text(const std::string& text, bool backslash_escapes) {
  std::string out = "'";
  for (const char byte : text) {
    if (byte == '\'') out += '\'';
    if (byte == '\\' && backslash_escapes) out += '\\';
    out += byte;
  }
  return out + "'";
}

}  // namespace

std::optional<std::string> SqlServer::why_impossible(SqlServerKind kind) {
  if (kind == SqlServerKind::kSqlite || ::geteuid() != 0) return std::nullopt;
  const TemporaryDirectory directory;
  auto tried = ChildProcess::start({"setpriv", std::string("--reuid=") + user_of(kind),
                                    std::string("--regid=") + user_of(kind), "--clear-groups", "true"},
                                   directory / "output");
  if (tried && tried->wait() == 0) return std::nullopt;
  return std::string("this is root, may not become the user ") + user_of(kind) + ", and the server refuses root";
}

SqlServer::SqlServer(SqlServerKind kind) : kind_(kind) {
  if (kind == SqlServerKind::kSqlite || ::geteuid() != 0) return;
  const passwd* user = ::getpwnam(user_of(kind));
  if (user == nullptr || ::chown(directory_.path().c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::runtime_error("the folder cannot be given to the user of the server");
  }
}

SqlServer::~SqlServer() { kill(); }

void SqlServer::kill() {
  if (process_) process_->kill();
  process_.reset();
}

void SqlServer::stop() {
  if (!process_) return;
  process_->signal(kind_ == SqlServerKind::kPostgresql ? SIGINT : SIGTERM);  // SIGTERM would wait for the clients
  process_->wait();
  process_.reset();
}

void SqlServer::start() {
  if (kind_ == SqlServerKind::kMariadb) start_mariadb();
  if (kind_ == SqlServerKind::kPostgresql) start_postgresql();
}

std::vector<std::string> SqlServer::as_user(std::vector<std::string> command) const {
  if (::geteuid() != 0) return command;
  const std::string user = user_of(kind_);
  // A change of user forgets that the child is to end with this process.
  command.insert(command.begin(),
                 {"setpriv", "--reuid=" + user, "--regid=" + user, "--clear-groups", "--pdeathsig", "KILL"});
  return command;
}

void SqlServer::run(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment) {
  const auto output = directory_ / "commands.log";
  auto child = ChildProcess::start(as_user(command), output, environment);
  if (child && child->wait() == 0) return;
  throw std::runtime_error(command[0] + " failed: " + text_of(output));
}

void SqlServer::start_mariadb() {
  const auto data = (directory_ / "data").string();
  const auto socket = (directory_ / "sock").string();
  if (!filled_) {
    run({"mariadb-install-db", "--no-defaults", "--datadir=" + data, "--auth-root-authentication-method=normal",
         "--skip-test-db"});
  }
  process_.emplace(ChildProcess::start(as_user({"/usr/sbin/mariadbd", "--no-defaults", "--datadir=" + data,
                                                "--socket=" + socket, "--skip-networking",
                                                "--innodb-flush-log-at-trx-commit=2", "--pid-file=" + data + "/pid"}),
                                       directory_ / "server.log")
                       .value());
  const auto answers = [&] {
    auto ping = ChildProcess::start({"mariadb-admin", "--no-defaults", "--socket=" + socket, "--user=root", "ping"},
                                    directory_ / "ping.log");
    return ping && ping->wait() == 0;
  };
  if (!eventually(answers, kStart)) throw std::runtime_error("mariadbd: " + text_of(directory_ / "server.log"));
  if (!filled_) {
    sql("CREATE USER mill@localhost IDENTIFIED BY " + sql_text(kSqlServerPassword, true));
    sql("GRANT ALL ON *.* TO mill@localhost");
  }
  filled_ = true;
}

void SqlServer::start_postgresql() {
  const auto data = (directory_ / "data").string();
  if (!filled_) {
    run({std::string(kPostgresql) + "initdb", "--pgdata", data, "--auth=trust", "--username=postgres", "--no-sync",
         "--encoding=UTF8", "--locale=C"});
  }
  process_.emplace(
      ChildProcess::start(as_user({std::string(kPostgresql) + "postgres", "-D", data, "-k", directory_.path().string(),
                                   "-c", "listen_addresses=", "-c", "synchronous_commit=off"}),
                          directory_ / "server.log")
          .value());
  const auto answers = [&] {
    auto ping = ChildProcess::start({std::string(kPostgresql) + "pg_isready", "-h", directory_.path().string()},
                                    directory_ / "ping.log");
    return ping && ping->wait() == 0;
  };
  if (!eventually(answers, kStart)) throw std::runtime_error("postgres: " + text_of(directory_ / "server.log"));
  if (!filled_) {
    sql("CREATE USER mill PASSWORD " + sql_text(kSqlServerPassword, false));
    std::ofstream(directory_ / "data/pg_hba.conf") << "local all postgres trust\nlocal all mill scram-sha-256\n";
    sql("SELECT pg_reload_conf()");
  }
  filled_ = true;
}

void SqlServer::sql(const std::string& statement) {
  if (kind_ == SqlServerKind::kMariadb) {
    run({"mariadb", "--no-defaults", "--socket=" + (directory_ / "sock").string(), "--user=root", "--execute",
         statement});
  } else {
    run({std::string(kPostgresql) + "psql", "-X", "-h", directory_.path().string(), "-U", "postgres", "-c", statement});
  }
}

std::string SqlServer::new_database() {
  const auto name = "test_" + std::to_string(++databases_);
  switch (kind_) {
    case SqlServerKind::kSqlite:
      return "sqlite:" + (directory_ / (name + ".sqlite")).string();
    case SqlServerKind::kMariadb:
      // Debian's own default would do; whoever sets up a server may have another one.
      sql("CREATE DATABASE " + name + " CHARACTER SET latin1");
      return "mysql://mill@localhost/" + name + "?socket=" + (directory_ / "sock").string();
    case SqlServerKind::kPostgresql:
      sql("CREATE DATABASE " + name + " OWNER mill");
      return "postgresql://mill@/" + name + "?socket=" + directory_.path().string();
  }
  return {};
}

SqlServer& shared_sql_server(SqlServerKind kind) {
  static std::map<SqlServerKind, SqlServer> servers;
  const auto [found, made] = servers.try_emplace(kind, kind);
  if (made) found->second.start();
  return found->second;
}

}  // namespace millrace::testing
