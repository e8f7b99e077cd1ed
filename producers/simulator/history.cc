// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr double kMaxCount = 1e9;

std::optional<int64_t> loose_count(const Json& params, std::string_view name) {
  const auto number = loose_number(params, name);
  if (!number || !(*number >= 0) || *number > kMaxCount) return std::nullopt;
  return static_cast<int64_t>(*number);
}

bool wanted(const ShownHistoryRow& row, const HistoryQuery& query) {
  if (query.since && !(row.start_time > *query.since)) return false;
  if (query.before && !(row.end_time && *row.end_time < *query.before)) return false;
  return true;
}

}  // namespace

std::string moonraker_job_id(uint64_t number) { return fmt::format("{:06X}", number); }

std::optional<uint64_t> parse_moonraker_job_id(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<double> loose_number(const Json& params, std::string_view name) {
  const auto found = member(params, name);
  if (!found) return std::nullopt;
  if (const auto number = as_number(*found)) return number;
  const auto text = as_text(*found);
  if (!text) return std::nullopt;
  double number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc() || end != text->data() + text->size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

HistoryQuery read_history_query(const Json& params) {
  HistoryQuery query;
  query.limit = loose_count(params, "limit").value_or(query.limit);
  query.start = loose_count(params, "start").value_or(0);
  query.ascending = text_member(params, "order").value_or("desc") == "asc";
  query.since = loose_number(params, "since");
  query.before = loose_number(params, "before");
  return query;
}

std::string history_list_answer(const std::vector<ShownHistoryRow>& rows, const HistoryQuery& query) {
  std::vector<const ShownHistoryRow*> chosen;
  for (const ShownHistoryRow& row : rows) {
    if (wanted(row, query)) chosen.push_back(&row);
  }
  if (!query.ascending) std::reverse(chosen.begin(), chosen.end());
  const size_t first = std::min(chosen.size(), static_cast<size_t>(query.start));
  const size_t count =
      std::min(chosen.size() - first, query.limit == 0 ? chosen.size() : static_cast<size_t>(query.limit));
  JsonWriter json;
  json.object().field("count", static_cast<int64_t>(count)).key("jobs").array();
  for (size_t i = first; i < first + count; ++i) json.raw(chosen[i]->json);
  json.end().end();
  return json.take();
}

std::string history_totals_answer(const std::vector<ShownHistoryRow>& rows) {
  double jobs = 0, time = 0, print_time = 0, filament = 0, longest_job = 0, longest_print = 0;
  for (const ShownHistoryRow& row : rows) {
    if (!row.ended) continue;
    jobs += 1;
    time += row.total_duration;
    print_time += row.print_duration;
    filament += row.filament_used;
    longest_job = std::max(longest_job, row.total_duration);
    longest_print = std::max(longest_print, row.print_duration);
  }
  JsonWriter json;
  json.object().key("job_totals").object();
  json.field("total_jobs", jobs).field("total_time", time).field("total_print_time", print_time);
  json.field("total_filament_used", filament).field("longest_job", longest_job).field("longest_print", longest_print);
  json.end().key("auxiliary_totals").array().end().end();
  return json.take();
}

std::optional<std::string> history_job_answer(const std::vector<ShownHistoryRow>& rows, std::string_view uid) {
  const auto number = parse_moonraker_job_id(uid);
  if (!number) return std::nullopt;
  for (const ShownHistoryRow& row : rows) {
    if (row.number == *number) return fmt::format(R"({{"job":{}}})", row.json);
  }
  return std::nullopt;
}

}  // namespace millrace
