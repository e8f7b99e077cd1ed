// SPDX-License-Identifier: Apache-2.0
#include "web/edge/query.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace millrace {
namespace {

Error invalid(std::string_view name, std::string_view value, std::string_view expected) {
  constexpr size_t kMaxQuoted = 100;
  return make_error(Errc::kInvalidArgument,
                    fmt::format("{}='{}': expected {}", name, value.substr(0, kMaxQuoted), expected));
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string to_hex(std::string_view bytes) {
  std::string hex;
  for (const char byte : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return hex;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, failed] = std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    if (failed != std::errc{} || end != hex.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

}  // namespace

Result<void> check_known(const HttpRequest& request, const std::vector<Parameter>& parameters) {
  for (const auto& [name, value] : request.query) {
    const auto known = std::any_of(parameters.begin(), parameters.end(),
                                   [&name = name](const Parameter& parameter) { return parameter.name == name; });
    if (known || name == "min_position") continue;
    std::string expected;
    for (const Parameter& parameter : parameters) expected += fmt::format("{}, ", parameter.name);
    return make_error(
        Errc::kInvalidArgument,
        fmt::format("query parameter '{}' is not known here: expected {}min_position", name.substr(0, 100), expected));
  }
  return {};
}

Result<size_t> limit_in(const HttpRequest& request) {
  const auto text = request.query_value("limit");
  if (!text) return kDefaultLimit;
  const auto number = parse_number(*text);
  if (!number || *number < 1 || *number > kMaxLimit) {
    return invalid("limit", *text, fmt::format("an integer from 1 to {}", kMaxLimit));
  }
  return static_cast<size_t>(*number);
}

Result<std::optional<uint64_t>> number_in(const HttpRequest& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::optional<uint64_t>{};
  const auto number = parse_number(*text);
  if (!number) return invalid(name, *text, "an integer from 0");
  return number;
}

Result<std::optional<WallTime>> time_in(const HttpRequest& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::optional<WallTime>{};
  const auto time = parse_rfc3339(*text);
  if (!time) return invalid(name, *text, "an RFC 3339 time, for example 2026-11-21T03:14:00Z");
  return time;
}

Result<std::string> machine_in(const HttpRequest& request) {
  const auto text = request.query_value("machine");
  if (!text) return std::string{};
  if (!is_valid_machine_id(*text)) return invalid("machine", *text, "a machine id: 1 to 64 of a-z, 0-9 and '-'");
  return std::string(*text);
}

std::string text_in(const HttpRequest& request, std::string_view name) {
  return std::string(request.query_value(name).value_or(""));
}

std::vector<std::string> texts_in(const HttpRequest& request, std::string_view name) {
  std::vector<std::string> texts;
  for (const auto& [key, value] : request.query) {
    if (key != name) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) texts.emplace_back(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return texts;
}

Result<Position> min_position_in(const HttpRequest& request) {
  const auto asked = number_in(request, "min_position");
  if (!asked) return asked.error();
  uint64_t position = asked->value_or(0);
  if (const auto header = request.header("millrace-min-position")) {
    const auto number = parse_number(*header);
    if (!number) return invalid("Millrace-Min-Position", *header, "an integer from 0");
    position = std::max(position, *number);
  }
  return Position{position};
}

std::string make_cursor(std::string_view incarnation, std::string_view place) {
  return to_hex(fmt::format("{}\n{}", incarnation, place));
}

Result<std::string> place_in(const HttpRequest& request, std::string_view incarnation) {
  const auto text = request.query_value("cursor");
  if (!text) return std::string{};
  constexpr std::string_view kExpected = "the next_cursor of an earlier answer from this log";
  const auto content = from_hex(*text);
  if (!content) return invalid("cursor", *text, kExpected);
  const size_t line = content->find('\n');
  if (line == std::string::npos || content->substr(0, line) != incarnation || line + 1 == content->size()) {
    return invalid("cursor", *text, kExpected);
  }
  return content->substr(line + 1);
}

}  // namespace millrace
