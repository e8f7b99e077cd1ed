// SPDX-License-Identifier: Apache-2.0
// SOCI's session and statement backends are used directly: its templates take the types of values at compile time, its
// dynamic rows go by the declared type of a column, which SQLite does not keep to, and turn times into local ones.
#include "sql/sql_database.h"

#include <fmt/format.h>
#include <soci/soci-backend.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>

#include "net/url.h"

// Declared here and not by SOCI's headers, which would ask for those of the servers' own libraries.
extern "C" {
soci::backend_factory const* factory_mysql();
soci::backend_factory const* factory_postgresql();
}

namespace millrace {
namespace {

using soci::details::session_backend;
using soci::details::standard_into_type_backend;
using soci::details::standard_use_type_backend;
using soci::details::statement_backend;

constexpr size_t kStatementsMax = 64;
constexpr size_t kMessageBytesMax = 300;

// A value in the quotes of SOCI's connection string for MySQL.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char byte : text) {
    if (byte == '\'' || byte == '\\') out += '\\';
    out += byte;
  }
  return out + "'";
}

std::string mysql_connect_string(const DatabaseOptions& options) {
  const auto& url = options.url;
  std::string text = fmt::format(
      "dbname={0} user={1} port={2} charset=utf8mb4 connect_timeout={3} read_timeout={3} write_timeout={3}",
      in_quotes(url.database), in_quotes(url.user), url.port, std::max<int64_t>(options.timeout.count(), 1));
  if (!options.password.empty()) text += " password=" + in_quotes(options.password);
  if (!url.host.empty()) text += " host=" + in_quotes(url.host);
  if (!url.socket.empty()) text += " unix_socket=" + in_quotes(url.socket);
  return text;
}

// As a URI of libpq's: SOCI takes its other form apart at blanks and quotes, escaped ones too.
std::string postgresql_connect_string(const DatabaseOptions& options) {
  const auto& url = options.url;
  const auto timeout_ms = options.timeout.count() * 1000;
  std::string text = "postgresql:///?client_encoding=UTF8&application_name=millrace";
  const auto add = [&](std::string_view name, std::string_view value) {
    text += fmt::format("&{}={}", name, percent_encode_path(value));
  };
  add("host", url.socket.empty() ? url.host : url.socket);
  add("port", std::to_string(url.port));
  add("dbname", url.database);
  add("user", url.user);
  if (!options.password.empty()) add("password", options.password);
  add("connect_timeout", std::to_string(std::max<int64_t>(options.timeout.count(), 2)));  // libpq's least
  add("tcp_user_timeout", std::to_string(timeout_ms));
  add("options",
      fmt::format("-c statement_timeout={0} -c lock_timeout={0} -c timezone=UTC -c client_min_messages=warning{1}",
                  timeout_ms, options.read_only ? " -c default_transaction_read_only=on" : ""));
  return text;
}

std::string connect_string(const DatabaseOptions& options) {
  switch (options.url.dialect) {
    case SqlDialect::kMysql:
      return mysql_connect_string(options);
    case SqlDialect::kPostgresql:
      return postgresql_connect_string(options);
    case SqlDialect::kSqlite:
      break;
  }
  return fmt::format("dbname=\"{}\" timeout={}{}", options.url.path, options.timeout.count(),
                     options.read_only ? " readonly=true" : "");
}

// One line of at most kMessageBytesMax, without the password even if a server were to repeat it.
std::string told(const soci::soci_error& error, std::string_view password) {
  std::string text = error.get_error_message();
  for (size_t at = 0; !password.empty() && (at = text.find(password, at)) != std::string::npos;) {
    text.replace(at, password.size(), "***");
    at += 3;
  }
  std::string out;
  for (const char byte : text) {
    const bool blank = byte == '\n' || byte == '\r' || byte == '\t' || byte == ' ';
    if (blank && (out.empty() || out.back() == ' ')) continue;
    out += blank ? ' ' : byte;
  }
  while (out.ends_with(' ')) out.pop_back();
  if (out.size() > kMessageBytesMax) {
    size_t end = kMessageBytesMax;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xC0u) == 0x80u) end -= 1;  // within a character
    out.resize(end);
  }
  return out;
}

Errc code_of(const soci::soci_error& error, Errc otherwise) {
  if (const auto* sqlite = dynamic_cast<const soci::sqlite3_soci_error*>(&error)) {
    switch (sqlite->result() & 0xFF) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return Errc::kConflict;
      case SQLITE_NOTADB:
      case SQLITE_CORRUPT:
        return Errc::kMalformed;
      default:
        break;
    }
  }
  const std::string text = error.get_error_message();
  if (text.find("is locked") != std::string::npos) return Errc::kConflict;
  if (text.find("not a database") != std::string::npos) return Errc::kMalformed;
  if (error.get_error_category() == soci::soci_error::connection_error) return Errc::kUnavailable;
  return otherwise;
}

