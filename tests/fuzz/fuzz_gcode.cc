// SPDX-License-Identifier: Apache-2.0
// Any file that somebody calls G-code: read whole, in pieces, and by its ends.  The first byte says how it is cut.
#include <string>

#include "bus/json_reader.h"
#include "gcode/gcode_ends.h"
#include "gcode/gcode_reader.h"
#include "gcode/metadata_json.h"
#include "tests/fuzz/check.h"

using namespace millrace;

namespace {

// Small enough for what a fuzzer writes to reach them.
GcodeLimits small_limits() {
  GcodeLimits limits;
  limits.max_settings = 64;
  limits.max_value_bytes = 512;
  limits.max_settings_bytes = 2048;
  limits.max_line_bytes = 1024;
  limits.max_objects = 8;
  limits.max_thumbnail_bytes = 512;
  limits.max_block_bytes = 4096;
  limits.max_extruders = 8;
  return limits;
}

std::string read_in_pieces(std::string_view file, size_t piece) {
  GcodeReader reader(small_limits());
  for (size_t at = 0; at < file.size(); at += piece) reader.add(file.substr(at, piece));
  const auto metadata = reader.finish();
  return metadata ? to_json(*metadata) : metadata.error().message();
}

void read_ends(std::string_view file, size_t piece) {
  GcodeEndsOptions options;
  options.whole_bytes = piece;
  options.piece_bytes = piece;
  options.start_bytes_max = 4 * piece;
  options.end_bytes_max = 8 * piece;
  options.limits = small_limits();
  GcodeEnds ends(file.size(), options);
  for (int requests = 0; const auto range = ends.wanted(); ++requests) {
    fuzz::check(requests < 64 && range->length != 0, "it comes to an end");
    fuzz::check(range->offset + range->length <= file.size(), "it asks for what is there");
    fuzz::check(ends.add(range->offset, file.substr(range->offset, range->length)).has_value(),
                "it takes what it asks for");
  }
  (void)ends.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size == 0) return 0;
  const auto file = fuzz::as_text(data, size).substr(1);
  const size_t piece = data[0] % 61 + 1u;
  GcodeReader reader(small_limits());
  reader.add(file);
  const auto metadata = reader.finish();
  if (metadata) {
    fuzz::check(metadata->settings.size() <= 64, "settings are bounded");
    fuzz::check(!metadata->objects || metadata->objects->size() <= 8, "objects are bounded");
    fuzz::check(!metadata->thumbnail || metadata->thumbnail->bytes.size() <= 512, "pictures are bounded");
    fuzz::check(metadata->extruders.size() <= 8, "extruders are bounded");
    fuzz::check(metadata->warnings.size() <= 40, "warnings are bounded");
    JsonReader json;
    fuzz::check(json.parse(to_json(*metadata)).has_value(), "it is shown as JSON");
  }
  const std::string whole = metadata ? to_json(*metadata) : metadata.error().message();
  fuzz::check(read_in_pieces(file, piece) == whole, "pieces give the same as the whole");
  read_ends(file, piece);
  return 0;
}
