// SPDX-License-Identifier: Apache-2.0
// What a G-code file says of itself, the same for every slicer.  A value that the file does not say is nullopt: nothing
// is guessed.  docs/gcode.md names where each slicer writes it and which values are derived.  Lengths in mm, times in
// s, temperatures in degrees Celsius, speeds in mm/s, money in the slicer's currency.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace {

// Most that is kept of one file, so that memory is bounded whatever it holds.  What exceeds is counted in a warning.
struct GcodeLimits {
  size_t max_settings = 4096;
  size_t max_value_bytes = 64u << 10;     // of one setting; the rest of it is cut off
  size_t max_settings_bytes = 2u << 20;   // of all names and values together
  size_t max_line_bytes = 128u << 10;     // a longer line is cut off
  size_t max_objects = 1024;              // of each way to name them
  size_t max_object_name_bytes = 512;     // a longer name is cut off
  size_t max_thumbnail_bytes = 2u << 20;  // of one image
  size_t max_block_bytes = 8u << 20;      // of one metadata block of a binary file, unpacked
  size_t max_extruders = 64;
  size_t max_warnings = 32;
};

// One filament of the print; nozzles that share a filament are one, those that change it are several.
struct GcodeExtruder {
  std::optional<std::string> filament_type;
  std::optional<std::string> filament_vendor;
  std::optional<std::string> filament_color;
  std::optional<double> used_mm;
  std::optional<double> used_cm3;
  std::optional<double> used_g;
  std::optional<double> cost;
};

struct GcodeThumbnail {
  uint32_t width = 0;  // as the image's own bytes say
  uint32_t height = 0;
  std::string format;  // "PNG", "JPG" or "QOI"
  std::string bytes;   // the image
};

struct GcodeMetadata {
  std::optional<std::string> slicer_name;
  std::optional<std::string> slicer_version;
  std::optional<double> estimated_time_s;
  std::optional<double> layer_height;
  std::optional<double> first_layer_height;
  std::optional<int64_t> layer_count;
  std::optional<double> object_height;
  std::optional<double> nozzle_temp;  // of the first filament that is used, after the first layer
  std::optional<double> first_layer_nozzle_temp;
  std::optional<double> bed_temp;  // of the plate in use, after the first layer
  std::optional<double> chamber_temp;
  std::optional<double> infill_percentage;
  std::optional<std::string> infill_pattern;
  std::optional<bool> support_enabled;
  std::optional<std::string> support_type;
  std::optional<double> print_speed;  // of the outer wall
  std::optional<double> total_filament_used_mm;
  std::optional<double> total_filament_used_g;
  std::optional<double> total_filament_cost;
  std::vector<GcodeExtruder> extruders;
  // Names of the parts that can be left out; nullopt when only ends were read and they do not name all of them.
  std::optional<std::vector<std::string>> objects;
  std::optional<GcodeThumbnail> thumbnail;                   // the largest one
  std::map<std::string, std::string, std::less<>> settings;  // every key of the file, values as written
  bool partial = false;               // only head and tail were read: what only the middle holds is nullopt
  std::vector<std::string> warnings;  // what was left out and why, for people
};

}  // namespace millrace
