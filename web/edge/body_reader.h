// SPDX-License-Identifier: Apache-2.0
// The JSON object in a request's body, read field by field.  The first thing that is wrong is kept; problem() answers
// it, and names the field, its value and what would be right.  A field that nobody has asked for is wrong too.
//
//   BodyReader body(request.http);
//   const auto title = body.text("title", {.max_bytes = 500});
//   if (auto refused = body.problem()) return std::move(*refused);
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/json_reader.h"
#include "net/http_types.h"

namespace millrace {

struct TextRule {
  size_t max_bytes = 500;
  bool lines = false;   // may hold tabs and line breaks; other control characters never
  bool empty = true;    // may be empty, or blank
  bool secret = false;  // what was given is never repeated in an answer
};

// A key, a user's name or a password for a Moonraker.
inline constexpr TextRule kMoonrakerSecret{.max_bytes = 200, .secret = true};

class BodyReader {
 public:
  // An empty body is an empty object.
  explicit BodyReader(const HttpRequest& request);

  // Whether the field is there at all, null included: null takes a value away.
  bool has(std::string_view name);
  bool is_null(std::string_view name);

  // nullopt when the field is absent, null, or wrong.
  std::optional<std::string> text(std::string_view name, TextRule rule = {});
  std::optional<double> number(std::string_view name, double min, double max);
  std::optional<int64_t> integer(std::string_view name, int64_t min, int64_t max);
  std::optional<bool> flag(std::string_view name);
  std::optional<WallTime> time(std::string_view name);
  // One of `words`.
  std::optional<std::string> word(std::string_view name, const std::vector<std::string_view>& words);
  std::optional<std::vector<std::string>> texts(std::string_view name, size_t max_items, TextRule rule = {});
  // Any array or object, as compact JSON of at most `max_bytes`.
  std::optional<std::string> json(std::string_view name, size_t max_bytes);

  // Notes that the field must be there and not null.
  void require(std::string_view name);
  // Notes something that only the caller can judge.
  void refuse(std::string_view name, std::string_view what);

  // 400 `invalid_body` or `invalid_field`, 415 `unsupported_media_type`; nullopt when all is well.
  std::optional<HttpResponse> problem();

 private:
  std::optional<Json> find(std::string_view name);
  void wrong(std::string_view name, const Json& value, std::string_view expected);
  void wrong_text(std::string_view name, const Json& value, const TextRule& rule, std::string_view expected);
  bool fits(std::string_view name, const Json& value, std::string_view text, const TextRule& rule);

  JsonReader reader_;
  std::optional<Json> root_;
  std::set<std::string, std::less<>> asked_;
  std::optional<HttpResponse> problem_;
};

}  // namespace millrace
