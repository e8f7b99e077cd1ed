// SPDX-License-Identifier: Apache-2.0
#include "bus/machine_equipment.h"

namespace millrace {
namespace {

constexpr size_t kMaxExtruders = 32;
constexpr size_t kMaxBytes = 64u << 10;
constexpr size_t kMaxDepth = 32;

std::optional<std::string> material_of(const Json& entry) {
  std::optional<std::string_view> text = as_text(entry);
  for (const char* name : {"material", "type", "m"}) {
    if (!text) text = text_member(entry, name);
  }
  return text && !text->empty() ? std::optional<std::string>(*text) : std::nullopt;
}

}  // namespace

std::vector<std::optional<std::string>> read_loaded_materials(const Json& json) {
  std::vector<std::optional<std::string>> materials;
  simdjson::dom::array entries;
  if (json.get_array().get(entries) != simdjson::SUCCESS) return materials;
  for (const Json entry : entries) {
    if (materials.size() == kMaxExtruders) break;
    materials.push_back(material_of(entry));
  }
  return materials;
}

std::vector<std::optional<std::string>> read_loaded_materials(std::string_view json) {
  JsonReader reader(kMaxBytes, kMaxDepth);
  const auto parsed = reader.parse(json);
  return parsed ? read_loaded_materials(*parsed) : std::vector<std::optional<std::string>>();
}

}  // namespace millrace
