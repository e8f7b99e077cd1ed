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

// Name and JSON Schema of every answer.
const std::vector<std::pair<std::string_view, std::string>>& api_schemas();

// Names of members with their schemas, or with a word for one: "text", "integer", "number", "flag", "time", "any", and
// with a '?' what may be null.
using SchemaFields = std::vector<std::pair<std::string_view, std::string_view>>;
// The schema of an object with exactly these members, all of them always there.
std::string object_schema(const SchemaFields& fields);

}  // namespace millrace
