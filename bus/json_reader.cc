// SPDX-License-Identifier: Apache-2.0
#include "bus/json_reader.h"

#include <fmt/format.h>

#include <cmath>

namespace millrace {
namespace {

constexpr double kMaxExactInteger = 9007199254740992.0;  // 2^53

bool is_object(const Json& value) { return value.type() == simdjson::dom::element_type::OBJECT; }

}  // namespace

JsonReader::JsonReader(size_t max_bytes, size_t max_depth) : max_bytes_(max_bytes), max_depth_(max_depth) {}

Result<Json> JsonReader::parse(std::string_view text) {
  if (text.size() > max_bytes_) {
    return make_error(Errc::kTooLarge, fmt::format("JSON of {} bytes, at most {} are taken", text.size(), max_bytes_));
  }
  // simdjson would copy from a null pointer.
  if (text.empty()) return make_error(Errc::kMalformed, "JSON: it is empty");
  if (parser_.max_depth() != max_depth_) {
    if (auto error = parser_.allocate(parser_.capacity(), max_depth_)) {
      return make_error(Errc::kMalformed, simdjson::error_message(error));
    }
  }
  Json root;
  if (auto error = parser_.parse(text.data(), text.size()).get(root)) {
    return make_error(Errc::kMalformed, fmt::format("JSON: {}", simdjson::error_message(error)));
  }
  return root;
}

std::optional<Json> member(const Json& value, std::string_view name) {
  if (!is_object(value)) return std::nullopt;
  Json found;
  if (value.at_key(name).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
  return found;
}

std::optional<std::string_view> as_text(const Json& value) {
  std::string_view text;
  if (value.get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
  return text;
}

std::optional<double> as_number(const Json& value) {
  double number = 0;
  if (value.get_double().get(number) != simdjson::SUCCESS) return std::nullopt;
  return number;
}

std::optional<int64_t> as_integer(const Json& value) {
  int64_t integer = 0;
  if (value.get_int64().get(integer) == simdjson::SUCCESS) return integer;
  double number = 0;
  if (value.type() != simdjson::dom::element_type::DOUBLE || value.get_double().get(number) != simdjson::SUCCESS ||
      std::abs(number) > kMaxExactInteger || std::trunc(number) != number) {
    return std::nullopt;
  }
  return static_cast<int64_t>(number);
}

std::optional<bool> as_flag(const Json& value) {
  bool flag = false;
  if (value.get_bool().get(flag) != simdjson::SUCCESS) return std::nullopt;
  return flag;
}

std::optional<std::string_view> text_member(const Json& value, std::string_view name) {
  const auto found = member(value, name);
  return found ? as_text(*found) : std::nullopt;
}

std::optional<double> number_member(const Json& value, std::string_view name) {
  const auto found = member(value, name);
  return found ? as_number(*found) : std::nullopt;
}

std::optional<int64_t> integer_member(const Json& value, std::string_view name) {
  const auto found = member(value, name);
  return found ? as_integer(*found) : std::nullopt;
}

std::optional<bool> flag_member(const Json& value, std::string_view name) {
  const auto found = member(value, name);
  return found ? as_flag(*found) : std::nullopt;
}

std::string to_text(const Json& value) { return simdjson::minify(value); }

}  // namespace millrace
