// SPDX-License-Identifier: Apache-2.0
// A table of an older system's database, read in pages in the order of its ids, whatever version its schema has: a
// column that is missing reads as NULL, and one that is not known is kept with the row.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_writer.h"
#include "producers/older/odd_rows.h"
#include "producers/older/older_time.h"
#include "sql/sql_database.h"

namespace millrace {

// One row during a visit.  What cannot be read as asked for is told as odd, and then not there.
class OlderRow {
 public:
  OlderRow(std::string_view table, const std::vector<std::string>& columns, const SqlRow& values, OddRows& odd);

  int64_t id() const { return id_; }
  bool has(std::string_view column) const { return value(column) != nullptr; }  // neither missing nor NULL
  std::string text(std::string_view column, size_t max_bytes = 4096) const;
  std::optional<int64_t> integer(std::string_view column) const;
  std::optional<bool> flag(std::string_view column) const;
  std::optional<double> number(std::string_view column) const;  // finite
  // Finite, not negative, at most ten years of seconds.
  std::optional<double> amount(std::string_view column) const;
  std::optional<OlderTime> time(std::string_view column) const;
  // Compact JSON of an object or a list, as far as it has at most `max_bytes`; empty otherwise.
  std::string json(std::string_view column, size_t max_bytes) const;

  // The whole row as an object by columns, but for one; a text that is JSON as that, and one that is longer than
  // `max_text` bytes cut.
  std::string raw(size_t max_text, std::string_view except = {}) const;
  void odd(std::string_view column, std::string_view why) const;
  void leave_out(std::string_view why) const { odd_.row(table_, id_, why); }

 private:
  const SqlValue* value(std::string_view column) const;
  static std::string shown(const SqlValue& value);

  std::string_view table_;
  const std::vector<std::string>& columns_;
  const SqlRow& values_;
  OddRows& odd_;
  int64_t id_ = 0;
};

struct OlderTableOptions {
  std::string name;       // in messages
  std::string all_after;  // "SELECT * FROM <name> WHERE id > ? ORDER BY id LIMIT 500"
  size_t page = 500;      // as in it
  // That the statement gives behind the table's own.
  std::vector<std::string> more_columns;
};

// Visits every row, a page after it was read, so that a visit may ask the database too; false when there is no such
// table.  Stops at the first error.
Result<bool> read_older_table(SqlDatabase& database, const OlderTableOptions& table, OddRows& odd,
                              const std::function<Result<void>(const OlderRow&)>& visit);

}  // namespace millrace
