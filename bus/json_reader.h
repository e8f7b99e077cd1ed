// SPDX-License-Identifier: Apache-2.0
// Reads JSON from outside: bounded in size and depth, and typed getters that never throw and never guess.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/result.h"

namespace millrace {

using Json = simdjson::dom::element;

// Owns the parsed document; a Json from it is valid until the next parse().  Reuse one per thread.
class JsonReader {
 public:
  explicit JsonReader(size_t max_bytes = 16u << 20, size_t max_depth = 64);
  // kTooLarge, or kMalformed with simdjson's reason.
  Result<Json> parse(std::string_view text);

 private:
  size_t max_bytes_;
  size_t max_depth_;
  simdjson::dom::parser parser_;
};

// Member of an object; nullopt when `value` is no object, or has no such member, or it is null.
std::optional<Json> member(const Json& value, std::string_view name);

// The value as that type; nullopt for any other type.  Integers read as doubles, and doubles without a fraction within
// +-2^53 as integers; strings never read as numbers.
std::optional<std::string_view> as_text(const Json& value);
std::optional<double> as_number(const Json& value);
std::optional<int64_t> as_integer(const Json& value);
std::optional<bool> as_flag(const Json& value);

// member + conversion.
std::optional<std::string_view> text_member(const Json& value, std::string_view name);
std::optional<double> number_member(const Json& value, std::string_view name);
std::optional<int64_t> integer_member(const Json& value, std::string_view name);
std::optional<bool> flag_member(const Json& value, std::string_view name);

// The value as compact JSON text.
std::string to_text(const Json& value);

}  // namespace millrace