// "a = ? AND b = '?'" -> "a = :p1 AND b = '?'" and 1.
struct Numbered {
  std::string sql;
  size_t placeholders = 0;
};

Numbered numbered(std::string_view sql) {
  Numbered out;
  char quote = 0;
  for (const char byte : sql) {
    if (quote != 0) {
      if (byte == quote) quote = 0;
    } else if (byte == '\'' || byte == '"' || byte == '`') {
      quote = byte;
    } else if (byte == '?') {
      out.sql += fmt::format(":p{}", ++out.placeholders);
      continue;
    }
    out.sql += byte;
  }
  return out;
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// What a server showed, by the type of its column.  What does not fit the type stays text.
SqlValue value_of(std::string text, soci::data_type type) {
  switch (type) {
    case soci::dt_integer:
    case soci::dt_long_long:
    case soci::dt_unsigned_long_long:
      if (text == "t" || text == "f") return int64_t{text == "t"};  // PostgreSQL's truth values
      if (const auto whole = number<int64_t>(text)) return *whole;
      break;
    case soci::dt_double:
      if (const auto real = number<double>(text)) return *real;
      break;
    default:
      break;
  }
  return text;
}

// A prepared statement, with the values of one run at a time.
class Statement {
 public:
  Statement(session_backend& session, SqlDialect dialect, std::string_view sql)
      : dialect_(dialect), backend_(session.make_statement_backend()) {
    auto text = numbered(sql);
    placeholders_ = text.placeholders;
    backend_->alloc();
    backend_->prepare(text.sql, soci::details::st_repeatable_query);
  }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() {
    intos_.clear();
    uses_.clear();
    backend_->clean_up();
  }

  size_t placeholders() const { return placeholders_; }

  uint64_t run(std::span<const SqlValue> values) {
    bind(values);
    backend_->execute(1);
    const auto changed = backend_->get_affected_rows();
    uses_.clear();
    return changed > 0 ? static_cast<uint64_t>(changed) : 0;
  }

  Result<void> rows(std::span<const SqlValue> values, const std::function<Result<void>(const SqlRow&)>& row) {
    bind(values);
    describe();
    SqlRow values_of_row(static_cast<size_t>(columns_));
    for (auto& into : intos_) into->pre_fetch();
    bool more = backend_->execute(1) == statement_backend::ef_success;
    for (bool first = true; more; first = false) {
      read(values_of_row, !first);
      if (auto taken = row(values_of_row); !taken) return taken;
      more = backend_->fetch(1) == statement_backend::ef_success;
    }
    uses_.clear();
    return {};
  }

 private:
  template <class T>
  struct CleanUp {
    void operator()(T* element) const {
      element->clean_up();
      delete element;
    }
  };
  using Use = std::unique_ptr<standard_use_type_backend, CleanUp<standard_use_type_backend>>;
  using Into = std::unique_ptr<standard_into_type_backend, CleanUp<standard_into_type_backend>>;

  struct Cell {
    std::string text;
    soci::indicator indicator = soci::i_ok;
    soci::data_type type = soci::dt_string;
  };

  // The values must stay where they are until the statement has run.
  void bind(std::span<const SqlValue> values) {
    uses_.clear();
    int position = 1;
    for (const auto& value : values) {
      Use use(backend_->make_use_type_backend());
      soci::indicator indicator = soci::i_ok;
      // The library takes pointers to what it may also write to; it does not write to what is read-only.
      if (const auto* text = std::get_if<std::string>(&value)) {
        use->bind_by_pos(position, const_cast<std::string*>(text), soci::details::x_stdstring, true);
      } else if (const auto* whole = std::get_if<int64_t>(&value)) {
        static_assert(sizeof(long long) == sizeof(int64_t));
        use->bind_by_pos(position, const_cast<int64_t*>(whole), soci::details::x_long_long, true);
      } else if (const auto* real = std::get_if<double>(&value)) {
        use->bind_by_pos(position, const_cast<double*>(real), soci::details::x_double, true);
      } else {
        indicator = soci::i_null;
        use->bind_by_pos(position, &nothing_, soci::details::x_stdstring, true);
      }
      use->pre_use(&indicator);
      uses_.push_back(std::move(use));
    }
  }

  // For the servers this runs the statement, and execute() hands over what it brought.
  void describe() {
    intos_.clear();
    columns_ = backend_->prepare_for_describe();
    if (dialect_ == SqlDialect::kSqlite) return;
    cells_.assign(static_cast<size_t>(columns_), Cell{});
    int position = 1;
    for (int column = 1; column <= columns_; ++column) {
      auto& cell = cells_[static_cast<size_t>(column - 1)];
      try {
        std::string name;
        backend_->describe_column(column, cell.type, name);
      } catch (const soci::soci_error&) {
        cell.type = soci::dt_string;  // a type that SOCI does not know, shown as the server shows it
      }
      Into into(backend_->make_into_type_backend());
      into->define_by_pos(position, &cell.text, soci::details::x_stdstring);
      intos_.push_back(std::move(into));
    }
  }

  void read(SqlRow& row, bool fetched) {
    if (dialect_ == SqlDialect::kSqlite) {
      for (int column = 0; column < columns_; ++column) row[static_cast<size_t>(column)] = sqlite_value(column);
      return;
    }
    for (size_t column = 0; column < cells_.size(); ++column) {
      auto& cell = cells_[column];
      cell.indicator = soci::i_ok;
      intos_[column]->post_fetch(true, fetched, &cell.indicator);
      row[column] = cell.indicator == soci::i_null ? SqlValue{} : value_of(cell.text, cell.type);
    }
  }

  SqlValue sqlite_value(int column) const {
    auto* statement = static_cast<soci::sqlite3_statement_backend&>(*backend_).stmt_;
    switch (sqlite_api::sqlite3_column_type(statement, column)) {
      case SQLITE_NULL:
        return {};
      case SQLITE_INTEGER:
        return int64_t{sqlite_api::sqlite3_column_int64(statement, column)};
      case SQLITE_FLOAT:
        return sqlite_api::sqlite3_column_double(statement, column);
      default: {
        const auto* bytes = static_cast<const char*>(sqlite_api::sqlite3_column_blob(statement, column));
        const auto size = static_cast<size_t>(sqlite_api::sqlite3_column_bytes(statement, column));
        return bytes == nullptr ? std::string{} : std::string(bytes, size);
      }
    }
  }

  const SqlDialect dialect_;
  const std::unique_ptr<statement_backend> backend_;
  size_t placeholders_ = 0;
  std::string nothing_;
  int columns_ = 0;
  std::vector<Cell> cells_;
  std::vector<Into> intos_;
  std::vector<Use> uses_;
};

class SociDatabase final : public SqlDatabase {
 public:
  explicit SociDatabase(DatabaseOptions options) : options_(std::move(options)) {}

  ~SociDatabase() override {
    statements_.clear();
    session_.reset();
  }

  Result<void> connect() {
    const auto& url = options_.url;
    if (url.dialect == SqlDialect::kSqlite) {
      if (auto there = file_is_there(); !there) return there;
    }
    auto made = guarded(Errc::kUnavailable, [&]() -> Result<void> {
      const auto* factory = url.dialect == SqlDialect::kSqlite  ? soci::factory_sqlite3()
                            : url.dialect == SqlDialect::kMysql ? factory_mysql()
                                                                : factory_postgresql();
      session_.reset(factory->make_session(soci::connection_parameters(*factory, connect_string(options_))));
      return {};
    });
    if (!made) return made;
    // SQLite looks at the file only now.
    if (url.dialect == SqlDialect::kSqlite) return run("SELECT count(*) FROM sqlite_master");
    if (url.dialect == SqlDialect::kPostgresql) return {};  // told when it was connected
    // Whatever the server's own settings: a value that does not fit is an error and not cut.
    auto set = run("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'");
    if (!set) return set;
    return options_.read_only ? run("SET SESSION TRANSACTION READ ONLY") : Result<void>{};
  }

  SqlDialect dialect() const override { return options_.url.dialect; }

  Result<uint64_t> execute(std::string_view sql, std::span<const SqlValue> values) override {
    uint64_t changed = 0;
    auto done = with_statement(sql, values, [&](Statement& statement) -> Result<void> {
      changed = statement.run(values);
      return {};
    });
    if (!done) return done.error();
    return changed;
  }

  Result<void> query(std::string_view sql, std::span<const SqlValue> values,
                     const std::function<Result<void>(const SqlRow&)>& row) override {
    return with_statement(sql, values, [&](Statement& statement) { return statement.rows(values, row); });
  }

  Result<void> transact(const std::function<Result<void>()>& work) override {
    auto begun = guarded(Errc::kIo, [&]() -> Result<void> {
      session_->begin();
      return {};
    });
    if (!begun) return begun;
    auto done = work();
    if (done) {
      done = guarded(Errc::kIo, [&]() -> Result<void> {
        session_->commit();
        return {};
      });
    }
    if (done) return done;
    // Its own error says nothing that is not known: the connection is lost, and with it the transaction.
    static_cast<void>(guarded(Errc::kIo, [&]() -> Result<void> {
      session_->rollback();
      return {};
    }));
    return done;
  }

 private:
  Result<void> run(std::string_view sql) {
    return query(sql, {}, [](const SqlRow&) -> Result<void> { return {}; });
  }

  Result<void> file_is_there() const {
    const std::filesystem::path path = options_.url.path;
    std::error_code error;
    if (options_.read_only && !std::filesystem::is_regular_file(path, error)) {
      return make_error(Errc::kNotFound, fmt::format("there is no file '{}'", path.string()));
    }
    const auto folder = path.parent_path();
    if (!folder.empty() && !std::filesystem::is_directory(folder, error)) {
      return make_error(Errc::kNotFound, fmt::format("there is no folder '{}'", folder.string()));
    }
    return {};
  }

  Result<void> guarded(Errc otherwise, const std::function<Result<void>()>& work) const {
    try {
      return work();
    } catch (const soci::soci_error& error) {
      return make_error(code_of(error, otherwise),
                        fmt::format("{}: {}", options_.url.text(), told(error, options_.password)));
    } catch (const std::exception& error) {
      return make_error(otherwise, fmt::format("{}: {}", options_.url.text(), error.what()));
    }
  }

  static Result<void> check(std::span<const SqlValue> values) {
    for (const auto& value : values) {
      if (const auto* real = std::get_if<double>(&value); real != nullptr && !std::isfinite(*real)) {
        return make_error(Errc::kInvalidArgument, fmt::format("SQL value {} is not finite", *real));
      }
      if (const auto* text = std::get_if<std::string>(&value);
          text != nullptr && text->find('\0') != std::string::npos) {
        return make_error(Errc::kInvalidArgument, "SQL text with a NUL");
      }
    }
    return {};
  }

  // The statement is kept when all went well; otherwise nobody knows what state it is in.
  Result<void> with_statement(std::string_view sql, std::span<const SqlValue> values,
                              const std::function<Result<void>(Statement&)>& work) {
    if (auto good = check(values); !good) return good;
    auto done = guarded(Errc::kIo, [&]() -> Result<void> {
      auto found = statements_.find(sql);
      if (found == statements_.end()) {
        if (statements_.size() >= kStatementsMax) statements_.clear();
        auto made = std::make_unique<Statement>(*session_, dialect(), sql);
        found = statements_.emplace(std::string(sql), std::move(made)).first;
      }
      if (found->second->placeholders() != values.size()) {
        return make_error(Errc::kInvalidArgument, fmt::format("{} values for {} placeholders in: {}", values.size(),
                                                              found->second->placeholders(), sql.substr(0, 100)));
      }
      return work(*found->second);
    });
    if (!done) statements_.erase(std::string(sql));
    return done;
  }

  const DatabaseOptions options_;
  std::unique_ptr<session_backend> session_;
  std::map<std::string, std::unique_ptr<Statement>, std::less<>> statements_;
};

}  // namespace

