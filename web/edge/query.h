// SPDX-License-Identifier: Apache-2.0
// The parameters of a request, checked: a wrong one is an error that names the value and what would be right.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/ids.h"
#include "bus/result.h"
#include "net/http_types.h"
#include "web/edge/access/caller.h"

namespace millrace {

struct Parameter {
  std::string_view name;
  std::string_view schema;  // JSON Schema
  std::string_view description;
};

struct RouteRequest {
  const HttpRequest& http;
  std::map<std::string, std::string> path;
  std::string actor;  // who asks: the key's name, or "local" for somebody at this computer
  Caller caller = {};
};

inline constexpr size_t kDefaultLimit = 50;
inline constexpr size_t kMaxLimit = 500;

// kInvalidArgument for a query parameter that is not in the list.
Result<void> check_known(const HttpRequest& request, const std::vector<Parameter>& parameters);

Result<size_t> limit_in(const HttpRequest& request);
Result<std::optional<uint64_t>> number_in(const HttpRequest& request, std::string_view name);
Result<std::optional<WallTime>> time_in(const HttpRequest& request, std::string_view name);
// "" when absent.
Result<std::string> machine_in(const HttpRequest& request);
std::string text_in(const HttpRequest& request, std::string_view name);
// Every value of `name`, also comma-separated ones.
std::vector<std::string> texts_in(const HttpRequest& request, std::string_view name);
// The header Millrace-Min-Position or ?min_position=, whichever is larger; 0 when absent.
Result<Position> min_position_in(const HttpRequest& request);

// An opaque place in a list, bound to one log: a cursor of a log that was restored since is refused.
std::string make_cursor(std::string_view incarnation, std::string_view place);
Result<std::string> place_in(const HttpRequest& request, std::string_view incarnation);  // "" when absent

}  // namespace millrace
