// SPDX-License-Identifier: Apache-2.0
#include "mirror/mirror_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr size_t kPrinters = 0;
constexpr size_t kJobs = 1;
constexpr size_t kDetails = 2;
constexpr size_t kTotals = 3;
constexpr size_t kRecords = 4;

// Rows of one statement: a round trip to a server for each row would be most of the time.  Below 1 MiB together they
// stay within MariaDB's max_allowed_packet (16 MiB) even when every byte is escaped.
constexpr size_t kManyRows = 20;
constexpr size_t kMaxManyBytes = 1u << 20;
constexpr size_t kManyIds = 100;

size_t bytes_of(const SqlRow& row) {
  size_t bytes = 0;
  for (const auto& value : row) {
    if (const auto* text = std::get_if<std::string>(&value)) bytes += text->size();
  }
  return bytes;
}

size_t bytes_of(std::span<const SqlRow> rows) {
  size_t bytes = 0;
  for (const auto& row : rows) bytes += bytes_of(row);
  return bytes;
}

std::string placeholders(size_t count) {
  std::string out = "?";
  for (size_t i = 1; i < count; ++i) out += ", ?";
  return out;
}

// Thousandths: sums of whole numbers do not depend on the order.
int64_t thousandths(const SqlValue& value) {
  if (const auto* real = std::get_if<double>(&value)) return std::llround(*real * 1e3);
  if (const auto* whole = std::get_if<int64_t>(&value)) return *whole * 1000;
  return 0;
}

JobTotals share_of(const std::map<int64_t, JobTotals>& shares, int64_t printer_id) {
  const auto found = shares.find(printer_id);
  return found == shares.end() ? JobTotals{} : found->second;
}

int64_t whole(const SqlValue& value) {
  const auto* held = std::get_if<int64_t>(&value);
  return held == nullptr ? 0 : *held;
}

}  // namespace

MirrorWriter::MirrorWriter(SqlDatabase& database)
    : database_(database),
      shares_(
          "SELECT printer_id, total_duration, print_duration, filament_used FROM print_jobs "
          "WHERE status = 'completed' AND id IN (" +
          placeholders(kManyIds) + ")") {
  for (const auto& table : mirror_tables()) {
    const SqlDialect dialect = database.dialect();
    statements_.push_back({upsert_statement(table, dialect, 1), upsert_statement(table, dialect, kManyRows),
                           fmt::format("DELETE FROM {} WHERE id = ?", quoted_name(table.name, dialect))});
  }
}

Result<void> MirrorWriter::write(const MirrorChunk& chunk) {
  if (auto done = upsert(kPrinters, chunk.printers); !done) return done;
  if (auto done = make_totals(chunk.printers); !done) return done;
  std::vector<int64_t> jobs = chunk.gone_jobs;
  for (const auto& row : chunk.jobs) jobs.push_back(whole(row.front()));
  const auto before = shares_of(jobs);
  if (!before) return before.error();
  if (auto done = remove(kDetails, chunk.gone_jobs); !done) return done;
  if (auto done = remove(kJobs, chunk.gone_jobs); !done) return done;
  if (auto done = upsert(kJobs, chunk.jobs); !done) return done;
  if (auto done = upsert(kDetails, chunk.details); !done) return done;
  const auto after = shares_of(jobs);
  if (!after) return after.error();
  TotalsByPrinter touched = *before;
  for (const auto& [printer, totals] : *after) touched.try_emplace(printer);
  for (const auto& entry : touched) {
    const int64_t printer = entry.first;
    if (auto moved = move_totals(printer, share_of(*before, printer), share_of(*after, printer)); !moved) return moved;
  }
  if (auto done = remove(kRecords, chunk.gone_records); !done) return done;
  return upsert(kRecords, chunk.records);
}

Result<void> MirrorWriter::upsert(size_t table, const std::vector<SqlRow>& rows) {
  std::vector<SqlValue> values;
  for (size_t at = 0; at < rows.size();) {
    const bool many = rows.size() - at >= kManyRows && bytes_of({&rows[at], kManyRows}) <= kMaxManyBytes;
    const size_t count = many ? kManyRows : 1;
    values.clear();
    for (size_t i = 0; i < count; ++i) values.insert(values.end(), rows[at + i].begin(), rows[at + i].end());
    auto done = database_.execute(many ? statements_[table].many : statements_[table].one, values);
    if (!done) return done.error();
    at += count;
  }
  return {};
}