Result<std::unique_ptr<SqlDatabase>> SqlDatabase::open(DatabaseOptions options) {
  auto database = std::make_unique<SociDatabase>(std::move(options));
  if (auto connected = database->connect(); !connected) return connected.error();
  return std::unique_ptr<SqlDatabase>(std::move(database));
}

Result<std::vector<SqlRow>> SqlDatabase::rows(std::string_view sql, std::span<const SqlValue> values) {
  std::vector<SqlRow> all;
  auto read = query(sql, values, [&](const SqlRow& row) -> Result<void> {
    all.push_back(row);
    return {};
  });
  if (!read) return read.error();
  return all;
}

Result<std::vector<std::string>> SqlDatabase::columns_of(std::string_view table) {
  const SqlValue name = std::string(table);
  const char* sql = "SELECT name FROM pragma_table_info(?)";
  if (dialect() == SqlDialect::kMysql) {
    sql =
        "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ? "
        "ORDER BY ordinal_position";
  } else if (dialect() == SqlDialect::kPostgresql) {
    sql =
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND "
        "table_name = ? ORDER BY ordinal_position";
  }
  auto found = rows(sql, {&name, 1});
  if (!found) return found.error();
  std::vector<std::string> names;
  for (const auto& row : *found) {
    if (const auto* text = std::get_if<std::string>(&row.at(0))) names.push_back(*text);
  }
  return names;
}

}  // namespace millrace
