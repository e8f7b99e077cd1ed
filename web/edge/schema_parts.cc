// SPDX-License-Identifier: Apache-2.0
#include "web/edge/schema_parts.h"

namespace millrace {

std::string_view schema_of(std::string_view word) {
  static const std::vector<std::pair<std::string_view, std::string_view>> words = {
      {"text", R"({"type":"string"})"},
      {"text?", R"({"type":["string","null"]})"},
      {"flag", R"({"type":"boolean"})"},
      {"integer", R"({"type":"integer"})"},
      {"integer?", R"({"type":["integer","null"]})"},
      {"number", R"({"type":"number"})"},
      {"number?", R"({"type":["number","null"]})"},
      {"time", R"({"type":"string","format":"date-time"})"},
      {"time?", R"({"type":["string","null"],"format":"date-time"})"},
      {"any", "{}"},
  };
  for (const auto& [name, schema] : words) {
    if (name == word) return schema;
  }
  return word;
}

std::string object_of(const Fields& fields) {
  std::string properties, required;
  for (const auto& [name, word] : fields) {
    properties += (properties.empty() ? "\"" : ",\"") + std::string(name) + "\":" + std::string(schema_of(word));
    required += (required.empty() ? "\"" : ",\"") + std::string(name) + "\"";
  }
  return R"({"type":"object","properties":{)" + properties + R"(},"required":[)" + required + "]}";
}

std::string list_of(std::string_view item) {
  const std::string items = R"({"type":"array","items":{"$ref":"#/components/schemas/)" + std::string(item) + R"("}})";
  return object_of({{"items", items}, {"next_cursor", "text?"}, {"total", "integer?"}});
}

std::string body_of(const Fields& fields, std::string_view required) {
  std::string properties;
  for (const auto& [name, word] : fields) {
    properties += (properties.empty() ? "\"" : ",\"") + std::string(name) + "\":" + std::string(schema_of(word));
  }
  return R"({"type":"object","additionalProperties":false,"properties":{)" + properties + R"(},"required":[)" +
         std::string(required) + "]}";
}

}  // namespace millrace
