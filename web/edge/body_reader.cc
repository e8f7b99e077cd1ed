// SPDX-License-Identifier: Apache-2.0
#include "web/edge/body_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr size_t kMaxBodyBytes = 1u << 20;
constexpr size_t kMaxDepth = 16;
constexpr size_t kShownBytes = 100;

bool is_object(const Json& value) { return value.type() == simdjson::dom::element_type::OBJECT; }

// A name that occurs twice means two things to two readers.
std::optional<std::string> repeated_name(const Json& object) {
  std::set<std::string_view> names;
  for (const auto field : simdjson::dom::object(object)) {
    if (!names.insert(field.key).second) return std::string(field.key.substr(0, kShownBytes));
  }
  return std::nullopt;
}

bool is_json(const HttpRequest& request) {
  const std::string_view type = request.header("content-type").value_or("");
  const std::string_view essence = type.substr(0, type.find(';'));
  return essence == "application/json" || essence == "application/json ";
}

std::string shown(const Json& value) {
  std::string text = to_text(value);
  if (text.size() > kShownBytes) text = text.substr(0, kShownBytes) + "...";
  return text;
}

bool is_control(char c, bool lines) {
  if (lines && (c == '\n' || c == '\t' || c == '\r')) return false;
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

}  // namespace

BodyReader::BodyReader(const HttpRequest& request) : reader_(kMaxBodyBytes, kMaxDepth) {
  if (request.body.empty()) return;
  if (!is_json(request)) {
    problem_ = api_problem(415, "unsupported_media_type",
                           fmt::format("Content-Type '{}': expected application/json",
                                       request.header("content-type").value_or("").substr(0, kShownBytes)));
    return;
  }
  const auto root = reader_.parse(request.body);
  if (!root) {
    problem_ = api_problem(400, "invalid_body", root.error().context);
  } else if (!is_object(*root)) {
    problem_ = api_problem(400, "invalid_body", fmt::format("the body is {}: expected an object", shown(*root)));
  } else if (const auto name = repeated_name(*root)) {
    problem_ = api_problem(400, "invalid_body", fmt::format("field '{}' is there twice", *name));
  } else {
    root_ = *root;
  }
}

std::optional<Json> BodyReader::find(std::string_view name) {
  asked_.emplace(name);
  return root_ ? member(*root_, name) : std::nullopt;
}

bool BodyReader::has(std::string_view name) {
  asked_.emplace(name);
  return root_ && root_->at_key(name).error() == simdjson::SUCCESS;
}

bool BodyReader::is_null(std::string_view name) { return has(name) && !find(name); }

void BodyReader::refuse(std::string_view name, std::string_view what) {
  if (!problem_) problem_ = api_problem(400, "invalid_field", fmt::format("field '{}': {}", name, what));
}

void BodyReader::wrong(std::string_view name, const Json& value, std::string_view expected) {
  refuse(name, fmt::format("{} given, expected {}", shown(value), expected));
}

void BodyReader::wrong_text(std::string_view name, const Json& value, const TextRule& rule, std::string_view expected) {
  if (!rule.secret) return wrong(name, value, expected);
  refuse(name, fmt::format("expected {}; what was given is not shown", expected));
}

void BodyReader::require(std::string_view name) {
  if (!find(name)) refuse(name, "is missing");
}

bool BodyReader::fits(std::string_view name, const Json& value, std::string_view text, const TextRule& rule) {
  if (text.size() > rule.max_bytes) {
    refuse(name, fmt::format("text of {} bytes given, expected at most {}", text.size(), rule.max_bytes));
  } else if (!rule.empty && text.find_first_not_of(' ') == std::string_view::npos) {
    refuse(name, "is empty, expected some text");
  } else if (std::any_of(text.begin(), text.end(), [&](char c) { return is_control(c, rule.lines); })) {
    wrong_text(name, value, rule,
               rule.lines ? "text without control characters" : "one line of text without control characters");
  } else {
    return true;
  }
  return false;
}

std::optional<std::string> BodyReader::text(std::string_view name, TextRule rule) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  const auto text = as_text(*value);
  if (!text) return wrong_text(name, *value, rule, "text"), std::nullopt;
  return fits(name, *value, *text, rule) ? std::optional(std::string(*text)) : std::nullopt;
}

std::optional<double> BodyReader::number(std::string_view name, double min, double max) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  const auto number = as_number(*value);
  if (number && *number >= min && *number <= max) return number;
  return wrong(name, *value, fmt::format("a number from {} to {}", min, max)), std::nullopt;
}

std::optional<int64_t> BodyReader::integer(std::string_view name, int64_t min, int64_t max) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  const auto integer = as_integer(*value);
  if (integer && *integer >= min && *integer <= max) return integer;
  return wrong(name, *value, fmt::format("a whole number from {} to {}", min, max)), std::nullopt;
}

std::optional<bool> BodyReader::flag(std::string_view name) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  const auto flag = as_flag(*value);
  if (!flag) wrong(name, *value, "true or false");
  return flag;
}

std::optional<WallTime> BodyReader::time(std::string_view name) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  const auto text = as_text(*value);
  const auto time = text ? parse_rfc3339(*text) : std::nullopt;
  if (!time) wrong(name, *value, "a time as in 2026-11-21T03:14:00Z");
  return time;
}

std::optional<std::string> BodyReader::word(std::string_view name, const std::vector<std::string_view>& words) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  const auto text = as_text(*value);
  if (text && std::find(words.begin(), words.end(), *text) != words.end()) return std::string(*text);
  return wrong(name, *value, fmt::format("one of {}", fmt::join(words, ", "))), std::nullopt;
}

std::optional<std::vector<std::string>> BodyReader::texts(std::string_view name, size_t max_items, TextRule rule) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  simdjson::dom::array array;
  if (value->get_array().get(array) != simdjson::SUCCESS) return wrong(name, *value, "a list of texts"), std::nullopt;
  if (array.size() > max_items) {
    refuse(name, fmt::format("{} items given, expected at most {}", array.size(), max_items));
    return std::nullopt;
  }
  std::vector<std::string> texts;
  for (const Json item : array) {
    const auto text = as_text(item);
    if (!text) return wrong(name, item, "a list of texts"), std::nullopt;
    if (!fits(name, item, *text, rule)) return std::nullopt;
    texts.emplace_back(*text);
  }
  return texts;
}

std::optional<std::string> BodyReader::json(std::string_view name, size_t max_bytes) {
  const auto value = find(name);
  if (!value) return std::nullopt;
  if (!is_object(*value) && value->type() != simdjson::dom::element_type::ARRAY) {
    return wrong(name, *value, "a list or an object"), std::nullopt;
  }
  std::string text = to_text(*value);
  if (text.size() <= max_bytes) return text;
  refuse(name, fmt::format("{} bytes of JSON given, expected at most {}", text.size(), max_bytes));
  return std::nullopt;
}

std::optional<HttpResponse> BodyReader::problem() {
  if (problem_ || !root_) return problem_;
  for (const auto field : simdjson::dom::object(*root_)) {
    if (asked_.contains(field.key)) continue;
    refuse(field.key.substr(0, kShownBytes), fmt::format("is not known here, expected {}", fmt::join(asked_, ", ")));
    break;
  }
  return problem_;
}

}  // namespace millrace
