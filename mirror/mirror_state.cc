// SPDX-License-Identifier: Apache-2.0
#include "mirror/mirror_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/logging.h"
#include "mirror/mirror_tables.h"

namespace millrace {
namespace {

constexpr const char* kRebuild = "`millrace mirror rebuild --config FILE` drops and fills them again";

template <class T>
T value_or(const SqlValue& value, T otherwise) {
  const auto* held = std::get_if<T>(&value);
  return held == nullptr ? otherwise : *held;
}

Result<void> run(SqlDatabase& database, std::string_view sql, std::span<const SqlValue> values = {}) {
  auto done = database.execute(sql, values);
  return done ? Result<void>{} : Result<void>{done.error()};
}

Result<void> make_state_table(SqlDatabase& database) {
  const bool sqlite = database.dialect() == SqlDialect::kSqlite;
  const bool mysql = database.dialect() == SqlDialect::kMysql;
  auto made =
      run(database, fmt::format("CREATE TABLE millrace_mirror (id {0} NOT NULL PRIMARY KEY, schema_version {0}, "
                                "log_id VARCHAR(256), views VARCHAR(256), replaced_at {0}, log_position {0}, "
                                "rebuild BOOLEAN, updated_at {1}){2}",
                                sqlite ? "INTEGER" : "BIGINT",
                                sqlite  ? "TEXT"
                                : mysql ? "DATETIME(6)"
                                        : "TIMESTAMP(6) WITH TIME ZONE",
                                mysql ? " ENGINE=InnoDB CHARACTER SET utf8mb4" : ""));
  if (!made) return made;
  const SqlValue yes = int64_t{1};
  return run(database, "INSERT INTO millrace_mirror (id, log_position, rebuild) VALUES (1, 0, ?)", {&yes, 1});
}

Error not_ours(std::string_view table) {
  return make_error(Errc::kConflict, fmt::format("the database has a table '{}' that is not the mirror's: give the "
                                                 "mirror a database of its own",
                                                 table));
}

// Whether the tables that are there have the columns of this program, made by a version with the same ones.
Result<bool> have_our_columns(SqlDatabase& database, int64_t schema_version) {
  if (schema_version != kMirrorSchemaVersion) return false;
  for (const auto& table : mirror_tables()) {
    const auto columns = database.columns_of(table.name);
    if (!columns) return columns.error();
    const auto same = [](const std::string& name, const auto& column) { return name == column.name; };
    if (!columns->empty() && !std::ranges::equal(*columns, table.columns, same)) return false;
  }
  return true;
}

Result<void> create_table(SqlDatabase& database, const MirrorTable& table) {
  for (const auto& statement : create_statements(table, database.dialect())) {
    if (auto made = run(database, statement); !made) return made;
  }
  return {};
}

// PostgreSQL forgets the rights of readers with a table, and does not drop one that somebody's view reads.
Result<void> empty_or_create_tables(SqlDatabase& database) {
  std::string names;
  for (const auto& table : mirror_tables()) {
    const auto columns = database.columns_of(table.name);
    if (!columns) return columns.error();
    if (columns->empty()) {
      if (auto made = create_table(database, table); !made) return made;
    }
    names += (names.empty() ? "" : ", ") + quoted_name(table.name, database.dialect());
  }
  return run(database, "TRUNCATE " + names);
}

Result<void> drop_and_create_tables(SqlDatabase& database) {
  const auto tables = mirror_tables();
  for (auto table = tables.rbegin(); table != tables.rend(); ++table) {
    auto dropped = run(database, "DROP TABLE IF EXISTS " + quoted_name(table->name, database.dialect()));
    if (!dropped) return dropped;
  }
  for (const auto& table : tables) {
    if (auto made = create_table(database, table); !made) return made;
  }
  return {};
}

// All or nothing where the server can: what somebody's view keeps from being dropped stays whole.
Result<void> prepare_tables(SqlDatabase& database, int64_t schema_version) {
  if (database.dialect() != SqlDialect::kPostgresql) return drop_and_create_tables(database);
  const auto fit = have_our_columns(database, schema_version);
  if (!fit) return fit.error();
  return database.transact([&] { return *fit ? empty_or_create_tables(database) : drop_and_create_tables(database); });
}

// A death after any of these statements leaves the word `rebuild` behind, and the next start does all of it again.
// `schema_version` is that of the tables that are there, 0 without any.
Result<void> make_tables(SqlDatabase& database, const MirrorOrigin& origin, int64_t schema_version) {
  const auto columns = database.columns_of("millrace_mirror");
  if (!columns) return columns.error();
  if (columns->empty()) {
    if (auto made = make_state_table(database); !made) return made;
  } else {
    const SqlValue yes = int64_t{1};
    auto marked = database.execute("UPDATE millrace_mirror SET rebuild = ? WHERE id = 1", {&yes, 1});
    if (!marked) return marked.error();
    if (*marked == 0) {
      auto row = run(database, "INSERT INTO millrace_mirror (id, log_position, rebuild) VALUES (1, 0, ?)", {&yes, 1});
      if (!row) return row;
    }
  }
  if (auto prepared = prepare_tables(database, schema_version); !prepared) return prepared;
  const std::vector<SqlValue> row{kMirrorSchemaVersion, origin.log_id, origin.views,
                                  static_cast<int64_t>(origin.replaced_at), int64_t{0}};
  return run(database,
             "UPDATE millrace_mirror SET schema_version = ?, log_id = ?, views = ?, replaced_at = ?, "
             "log_position = 0, rebuild = ? WHERE id = 1",
             row);
}

Result<void> refuse_foreign_tables(SqlDatabase& database) {
  for (const auto& table : mirror_tables()) {
    const auto columns = database.columns_of(table.name);
    if (!columns) return columns.error();
    if (columns->empty()) continue;
    return not_ours(table.name);
  }
  return {};
}

std::string_view why_anew(const MirrorState& state, const MirrorOrigin& origin) {
  if (state.rebuild) return "that was asked for";
  if (state.schema_version < kMirrorSchemaVersion) return "an older version made them";
  if (state.origin.views != origin.views) return "the views that they come from have changed";
  if (state.origin.replaced_at != origin.replaced_at) return "names in the log were made unreadable";
  return {};
}

}  // namespace

Result<std::optional<MirrorState>> read_mirror_state(SqlDatabase& database) {
  const auto columns = database.columns_of("millrace_mirror");
  if (!columns) return columns.error();
  if (columns->empty()) return std::optional<MirrorState>{};
  if (std::ranges::find(*columns, "rebuild") == columns->end()) return not_ours("millrace_mirror");
  const auto rows = database.rows(
      "SELECT schema_version, log_id, views, replaced_at, log_position, rebuild FROM millrace_mirror WHERE id = 1");
  if (!rows) return rows.error();
  if (rows->empty()) return std::optional<MirrorState>{};
  const SqlRow& row = rows->front();
  MirrorState state;
  state.schema_version = value_or<int64_t>(row[0], 0);
  state.origin.log_id = value_or<std::string>(row[1], {});
  state.origin.views = value_or<std::string>(row[2], {});
  state.origin.replaced_at = static_cast<uint64_t>(std::max<int64_t>(value_or<int64_t>(row[3], 0), 0));
  state.position = Position{static_cast<uint64_t>(std::max<int64_t>(value_or<int64_t>(row[4], 0), 0))};
  state.rebuild = value_or<int64_t>(row[5], 1) != 0;
  return std::optional<MirrorState>{state};
}

Result<Position> open_mirror_tables(SqlDatabase& database, const MirrorOrigin& origin, Position last) {
  const auto read = read_mirror_state(database);
  if (!read) return read.error();
  if (!*read) {
    const auto columns = database.columns_of("millrace_mirror");
    if (!columns) return columns.error();
    if (columns->empty()) {
      if (auto own = refuse_foreign_tables(database); !own) return own.error();
    }
    if (auto made = make_tables(database, origin, 0); !made) return made.error();
    log_info("mirror", "tables made; they are filled from the first position");
    return Position{0};
  }
  const MirrorState& state = **read;
  if (!state.rebuild && state.schema_version > kMirrorSchemaVersion) {
    return make_error(Errc::kIncompatible,
                      fmt::format("the tables were made by a newer program (schema {}, this one knows {}); {}",
                                  state.schema_version, kMirrorSchemaVersion, kRebuild));
  }
  if (!state.rebuild && state.origin.log_id != origin.log_id) {
    return make_error(
        Errc::kConflict,
        fmt::format("the tables are of the log {} and this is {}: give the mirror another database, or {}",
                    state.origin.log_id, origin.log_id, kRebuild));
  }
  if (!state.rebuild && state.position > last) {
    return make_error(Errc::kConflict, fmt::format("the tables are at position {} and the log ends at {}; {}",
                                                   state.position.value, last.value, kRebuild));
  }
  const auto why = why_anew(state, origin);
  if (why.empty()) return state.position;
  log_info("mirror", "the tables are dropped and filled again: {}", why);
  if (auto made = make_tables(database, origin, state.schema_version); !made) return made.error();
  return Position{0};
}

Result<void> move_mirror_position(SqlDatabase& database, Position from, Position to, WallTime now) {
  const std::vector<SqlValue> values{static_cast<int64_t>(to.value), time_value(to_unix_us(now), database.dialect()),
                                     static_cast<int64_t>(from.value), int64_t{0}};
  auto moved = database.execute(
      "UPDATE millrace_mirror SET log_position = ?, updated_at = ? WHERE id = 1 AND log_position = ? AND rebuild = ?",
      values);
  if (!moved) return moved.error();
  if (*moved == 1) return {};
  return make_error(Errc::kConflict,
                    fmt::format("the tables are no longer at position {}: somebody else writes to them, "
                                "or asked for a rebuild",
                                from.value));
}

Result<void> request_mirror_rebuild(SqlDatabase& database) {
  const auto state = read_mirror_state(database);
  if (!state) return state.error();
  if (!*state) {
    if (auto own = refuse_foreign_tables(database); !own) return own;
    return make_error(Errc::kNotFound, "the mirror has no tables in this database yet");
  }
  const SqlValue yes = int64_t{1};
  return run(database, "UPDATE millrace_mirror SET rebuild = ? WHERE id = 1", {&yes, 1});
}

}  // namespace millrace
