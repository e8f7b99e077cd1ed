// SPDX-License-Identifier: Apache-2.0
// Writes chunks of rows, and keeps job_totals right with them.
#pragma once

#include <map>

#include "mirror/mirror_batch.h"
#include "mirror/mirror_tables.h"
#include "sql/sql_database.h"

namespace millrace {

class MirrorWriter {
 public:
  // `database` outlives this.
  explicit MirrorWriter(SqlDatabase& database);

  // Within the caller's transaction.
  Result<void> write(const MirrorChunk& chunk);

 private:
  using TotalsByPrinter = std::map<int64_t, JobTotals>;

  Result<void> upsert(size_t table, const std::vector<SqlRow>& rows);
  Result<void> remove(size_t table, const std::vector<int64_t>& ids);
  Result<void> make_totals(const std::vector<SqlRow>& printers);
  // What the completed ones of these jobs add to each printer, as they stand in the table.
  Result<TotalsByPrinter> shares_of(const std::vector<int64_t>& job_ids);
  Result<void> move_totals(int64_t printer_id, const JobTotals& before, const JobTotals& after);
  Result<SqlValue> greatest(const char* sql, int64_t printer_id);

  struct Statements {
    std::string one;
    std::string many;  // kManyRows rows
    std::string remove;
  };

  SqlDatabase& database_;
  std::vector<Statements> statements_;  // as mirror_tables()
  std::string shares_;
};

}  // namespace millrace
