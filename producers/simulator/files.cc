// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/files.h"

#include <fmt/format.h>

#include <cmath>

#include "bus/json_writer.h"

namespace millrace {
namespace {

struct Model {
  const char* path;
  const char* slicer;
  const char* filament;
  int layers;
  double height_mm;  // of a layer
  double minutes;
  double metres;
  const char* objects;  // comma separated
};

constexpr Model kModels[] = {
    {"benchy_pla.gcode", "OrcaSlicer", "PLA", 240, 0.2, 48, 4.1, "benchy.stl"},
    {"voron/ADXL_mount.gcode", "OrcaSlicer", "ASA", 92, 0.2, 26, 2.2, "adxl_mount.stl"},
    {"voron/[a]_tensioner_left.gcode", "PrusaSlicer", "ABS", 128, 0.2, 41, 3.9, ""},
    {"hinge set x4.gcode", "OrcaSlicer", "PETG", 110, 0.2, 64, 6.8, "hinge_a.stl,hinge_b.stl,pin_a.stl,pin_b.stl"},
    {"cable_clip_batch.gcode", "PrusaSlicer", "PETG", 34, 0.25, 22, 2.6, ""},
    {"Gehäuse Deckel.gcode", "OrcaSlicer", "PETG", 58, 0.2, 55, 7.4, "deckel.stl"},
    {"calibration_cube.gcode", "Cura", "PLA", 100, 0.2, 19, 1.3, ""},
    {"spool_holder.gcode", "SuperSlicer", "PLA", 180, 0.25, 96, 14.2, ""},
    {"feeder/8mm_strip_feeder.gcode", "OrcaSlicer", "PETG", 75, 0.2, 38, 4.4, "frame.stl,lever.stl"},
    {"nozzle_tray.gcode", "PrusaSlicer", "PLA", 60, 0.2, 29, 3.3, ""},
    {"drawer_divider.gcode", "Cura", "PLA", 210, 0.2, 84, 11.0, ""},
    {"fan_duct_v3.gcode", "SuperSlicer", "ABS", 142, 0.2, 33, 2.8, ""},
};

constexpr Model kOddlyNamed[] = {
    {"Für Oma/Häkelnadel \"5 mm\" (2).gcode", "OrcaSlicer", "PLA", 40, 0.2, 22, 1.1, "nadel.stl"},
    {"鯉のぼり 🎏/50% größer & 'fertig'.gcode", "PrusaSlicer", "PETG", 60, 0.2, 20, 1.5, ""},
    {"a;b,c=d\\e #1?.gcode", "Cura", "PLA", 50, 0.2, 21, 1.2, ""},
};

struct Material {
  const char* type;
  const char* name;
  double extruder_c;
  double bed_c;
  double fan;
  double grams_per_metre;  // of 1.75 mm filament
};

constexpr Material kMaterials[] = {
    {"PLA", "Generic PLA", 215, 60, 1.0, 2.98},
    {"PETG", "Prusament PETG", 240, 80, 0.5, 3.05},
    {"ABS", "Polymaker PolyLite ABS", 250, 105, 0.2, 2.50},
    {"ASA", "Fillamentum ASA Extrafill", 255, 105, 0.2, 2.57},
};

const Material& material_of(std::string_view type) {
  for (const Material& material : kMaterials) {
    if (material.type == type) return material;
  }
  return kMaterials[0];
}

const char* version_of(std::string_view slicer) {
  if (slicer == "OrcaSlicer") return "2.3.1";
  if (slicer == "PrusaSlicer") return "2.8.1+linux-x64-GTK3";
  if (slicer == "SuperSlicer") return "2.5.59";
  return "5.8.1";
}

std::vector<std::string> split_objects(std::string_view names) {
  std::vector<std::string> objects;
  while (!names.empty()) {
    const size_t comma = std::min(names.find(','), names.size());
    objects.push_back(fmt::format("{}_ID_{}_COPY_0", names.substr(0, comma), objects.size()));
    for (char& c : objects.back()) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    names.remove_prefix(std::min(comma + 1, names.size()));
  }
  return objects;
}

std::string make_uuid(Random& random) {
  const uint64_t a = random.next();
  const uint64_t b = random.next();
  return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xffff, a & 0xfff,
                     0x8000 | ((b >> 48) & 0x3fff), b & 0xffffffffffff);
}

SimulatedFile make_file(const Model& model, Random& random, double now_unix_s, double duration_scale) {
  const Material& material = material_of(model.filament);
  SimulatedFile file;
  file.path = model.path;
  file.slicer = model.slicer;
  file.slicer_version = version_of(model.slicer);
  file.filament_type = material.type;
  file.filament_name = material.name;
  file.extruder_c = material.extruder_c;
  file.bed_c = material.bed_c;
  file.fan = material.fan;
  file.layers = model.layers;
  file.layer_height_mm = model.height_mm;
  file.print_s = std::round(model.minutes * 60 * duration_scale * random.between(0.9, 1.1));
  file.filament_mm = std::round(model.metres * 1000 * random.between(0.95, 1.05) * 100) / 100;
  file.filament_g = std::round(file.filament_mm / 1000 * material.grams_per_metre * 100) / 100;
  file.reports_layers = file.slicer == "OrcaSlicer";
  file.objects = split_objects(model.objects);
  file.size = static_cast<int64_t>(model.layers * random.between(9'000, 26'000));
  file.body_start = static_cast<int64_t>(random.between(6'000, 48'000));
  file.body_end = file.size - static_cast<int64_t>(random.between(8'000, 20'000));
  file.modified = std::round((now_unix_s - random.between(3'600, 40 * 86'400.0)) * 1e6) / 1e6;
  file.uuid = make_uuid(random);
  return file;
}

}  // namespace

