// SPDX-License-Identifier: Apache-2.0
// The tables of the mirror, each column with its type and the value that it takes from the views; and the SQL about
// them in the words of each server.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/view_generated.h"
#include "sql/sql_database.h"

namespace millrace {

// Raised whenever a column changes: the tables are then dropped and filled again.
inline constexpr int64_t kMirrorSchemaVersion = 1;

enum class ColumnType {
  kId,        // a whole number, never NULL
  kInteger,   //
  kReal,      //
  kFlag,      // 0 or 1
  kTime,      // UTC
  kKey,       // text of at most 256 characters
  kText,      // any text
  kLongText,  // also more than 64 KiB, which MySQL's TEXT ends at
};

struct ColumnHead {
  std::string_view name;
  ColumnType type;
};

struct MirrorTable {
  std::string_view name;
  std::vector<ColumnHead> columns;  // the first is the primary key
  std::vector<std::string_view> unique;
  std::string_view parent;                // table whose id the column `parent_column` names; empty: none
  std::string_view parent_column;         // rows go with their parent
  std::vector<std::string_view> indexes;  // lists of columns
};

// In an order in which parents come first: printers, print_jobs, job_details, job_totals, maintenance_records.
std::span<const MirrorTable> mirror_tables();

// The statements that make the table and its indexes.
std::vector<std::string> create_statements(const MirrorTable& table, SqlDialect dialect);

// One statement for `rows` rows with a `?` for each value, which replaces rows that are there.
std::string upsert_statement(const MirrorTable& table, SqlDialect dialect, size_t rows);

// A name of a table or column as the server takes it whatever words it reserves.
std::string quoted_name(std::string_view name, SqlDialect dialect);

// A time as the server takes it; NULL for 0 (not known) and outside the years 1970 to 9999.
SqlValue time_value(int64_t unix_us, SqlDialect dialect);

// What the rows are made of.  References are used during the call only.
struct PrinterSource {
  SqlDialect dialect;
  int64_t id;
  const schema::MachineViewT& machine;
};
struct JobSource {
  SqlDialect dialect;
  int64_t id;
  int64_t printer_id;
  const schema::JobViewT& job;
  const schema::JobDetailT& detail;
};
struct DetailSource {
  SqlDialect dialect;
  int64_t job_id;
  const schema::JobMetadataReadT& sliced;
  const std::string& settings_json;  // all settings, also where they lie in a blob
  const std::string& thumbnail;      // the picture's bytes; empty: none
};
struct RecordSource {
  SqlDialect dialect;
  int64_t id;
  int64_t printer_id;
  const schema::MaintenanceRecordViewT& record;
};
// Sums of completed prints that are not hidden, in whole milliseconds and micrometres, so that they are the same in
// whatever order they were added.
struct JobTotals {
  int64_t jobs = 0;
  int64_t total_ms = 0;
  int64_t print_ms = 0;
  int64_t filament_um = 0;
  std::optional<double> longest_s;  // of one print
  SqlValue last_end;                // as it stands in print_jobs.end_time
};
struct TotalsSource {
  int64_t printer_id;
  const JobTotals& totals;
};

// Longer pictures are left out, as base64.
inline constexpr size_t kMaxThumbnailCharacters = 100'000;

SqlRow row_of(const PrinterSource& source);
SqlRow row_of(const JobSource& source);
SqlRow row_of(const DetailSource& source);
SqlRow row_of(const RecordSource& source);
SqlRow row_of(const TotalsSource& source);

}  // namespace millrace
