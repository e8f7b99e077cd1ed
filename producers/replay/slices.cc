// SPDX-License-Identifier: Apache-2.0
#include "producers/replay/slices.h"

#include <algorithm>
#include <optional>

#include "bus/json_writer.h"

namespace millrace {
namespace {

using simdjson::dom::element_type;

constexpr std::string_view kTimeMembers[] = {"start_time", "end_time",         "time",
                                             "modified",   "print_start_time", "created_on"};
constexpr double kEarliestUnixTime = 1e9;
constexpr double kLatestUnixTime = 1e10;

void skip_space(std::string_view text, size_t& at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\t' || text[at] == '\r')) ++at;
}

bool skip_string(std::string_view text, size_t& at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      ++at;
      return true;
    }
  }
  return false;
}

// Moves behind the value that begins at `at`.
bool skip_value(std::string_view text, size_t& at) {
  if (at >= text.size()) return false;
  if (text[at] == '"') return skip_string(text, at);
  if (text[at] != '{' && text[at] != '[') {
    const size_t begin = at;
    while (at < text.size() && std::string_view(",}] \n\t\r").find(text[at]) == std::string_view::npos) ++at;
    return at > begin;
  }
  size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      if (!skip_string(text, at)) return false;
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    ++at;
    if ((c == '}' || c == ']') && --depth == 0) return true;
  }
  return false;
}

std::optional<std::string_view> take_value(std::string_view text, size_t& at) {
  skip_space(text, at);
  const size_t begin = at;
  if (!skip_value(text, at)) return std::nullopt;
  const auto value = text.substr(begin, at - begin);
  skip_space(text, at);
  return value;
}

std::string unescaped(std::string_view quoted) {
  const std::string_view inner = quoted.substr(1, quoted.size() - 2);
  if (inner.find('\\') == std::string_view::npos) return std::string(inner);
  JsonReader reader;
  const auto parsed = reader.parse(quoted);
  return parsed ? std::string(as_text(*parsed).value_or("")) : std::string(inner);
}

void write_canonical(JsonWriter& json, const Json& value) {
  if (value.type() == element_type::ARRAY) {
    json.array();
    for (const Json item : simdjson::dom::array(value)) write_canonical(json, item);
    json.end();
  } else if (value.type() == element_type::OBJECT) {
    std::vector<std::pair<std::string_view, Json>> members;
    for (const auto [key, item] : simdjson::dom::object(value)) members.emplace_back(key, item);
    std::stable_sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    json.object();
    for (const auto& [key, item] : members) write_canonical(json.key(key), item);
    json.end();
  } else {
    json.raw(to_text(value));
  }
}

void write_shifted(JsonWriter& json, const Json& value, double shift_s, bool is_time) {
  if (value.type() == element_type::ARRAY) {
    json.array();
    for (const Json item : simdjson::dom::array(value)) write_shifted(json, item, shift_s, false);
    json.end();
  } else if (value.type() == element_type::OBJECT) {
    json.object();
    for (const auto [key, item] : simdjson::dom::object(value)) {
      const bool time = std::find(std::begin(kTimeMembers), std::end(kTimeMembers), key) != std::end(kTimeMembers);
      write_shifted(json.key(key), item, shift_s, time);
    }
    json.end();
  } else {
    const auto number = is_time ? as_number(value) : std::nullopt;
    const bool shift = number && *number > kEarliestUnixTime && *number < kLatestUnixTime;
    shift ? json.value(*number + shift_s) : json.raw(to_text(value));
  }
}

}  // namespace

std::vector<JsonSlice> object_slices(std::string_view text) {
  std::vector<JsonSlice> slices;
  size_t at = 0;
  skip_space(text, at);
  if (at >= text.size() || text[at] != '{') return slices;
  for (++at; at < text.size();) {
    const auto key = take_value(text, at);
    if (!key || key->size() < 2 || key->front() != '"' || at >= text.size() || text[at] != ':') return slices;
    const auto value = take_value(text, ++at);
    if (!value) return slices;
    slices.push_back({unescaped(*key), *value});
    if (at >= text.size() || text[at++] != ',') return slices;
  }
  return slices;
}

std::vector<std::string_view> array_slices(std::string_view text) {
  std::vector<std::string_view> slices;
  size_t at = 0;
  skip_space(text, at);
  if (at >= text.size() || text[at] != '[') return slices;
  for (++at; at < text.size();) {
    const auto value = take_value(text, at);
    if (!value) return slices;
    slices.push_back(*value);
    if (at >= text.size() || text[at++] != ',') return slices;
  }
  return slices;
}

std::string canonical_json(const Json& value) {
  JsonWriter json;
  write_canonical(json, value);
  return json.take();
}

std::string shift_wall_times(const Json& value, double shift_s) {
  JsonWriter json;
  write_shifted(json, value, shift_s, false);
  return json.take();
}

}  // namespace millrace
