// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "projections/job_catalog.h"
#include "projections/job_records.h"
#include "web/edge/job_export.h"
#include "web/edge/job_filter.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr size_t kJobsInAPiece = 2'000;  // some 500 KiB, and 20 ms of the worker's time
constexpr size_t kJobsAtOnce = 20'000;   // are found at once: that takes a look at every job, whatever is wanted

Error invalid(std::string_view name, std::string_view value, std::string_view expected) {
  return make_error(Errc::kInvalidArgument, fmt::format("{}='{}': expected {}", name, value.substr(0, 100), expected));
}

Result<ExportStyle> style_in(const HttpRequest& request) {
  ExportStyle style;
  const std::string format = text_in(request, "format");
  const std::string separator = text_in(request, "separator");
  const std::string decimal = text_in(request, "decimal");
  const std::string mark = text_in(request, "bom");
  if (format == "jsonl") {
    style.format = ExportFormat::kJsonLines;
  } else if (!format.empty() && format != "csv") {
    return invalid("format", format, "csv or jsonl");
  }
  if (separator == ";" || separator == "semicolon") {
    style.separator = ';';
  } else if (separator == "\t" || separator == "tab") {
    style.separator = '\t';
  } else if (!separator.empty() && separator != "," && separator != "comma") {
    return invalid("separator", separator, "comma, semicolon or tab, or the sign itself");
  }
  if (decimal == "," || decimal == "comma") {
    style.decimal = ',';
  } else if (!decimal.empty() && decimal != "." && decimal != "point") {
    return invalid("decimal", decimal, "point or comma, or the sign itself");
  }
  if (mark == "true") {
    style.byte_order_mark = true;
  } else if (!mark.empty() && mark != "false") {
    return invalid("bom", mark, "true or false");
  }
  style.columns = texts_in(request, "columns");
  const auto& known = export_columns();
  for (const std::string& column : style.columns) {
    if (std::find(known.begin(), known.end(), column) == known.end()) {
      return invalid("columns", column, fmt::format("{}", fmt::join(known, ", ")));
    }
  }
  if (style.columns.empty()) style.columns = known;
  return style;
}

// Reads piece after piece, each from the views as they are then: nothing but ids is held while a client takes its time.
class JobExport {
 public:
  JobExport(JobCatalog& jobs, const ViewStore& store, JobListQuery query, ExportStyle style)
      : jobs_(jobs), store_(store), query_(std::move(query)), lines_(std::move(style)) {}

  Result<std::string> next() {
    std::string piece;
    if (!std::exchange(begun_, true)) piece = export_head(lines_.style());
    while (piece.empty() && !(ended_ && given_ == ids_.size())) {
      if (given_ == ids_.size()) {
        if (auto found = find_more(); !found) return found.error();
      }
      if (auto added = add(piece); !added) return added.error();
    }
    return piece;
  }

 private:
  Result<void> find_more() {
    auto page = jobs_.list(query_);
    if (!page) return page.error();
    ids_ = std::move(page->ids);
    given_ = 0;
    query_.after = std::move(page->next);
    ended_ = query_.after.empty();
    return {};
  }

  Result<void> add(std::string& piece) {
    const auto ids = std::span(ids_).subspan(given_, std::min(kJobsInAPiece, ids_.size() - given_));
    const auto jobs = read_jobs(*store_.reader(), ids);
    if (!jobs) return jobs.error();
    for (const auto& job : *jobs) {
      if (job) lines_.append(piece, *job);
    }
    given_ += ids.size();
    return {};
  }

  JobCatalog& jobs_;
  const ViewStore& store_;
  JobListQuery query_;
  const JobLines lines_;
  std::vector<std::string> ids_;  // found and not all given yet; at most kJobsAtOnce
  size_t given_ = 0;
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

BodySource export_jobs(JobCatalog& jobs, const ViewStore& store, JobListQuery query, ExportStyle style) {
  query.limit = kJobsAtOnce;
  return [job_export = std::make_shared<JobExport>(jobs, store, std::move(query), std::move(style))] {
    return job_export->next();
  };
}

HttpResponse answer_job_export(const RouteContext& context, const RouteRequest& request) {
  auto query = job_query_in(request.http);
  auto style = style_in(request.http);
  if (!query) return api_problem_from(query.error());
  if (!style) return api_problem_from(style.error());
  const bool csv = style->format == ExportFormat::kCsv;
  const std::string date = to_rfc3339(context.parts.clock.wall()).substr(0, 10);
  HttpResponse response;
  response.content_type = csv ? "text/csv; charset=utf-8; header=present" : "application/x-ndjson";
  response.headers.emplace_back("Content-Disposition",
                                fmt::format("attachment; filename=\"jobs-{}.{}\"", date, csv ? "csv" : "jsonl"));
  response.source = export_jobs(*context.jobs, context.parts.store, std::move(*query), std::move(*style));
  return response;
}

}  // namespace millrace
