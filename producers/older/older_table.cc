// SPDX-License-Identifier: Apache-2.0
#include "producers/older/older_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "bus/json_reader.h"
#include "producers/moonraker/history_row.h"
#include "producers/older/older_piece.h"

namespace millrace {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::optional<double> number_in(std::string_view text) {
  text = trimmed(text);
  double number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

bool may_be_json(std::string_view text) { return text.size() > 1 && (text.front() == '{' || text.front() == '['); }

}  // namespace

OlderRow::OlderRow(std::string_view table, const std::vector<std::string>& columns, const SqlRow& values, OddRows& odd)
    : table_(table), columns_(columns), values_(values), odd_(odd) {
  if (const auto* id = value("id")) {
    if (const auto* number = std::get_if<int64_t>(id)) id_ = *number;
  }
}

const SqlValue* OlderRow::value(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) return nullptr;
  const auto index = static_cast<size_t>(found - columns_.begin());
  if (index >= values_.size() || std::holds_alternative<std::monostate>(values_[index])) return nullptr;
  return &values_[index];
}

std::string OlderRow::shown(const SqlValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* integer = std::get_if<int64_t>(&value)) return fmt::format("{}", *integer);
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  return {};
}

void OlderRow::odd(std::string_view column, std::string_view why) const {
  const SqlValue* found = value(column);
  odd_.value(table_, id_, column, found == nullptr ? "" : shown(*found), why);
}

std::string OlderRow::text(std::string_view column, size_t max_bytes) const {
  const SqlValue* found = value(column);
  if (found == nullptr) return {};
  const std::string all = shown(*found);
  const std::string_view kept = whole_letters(all, max_bytes);
  if (kept.size() < all.size()) odd(column, fmt::format("is cut to {} bytes", max_bytes));
  return std::string(kept);
}

std::optional<double> OlderRow::number(std::string_view column) const {
  const SqlValue* found = value(column);
  if (found == nullptr) return std::nullopt;
  std::optional<double> number;
  if (const auto* integer = std::get_if<int64_t>(found)) number = static_cast<double>(*integer);
  if (const auto* real = std::get_if<double>(found)) number = *real;
  if (const auto* text = std::get_if<std::string>(found)) number = number_in(*text);
  if (number && std::isfinite(*number)) return number;
  odd(column, "is no number");
  return std::nullopt;
}

std::optional<double> OlderRow::amount(std::string_view column) const {
  const auto found = number(column);
  if (!found || is_plausible_amount(*found)) return found;
  odd(column, "cannot be true");
  return std::nullopt;
}

std::optional<int64_t> OlderRow::integer(std::string_view column) const {
  const auto found = number(column);
  if (!found) return std::nullopt;
  if (std::fabs(*found) < 9e15 && std::floor(*found) == *found) return static_cast<int64_t>(*found);
  odd(column, "is no whole number");
  return std::nullopt;
}

std::optional<bool> OlderRow::flag(std::string_view column) const {
  const SqlValue* found = value(column);
  if (found == nullptr) return std::nullopt;
  const std::string said = shown(*found);
  if (said == "1" || said == "true" || said == "t" || said == "True") return true;
  if (said == "0" || said == "false" || said == "f" || said == "False") return false;
  odd(column, "is neither true nor false");
  return std::nullopt;
}

std::optional<OlderTime> OlderRow::time(std::string_view column) const {
  const SqlValue* found = value(column);
  if (found == nullptr) return std::nullopt;
  auto time = read_older_time(shown(*found));
  if (!time) odd(column, "is no time");
  return time;
}

std::string OlderRow::json(std::string_view column, size_t max_bytes) const {
  const SqlValue* found = value(column);
  if (found == nullptr) return {};
  const std::string said = shown(*found);
  if (trimmed(said).empty() || trimmed(said) == "null") return {};
  JsonReader reader;
  const auto parsed = reader.parse(said);
  if (!parsed || !(parsed->is_object() || parsed->is_array())) {
    odd(column, parsed ? "is no object and no list" : "is no JSON");
    return {};
  }
  std::string compact = to_text(*parsed);
  if (compact.size() <= max_bytes) return compact;
  odd_.value(table_, id_, column, "", fmt::format("of {} bytes is too large", compact.size()));
  return {};
}

std::string OlderRow::raw(size_t max_text, std::string_view except) const {
  JsonWriter json;
  JsonReader reader;
  json.object();
  for (size_t i = 0; i < columns_.size() && i < values_.size(); ++i) {
    if (columns_[i] == except) continue;
    json.key(columns_[i]);
    const SqlValue& value = values_[i];
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      json.value(*integer);
    } else if (const auto* real = std::get_if<double>(&value)) {
      json.value(*real);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      const auto parsed = may_be_json(*text) && text->size() <= max_text
                              ? reader.parse(*text)
                              : Result<Json>(make_error(Errc::kMalformed, "no JSON"));
      parsed ? json.raw(to_text(*parsed)) : json.value(whole_letters(*text, max_text));
    } else {
      json.null();
    }
  }
  return json.end().take();
}

Result<bool> read_older_table(SqlDatabase& database, const OlderTableOptions& table, OddRows& odd,
                              const std::function<Result<void>(const OlderRow&)>& visit) {
  auto columns = database.columns_of(table.name);
  if (!columns) return columns.error();
  if (std::find(columns->begin(), columns->end(), "id") == columns->end()) return false;
  columns->insert(columns->end(), table.more_columns.begin(), table.more_columns.end());
  int64_t after = std::numeric_limits<int64_t>::min();
  for (;;) {
    const SqlValue bound[] = {after};
    const auto page = database.rows(table.all_after, bound);
    if (!page) return make_error(page.error().code, fmt::format("table {}: {}", table.name, page.error().context));
    for (const SqlRow& values : *page) {
      const OlderRow row(table.name, *columns, values, odd);
      after = std::max(after, row.id());
      if (auto visited = visit(row); !visited) return visited.error();
    }
    if (page->size() < table.page) return true;
  }
}

}  // namespace millrace
