// SPDX-License-Identifier: Apache-2.0
#include "web/edge/job_export.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/json_writer.h"
#include "projections/job_history.h"

namespace millrace {
namespace {

using schema::JobViewT;

// One value on its way into either format.
class Cell {
 public:
  virtual ~Cell() = default;
  virtual void text(std::string_view text) = 0;  // empty: none
  virtual void number(std::optional<double> number) = 0;
  virtual void integer(int64_t number) = 0;
  virtual void flag(bool flag) = 0;
  virtual void texts(const std::vector<std::string>& texts) = 0;
  void time(int64_t unix_us) { text(unix_us > 0 ? to_rfc3339(from_unix_us(unix_us)) : std::string()); }
};
// What a spreadsheet takes for a formula; in East Asian settings also by the full-width signs.
bool begins_formula(std::string_view text) {
  constexpr std::array<std::string_view, 11> kSigns = {"=",  "+",      "-",      "@",      "\t",    "\r",
                                                       "\n", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"};
  return std::ranges::any_of(kSigns, [&](std::string_view sign) { return text.starts_with(sign); });
}

class CsvCell final : public Cell {
 public:
  CsvCell(std::string& out, const ExportStyle& style) : out_(out), style_(style) {}

  void text(std::string_view text) override {
    const bool formula = begins_formula(text);
    const bool blank = !text.empty() && (text.front() == ' ' || text.back() == ' ');
    const bool special = text.find_first_of("\"\r\n") != std::string_view::npos;
    const bool quoted = blank || special || text.find(style_.separator) != std::string_view::npos;
    if (quoted) out_ += '"';
    if (formula) out_ += '\'';
    for (const char c : text) {
      if (c == '"') out_ += '"';
      out_ += c;
    }
    if (quoted) out_ += '"';
  }
  void number(std::optional<double> number) override {
    if (!number) return;
    const size_t begin = out_.size();
    fmt::format_to(std::back_inserter(out_), "{}", *number);
    if (style_.decimal == '.') return;
    std::replace(out_.begin() + static_cast<ptrdiff_t>(begin), out_.end(), '.', style_.decimal);
    if (style_.decimal != style_.separator || out_.find(style_.separator, begin) == std::string::npos) return;
    out_.insert(begin, 1, '"');
    out_ += '"';
  }
  void integer(int64_t number) override { fmt::format_to(std::back_inserter(out_), "{}", number); }
  void flag(bool flag) override { out_ += flag ? "true" : "false"; }
  void texts(const std::vector<std::string>& texts) override { text(fmt::format("{}", fmt::join(texts, ", "))); }

 private:
  std::string& out_;
  const ExportStyle& style_;
};

class JsonCell final : public Cell {
 public:
  explicit JsonCell(JsonWriter& json) : json_(json) {}
  void text(std::string_view text) override { text.empty() ? json_.null() : json_.value(text); }
  void number(std::optional<double> number) override { json_.value(number); }
  void integer(int64_t number) override { json_.value(number); }
  void flag(bool flag) override { json_.value(flag); }
  void texts(const std::vector<std::string>& texts) override {
    json_.array();
    for (const std::string& text : texts) json_.value(text);
    json_.end();
  }

 private:
  JsonWriter& json_;
};

}  // namespace

struct JobLines::Column {
  std::string_view name;
  void (*write)(Cell&, const JobViewT&);
};

namespace {

using Column = JobLines::Column;

constexpr std::array kColumns{
    Column{"id", [](Cell& cell, const JobViewT& job) { cell.text(job.id); }},
    Column{"machine", [](Cell& cell, const JobViewT& job) { cell.text(job.machine); }},
    Column{"filename", [](Cell& cell, const JobViewT& job) { cell.text(job.filename); }},
    Column{"title", [](Cell& cell, const JobViewT& job) { cell.text(job.title); }},
    Column{"started_at", [](Cell& cell, const JobViewT& job) { cell.time(started_at(job).us); }},
    Column{"ended_at", [](Cell& cell, const JobViewT& job) { cell.time(ended_at(job).us); }},
    Column{"outcome", [](Cell& cell, const JobViewT& job) { cell.text(schema::EnumNameJobOutcome(job.outcome)); }},
    Column{"cause", [](Cell& cell, const JobViewT& job) { cell.text(job.cause); }},
    Column{"text", [](Cell& cell, const JobViewT& job) { cell.text(job.text); }},
    Column{"verdict",
           [](Cell& cell, const JobViewT& job) {
             cell.text(job.verdict == schema::JobVerdict::unknown ? "" : schema::EnumNameJobVerdict(job.verdict));
           }},
    Column{"reason", [](Cell& cell, const JobViewT& job) { cell.text(job.reason); }},
    Column{"tags", [](Cell& cell, const JobViewT& job) { cell.texts(job.tags); }},
    Column{"notes", [](Cell& cell, const JobViewT& job) { cell.text(job.notes); }},
    Column{"link", [](Cell& cell, const JobViewT& job) { cell.text(job.link); }},
    Column{"total_duration", [](Cell& cell, const JobViewT& job) { cell.number(job.total_duration); }},
    Column{"print_duration", [](Cell& cell, const JobViewT& job) { cell.number(job.print_duration); }},
    Column{"estimated_time", [](Cell& cell, const JobViewT& job) { cell.number(job.estimated_time_s); }},
    Column{"filament_used", [](Cell& cell, const JobViewT& job) { cell.number(job.filament_used); }},
    Column{"filament_type", [](Cell& cell, const JobViewT& job) { cell.text(job.filament_type); }},
    Column{"slicer", [](Cell& cell, const JobViewT& job) { cell.text(job.slicer_name); }},
    Column{"pause_count", [](Cell& cell, const JobViewT& job) { cell.integer(job.pause_count); }},
    Column{"photo_count", [](Cell& cell, const JobViewT& job) { cell.integer(job.photo_count); }},
    Column{"user", [](Cell& cell, const JobViewT& job) { cell.text(job.user); }},
    Column{"seen", [](Cell& cell, const JobViewT& job) { cell.text(schema::EnumNameJobSeen(job.start_seen)); }},
    Column{"evidence", [](Cell& cell, const JobViewT& job) { cell.text(schema::EnumNameJobEvidence(job.evidence)); }},
    Column{"hidden", [](Cell& cell, const JobViewT& job) { cell.flag(job.hidden); }},
};

const Column* column_named(std::string_view name) {
  const auto* found =
      std::find_if(kColumns.begin(), kColumns.end(), [&](const Column& column) { return column.name == name; });
  return found == kColumns.end() ? nullptr : found;
}

}  // namespace

const std::vector<std::string>& export_columns() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Column& column : kColumns) all.emplace_back(column.name);
    return all;
  }();
  return names;
}

std::string export_head(const ExportStyle& style) {
  if (style.format == ExportFormat::kJsonLines) return {};
  std::string head = style.byte_order_mark ? "\xef\xbb\xbf" : "";
  for (size_t i = 0; i < style.columns.size(); ++i) {
    if (i > 0) head += style.separator;
    head += style.columns[i];
  }
  return head + "\r\n";
}

JobLines::JobLines(ExportStyle style) : style_(std::move(style)) {
  for (const std::string& name : style_.columns) columns_.push_back(column_named(name));
}

void JobLines::append(std::string& out, const JobViewT& job) const {
  if (style_.format == ExportFormat::kJsonLines) {
    JsonWriter json;
    JsonCell cell(json);
    json.object();
    for (size_t i = 0; i < columns_.size(); ++i) {
      json.key(style_.columns[i]);
      columns_[i] != nullptr ? columns_[i]->write(cell, job) : cell.text({});
    }
    json.end();
    out += json.text();
    out += '\n';
    return;
  }
  CsvCell cell(out, style_);
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (i > 0) out += style_.separator;
    if (columns_[i] != nullptr) columns_[i]->write(cell, job);
  }
  out += "\r\n";
}

}  // namespace millrace
