// SPDX-License-Identifier: Apache-2.0
#include "gcode/object_lists.h"

#include "bus/json_reader.h"

namespace millrace {
namespace {

constexpr size_t kMostJson = 1u << 20;

}  // namespace

void read_listed_object(std::string_view json, GcodeNames& names) {
  JsonReader reader(kMostJson);
  const auto object = reader.parse(json);
  if (!object) return;
  const auto id = text_member(*object, "id");
  const auto name = id ? id : text_member(*object, "name");
  if (name) names.add(*name);
}

void read_objects_info(std::string_view json, GcodeNames& names) {
  JsonReader reader(kMostJson);
  const auto info = reader.parse(json);
  if (!info) return;
  const auto objects = member(*info, "objects");
  simdjson::dom::array list;
  if (!objects || objects->get_array().get(list) != simdjson::SUCCESS) return;
  for (const Json object : list) {
    if (const auto name = text_member(object, "name")) names.add(*name);
  }
}

}  // namespace millrace
