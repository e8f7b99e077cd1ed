// SPDX-License-Identifier: Apache-2.0
#include "sql/database_url.h"

#include <charconv>

#include "bus/file_io.h"
#include "net/url.h"

namespace millrace {
namespace {

constexpr size_t kPasswordBytesMax = 1024;
constexpr uint16_t kMysqlPort = 3306;
constexpr uint16_t kPostgresqlPort = 5432;
constexpr std::string_view kForms =
    "expected sqlite:PATH, mysql://user@host:3306/database or postgresql://user@host:5432/database";

Error refused(std::string_view why) { return make_error(Errc::kInvalidArgument, "database URL: " + std::string(why)); }

// Takes what is before `separator` off `rest`; all of it when there is none.
std::string_view cut(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const auto head = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view{} : rest.substr(at + 1);
  return head;
}

Result<std::string> decoded(std::string_view text) {
  auto plain = percent_decode(text, Plus::kLiteral);
  if (!plain) return refused("% without two hexadecimal digits, or a NUL");
  return plain;
}

Result<void> take_host(std::string_view authority, DatabaseUrl& url) {
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return refused("an IPv6 address without its closing bracket");
    url.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return refused("something other than a port behind the address");
    if (!port.empty()) port.remove_prefix(1);
  } else {
    port = authority;
    auto host = decoded(cut(port, ':'));
    if (!host) return host.error();
    url.host = *host;
  }
  if (port.empty()) return {};
  const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (code != std::errc{} || end != port.data() + port.size() || url.port == 0) {
    return refused("the port is no number from 1 to 65535");
  }
  return {};
}

Result<void> take_options(std::string_view query, DatabaseUrl& url) {
  while (!query.empty()) {
    auto value = cut(query, '&');
    const auto name = cut(value, '=');
    if (name != "socket") return refused("the only option is socket=PATH");
    auto socket = decoded(value);
    if (!socket) return socket.error();
    if (!socket->starts_with('/')) return refused("socket= takes a path that begins with /");
    url.socket = *socket;
  }
  return {};
}

Result<DatabaseUrl> parse_server(std::string_view rest, DatabaseUrl url) {
  auto path = cut(rest, '?');
  const auto query = rest;
  auto authority = cut(path, '/');
  const size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    const auto user = authority.substr(0, at);
    if (user.find(':') != std::string_view::npos) {
      return refused("a password does not belong into it; give it in a file or in the environment");
    }
    auto plain = decoded(user);
    if (!plain) return plain.error();
    url.user = *plain;
    authority.remove_prefix(at + 1);
  }
  if (url.user.empty()) return refused("the user is missing, as in mysql://user@host/database");
  if (auto host = take_host(authority, url); !host) return host.error();
  auto database = decoded(path);
  if (!database) return database.error();
  if (database->empty() || path.find('/') != std::string_view::npos) {
    return refused("the name of the database is missing, as in mysql://user@host/database");
  }
  url.database = *database;
  if (auto options = take_options(query, url); !options) return options.error();
  if (url.host.empty() && url.socket.empty()) return refused("the host is missing");
  return url;
}

}  // namespace

std::string_view name_of(SqlDialect dialect) {
  switch (dialect) {
    case SqlDialect::kSqlite:
      return "SQLite";
    case SqlDialect::kMysql:
      return "MySQL";
    case SqlDialect::kPostgresql:
      return "PostgreSQL";
  }
  return "?";
}

std::string DatabaseUrl::text() const {
  if (dialect == SqlDialect::kSqlite) return "sqlite:" + path;
  std::string out = dialect == SqlDialect::kMysql ? "mysql://" : "postgresql://";
  out += user + "@" + (socket.empty() ? host_and_port(host, port) : std::string{}) + "/" + database;
  if (!socket.empty()) out += "?socket=" + socket;
  return out;
}

Result<DatabaseUrl> parse_database_url(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return refused("a NUL");
  auto rest = text;
  const auto scheme = cut(rest, ':');
  DatabaseUrl url;
  if (scheme == "sqlite") {
    if (rest.empty() || rest.starts_with("//")) {
      return refused("the file is missing, as in sqlite:data/mirror.sqlite or sqlite:/var/lib/mirror.sqlite");
    }
    // SOCI quotes the path with it and knows no way to write it.
    if (rest.find('"') != std::string_view::npos) return refused("the path of an SQLite file cannot hold a \"");
    url.path = rest;
    return url;
  }
  if (scheme == "mysql" || scheme == "mariadb") {
    url.dialect = SqlDialect::kMysql;
    url.port = kMysqlPort;
  } else if (scheme == "postgresql" || scheme == "postgres") {
    url.dialect = SqlDialect::kPostgresql;
    url.port = kPostgresqlPort;
  } else {
    return refused(kForms);
  }
  if (!rest.starts_with("//")) return refused(kForms);
  return parse_server(rest.substr(2), std::move(url));
}

Result<std::string> read_database_password(const std::filesystem::path& file) {
  auto text = read_file(file);
  if (!text) return text.error();
  if (text->ends_with('\n')) text->pop_back();
  if (text->ends_with('\r')) text->pop_back();
  if (text->empty() || text->size() > kPasswordBytesMax ||
      text->find_first_of(std::string_view("\n\0", 2)) != std::string::npos) {
    return make_error(Errc::kMalformed, "'" + file.string() + "' should hold a password and nothing else, on one line");
  }
  return text;
}

}  // namespace millrace