std::vector<SimulatedFile> choose_files(Random& random, double now_unix_s, double duration_scale) {
  std::vector<SimulatedFile> files;
  const size_t wanted = 8 + random.next() % 5;
  size_t left = std::size(kModels);
  for (const Model& model : kModels) {
    // Keeps the order and takes exactly `wanted` of them, each equally likely.
    if (random.unit() * static_cast<double>(left) < static_cast<double>(wanted - files.size())) {
      files.push_back(make_file(model, random, now_unix_s, duration_scale));
    }
    --left;
  }
  return files;
}

std::vector<SimulatedFile> oddly_named_files(Random& random, double now_unix_s, double duration_scale) {
  std::vector<SimulatedFile> files;
  for (const Model& model : kOddlyNamed) files.push_back(make_file(model, random, now_unix_s, duration_scale));
  return files;
}

void write_metadata(JsonWriter& json, const SimulatedFile& file) {
  json.field("size", file.size).field("modified", file.modified).field("uuid", file.uuid);
  json.key("file_processors").array().end();
  json.field("slicer", file.slicer).field("slicer_version", file.slicer_version);
  json.field("gcode_start_byte", file.body_start).field("gcode_end_byte", file.body_end);
  if (file.slicer == "OrcaSlicer" || file.slicer == "Cura") json.field("layer_count", file.layers);
  json.field("object_height", std::round(file.layers * file.layer_height_mm * 100) / 100);
  json.field("estimated_time", static_cast<int64_t>(file.print_s * 0.97));
  json.field("nozzle_diameter", 0.4).field("layer_height", file.layer_height_mm).field("first_layer_height", 0.2);
  if (file.slicer != "Cura") {
    json.field("first_layer_extr_temp", file.extruder_c).field("first_layer_bed_temp", file.bed_c);
    json.field("filament_name", file.filament_name).field("filament_type", file.filament_type);
    json.field("filament_weight_total", file.filament_g);
  }
  json.field("filament_total", file.filament_mm);
  json.key("thumbnails").array().end();
}

}  // namespace millrace
