// SPDX-License-Identifier: Apache-2.0
// The API described by itself: OpenAPI 3.1, made from the route table and the schemas of the answers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "web/edge/routes.h"

namespace millrace {

std::string openapi_json(std::string_view version);

// Name and JSON Schema of every answer; the second those of limits, rules and alarms.
const std::vector<std::pair<std::string_view, std::string>>& api_schemas();
const std::vector<std::pair<std::string_view, std::string>>& safety_schemas();

}  // namespace millrace
