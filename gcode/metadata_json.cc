// SPDX-License-Identifier: Apache-2.0
#include "gcode/metadata_json.h"

#include "bus/json_writer.h"

namespace millrace {
namespace {

void write_extruders(JsonWriter& json, const std::vector<GcodeExtruder>& extruders) {
  json.key("extruders").array();
  for (const GcodeExtruder& extruder : extruders) {
    json.object()
        .field("filament_type", extruder.filament_type)
        .field("filament_vendor", extruder.filament_vendor)
        .field("filament_color", extruder.filament_color)
        .field("used_mm", extruder.used_mm)
        .field("used_cm3", extruder.used_cm3)
        .field("used_g", extruder.used_g)
        .field("cost", extruder.cost)
        .end();
  }
  json.end();
}

void write_objects(JsonWriter& json, const std::optional<std::vector<std::string>>& objects) {
  json.key("objects");
  if (!objects) {
    json.null();
    return;
  }
  json.array();
  for (const std::string& name : *objects) json.value(name);
  json.end();
}

void write_thumbnail(JsonWriter& json, const std::optional<GcodeThumbnail>& thumbnail) {
  json.key("thumbnail");
  if (!thumbnail) {
    json.null();
    return;
  }
  json.object()
      .field("width", uint64_t{thumbnail->width})
      .field("height", uint64_t{thumbnail->height})
      .field("format", thumbnail->format)
      .field("bytes", uint64_t{thumbnail->bytes.size()})
      .end();
}

}  // namespace

std::string to_json(const GcodeMetadata& data) {
  JsonWriter json;
  json.object()
      .field("slicer_name", data.slicer_name)
      .field("slicer_version", data.slicer_version)
      .field("estimated_time_s", data.estimated_time_s)
      .field("layer_height", data.layer_height)
      .field("first_layer_height", data.first_layer_height)
      .field("layer_count", data.layer_count)
      .field("object_height", data.object_height)
      .field("nozzle_temp", data.nozzle_temp)
      .field("first_layer_nozzle_temp", data.first_layer_nozzle_temp)
      .field("bed_temp", data.bed_temp)
      .field("chamber_temp", data.chamber_temp)
      .field("infill_percentage", data.infill_percentage)
      .field("infill_pattern", data.infill_pattern)
      .field("support_enabled", data.support_enabled)
      .field("support_type", data.support_type)
      .field("print_speed", data.print_speed)
      .field("total_filament_used_mm", data.total_filament_used_mm)
      .field("total_filament_used_g", data.total_filament_used_g)
      .field("total_filament_cost", data.total_filament_cost);
  write_extruders(json, data.extruders);
  write_objects(json, data.objects);
  write_thumbnail(json, data.thumbnail);
  json.key("settings").object();
  for (const auto& [key, value] : data.settings) json.field(key, value);
  json.end();
  json.field("partial", data.partial).field("source", "file");
  json.key("warnings").array();
  for (const std::string& warning : data.warnings) json.value(warning);
  json.end().end();
  return json.take();
}

}  // namespace millrace
