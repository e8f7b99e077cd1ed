// SPDX-License-Identifier: Apache-2.0
#include "net/http_types.h"

namespace millrace {
namespace {

std::optional<std::string_view> first_named(const std::vector<std::pair<std::string, std::string>>& pairs,
                                            std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> HttpRequest::query_value(std::string_view name) const {
  return first_named(query, name);
}

std::optional<std::string_view> HttpRequest::header(std::string_view name) const { return first_named(headers, name); }

}  // namespace millrace