Result<void> MirrorWriter::remove(size_t table, const std::vector<int64_t>& ids) {
  for (const int64_t id : ids) {
    const SqlValue value = id;
    if (auto done = database_.execute(statements_[table].remove, {&value, 1}); !done) return done.error();
  }
  return {};
}

// Every printer has a row, also without a print.
Result<void> MirrorWriter::make_totals(const std::vector<SqlRow>& printers) {
  const std::string sql = fmt::format(
      "INSERT INTO job_totals (printer_id, total_jobs, total_time, total_print_time, "
      "total_filament_used) VALUES (?, 0, 0, 0, 0) {}",
      database_.dialect() == SqlDialect::kMysql ? "ON DUPLICATE KEY UPDATE printer_id = printer_id"
                                                : "ON CONFLICT (printer_id) DO NOTHING");
  for (const auto& row : printers) {
    if (auto made = database_.execute(sql, {&row.front(), 1}); !made) return made.error();
  }
  return {};
}

Result<MirrorWriter::TotalsByPrinter> MirrorWriter::shares_of(const std::vector<int64_t>& job_ids) {
  TotalsByPrinter shares;
  const auto add = [&shares](const SqlRow& row) -> Result<void> {
    JobTotals& totals = shares[whole(row[0])];
    totals.jobs += 1;
    totals.total_ms += thousandths(row[1]);
    totals.print_ms += thousandths(row[2]);
    totals.filament_um += thousandths(row[3]);
    return {};
  };
  for (size_t at = 0; at < job_ids.size(); at += kManyIds) {
    // Always as many, so that the statement stays the same.
    std::vector<SqlValue> ids(kManyIds, SqlValue{job_ids[at]});
    for (size_t i = 0; i < kManyIds && at + i < job_ids.size(); ++i) ids[i] = job_ids[at + i];
    if (auto read = database_.query(shares_, ids, add); !read) return read.error();
  }
  return shares;
}

Result<SqlValue> MirrorWriter::greatest(const char* sql, int64_t printer_id) {
  const SqlValue value = printer_id;
  const auto found = database_.rows(sql, {&value, 1});
  if (!found) return found.error();
  return found->empty() ? SqlValue{} : found->front().front();
}

Result<void> MirrorWriter::move_totals(int64_t printer_id, const JobTotals& before, const JobTotals& after) {
  const SqlValue printer = printer_id;
  const auto stored = database_.rows(
      "SELECT total_jobs, total_time, total_print_time, total_filament_used FROM job_totals WHERE printer_id = ?",
      {&printer, 1});
  if (!stored) return stored.error();
  if (stored->empty())
    return make_error(Errc::kCorrupt, fmt::format("job_totals has no row of printer {}", printer_id));
  const SqlRow& row = stored->front();
  JobTotals totals;
  totals.jobs = whole(row[0]) + after.jobs - before.jobs;
  totals.total_ms = thousandths(row[1]) + after.total_ms - before.total_ms;
  totals.print_ms = thousandths(row[2]) + after.print_ms - before.print_ms;
  totals.filament_um = thousandths(row[3]) + after.filament_um - before.filament_um;
  const auto longest = greatest(
      "SELECT total_duration FROM print_jobs WHERE printer_id = ? AND status = 'completed' AND "
      "total_duration IS NOT NULL ORDER BY total_duration DESC LIMIT 1",
      printer_id);
  if (!longest) return longest.error();
  if (const auto* seconds = std::get_if<double>(&*longest)) totals.longest_s = *seconds;
  auto last = greatest(
      "SELECT end_time FROM print_jobs WHERE printer_id = ? AND status = 'completed' AND end_time IS NOT NULL "
      "ORDER BY end_time DESC LIMIT 1",
      printer_id);
  if (!last) return last.error();
  totals.last_end = std::move(*last);
  return upsert(kTotals, {row_of(TotalsSource{printer_id, totals})});
}

}  // namespace millrace
