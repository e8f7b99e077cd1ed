// SPDX-License-Identifier: Apache-2.0
// The G-code files on a simulated printer: what a slicer would have written about them, and how the print goes.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "bus/random.h"

namespace millrace {

class JsonWriter;

struct SimulatedFile {
  std::string path;  // below the gcodes folder
  std::string slicer;
  std::string slicer_version;
  std::string filament_type;
  std::string filament_name;
  double extruder_c = 0;
  double bed_c = 0;
  double layer_height_mm = 0.2;
  int layers = 0;
  double print_s = 0;  // from the first extrusion to the end
  double filament_mm = 0;
  double filament_g = 0;
  double fan = 1.0;            // from the third layer on
  bool reports_layers = true;  // whether the slicer writes SET_PRINT_STATS_INFO
  std::vector<std::string> objects;
  int64_t size = 0;
  int64_t body_start = 0;  // bytes of header and thumbnails before the first command
  int64_t body_end = 0;
  double modified = 0;  // Unix time
  std::string uuid;
};

// The files of one machine: eight to twelve of a fixed collection, with durations scaled by `duration_scale`.
std::vector<SimulatedFile> choose_files(Random& random, double now_unix_s, double duration_scale);
// Files whose names hold what a name may hold: spaces, quotes, other alphabets, pictures, folders, percent signs.
std::vector<SimulatedFile> oddly_named_files(Random& random, double now_unix_s, double duration_scale);

// Writes the members of the file's metadata, as they are embedded in a history row, into the open object.
void write_metadata(JsonWriter& json, const SimulatedFile& file);

}  // namespace millrace
