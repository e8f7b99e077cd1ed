// SPDX-License-Identifier: Apache-2.0
#include "producers/replay/fold.h"

#include "bus/json_writer.h"
#include "producers/replay/slices.h"

namespace millrace {

void ReplayFold::apply(std::string_view objects, std::string_view eventtime) {
  if (!eventtime.empty()) eventtime_ = eventtime;
  for (const JsonSlice& object : object_slices(objects)) {
    auto& fields = objects_[object.key];
    for (const JsonSlice& field : object_slices(object.value)) fields[field.key] = field.value;
  }
}

std::string ReplayFold::answer(const StatusFilter& filter) const {
  JsonWriter json;
  json.object().key("eventtime").raw(eventtime_).key("status").object();
  for (const auto& [name, wanted] : filter.objects()) {
    json.key(name).object();
    if (const auto found = objects_.find(name); found != objects_.end()) {
      for (const auto& [field, value] : found->second) {
        if (filter.wants(name, field)) json.key(field).raw(value);
      }
    }
    json.end();
  }
  json.end().end();
  return json.take();
}

std::string_view ReplayFold::field(std::string_view object, std::string_view name) const {
  const auto found = objects_.find(object);
  if (found == objects_.end()) return {};
  const auto field = found->second.find(name);
  return field == found->second.end() ? std::string_view{} : std::string_view(field->second);
}

std::string filtered_objects(std::string_view objects, const StatusFilter& filter) {
  JsonWriter json;
  json.object();
  bool any = false;
  for (const JsonSlice& object : object_slices(objects)) {
    bool open = false;
    for (const JsonSlice& field : object_slices(object.value)) {
      if (!filter.wants(object.key, field.key)) continue;
      if (!open) json.key(object.key).object();
      open = any = true;
      json.key(field.key).raw(field.value);
    }
    if (open) json.end();
  }
  json.end();
  return any ? json.take() : std::string();
}

}  // namespace millrace
