// SPDX-License-Identifier: Apache-2.0
// Jobs as CSV (RFC 4180) or JSON Lines.
//
// CSV: lines end in CR LF; a cell with the separator, a quote, a line break or outer blanks is quoted.  A text that a
// spreadsheet would take for a formula gets a ' before it.  Times are RFC 3339 in UTC, durations seconds, filament mm.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http_types.h"
#include "projections/job_catalog.h"
#include "schemas/view_generated.h"

namespace millrace {

enum class ExportFormat { kCsv, kJsonLines };

struct ExportStyle {
  ExportFormat format = ExportFormat::kCsv;
  char separator = ',';
  char decimal = '.';
  bool byte_order_mark = false;      // Excel takes CSV for UTF-8 only with it
  std::vector<std::string> columns;  // of export_columns(), in this order
};

// Every column's name; what is exported unless a request says otherwise.
const std::vector<std::string>& export_columns();

// What comes before the first job; empty for JSON Lines.
std::string export_head(const ExportStyle& style);

// Writes jobs in one style, a line each.  One thread.
class JobLines {
 public:
  explicit JobLines(ExportStyle style);
  const ExportStyle& style() const { return style_; }
  void append(std::string& out, const schema::JobViewT& job) const;

  struct Column;

 private:
  const ExportStyle style_;
  std::vector<const Column*> columns_;  // those of the style; null for a name that is none
};

// All jobs of the query as the body of an answer, page by page.  References outlive it.
BodySource export_jobs(JobCatalog& jobs, const ViewStore& store, JobListQuery query, ExportStyle style);

}  // namespace millrace
