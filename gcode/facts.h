// SPDX-License-Identifier: Apache-2.0
// What reading a file collects before it is put into the words that all slicers share.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gcode/metadata.h"
#include "gcode/settings.h"

namespace millrace {

// Slicers that write alike.
enum class GcodeDialect : uint8_t {
  kUnknown,
  kSlic3r,  // Slic3r, PrusaSlicer, SuperSlicer, BambuStudio, OrcaSlicer and their many kin
  kCura,
  kSimplify3d,
  kIdeaMaker,
  kKissSlicer,
};

// Names in the order of their first appearance, each once, bounded.
class GcodeNames {
 public:
  explicit GcodeNames(const GcodeLimits& limits)
      : max_names_(limits.max_objects), max_bytes_(limits.max_object_name_bytes) {}
  void add(std::string_view name);
  const std::vector<std::string>& names() const { return names_; }
  bool empty() const { return names_.empty(); }
  uint64_t left_out() const { return left_out_; }

 private:
  size_t max_names_;
  size_t max_bytes_;
  std::vector<std::string> names_;
  std::set<std::string, std::less<>> known_;
  uint64_t left_out_ = 0;
};

// Temperatures that the commands asked for.
struct GcodeTargets {
  static constexpr size_t kTools = 64;
  std::array<double, kTools> nozzle{};
  size_t tool = 0;
  double bed = 0;
  double chamber = 0;
};

// Heights of layers that the file tells one by one.
struct GcodeLayerHeights {
  std::optional<double> first;
  std::optional<double> other;
  bool uniform = true;  // all but the first are `other`
  void add(double height);
};

struct GcodeFacts {
  explicit GcodeFacts(const GcodeLimits& limits)
      : settings(limits), defined(limits), numbered(limits), listed(limits), printed(limits) {}

  GcodeDialect dialect = GcodeDialect::kUnknown;
  std::string slicer_name;
  std::string slicer_version;
  GcodeSettings settings;

  // Ways to mark a layer; a file may use several at once.
  enum LayerMark : uint8_t { kChange, kNumber, kNamed, kLayerMarks };
  std::array<uint64_t, kLayerMarks> layers{};
  int64_t stated_layers = 0;  // sum of LAYER_COUNT, one for each group of parts that is printed on its own
  GcodeLayerHeights heights;

  std::optional<double> marked_z_max;
  std::optional<double> extruded_z_max;   // after the first layer's mark
  std::optional<double> extruded_z_last;  // at any time

  GcodeTargets targets;                      // now
  std::optional<GcodeTargets> first_layer;   // when the first layer began
  std::optional<GcodeTargets> other_layers;  // when the third began, or the last of fewer

  std::optional<double> elapsed_s;    // the last TIME_ELAPSED
  std::optional<double> remaining_s;  // the first REMAINING_TIME

  GcodeNames defined;   // EXCLUDE_OBJECT_DEFINE
  GcodeNames numbered;  // M486 A
  GcodeNames listed;    // a list in a comment
  GcodeNames printed;   // told when each is printed

  uint64_t commands = 0;  // lines that are commands: without any it is no G-code
  bool partial = false;   // something is missing between what was read first and what was read last
  bool body_read = true;  // false where the commands are packed and only metadata is looked at
  bool settled = false;   // other_layers was taken in the third layer
  std::optional<GcodeThumbnail> thumbnail;
  std::vector<std::string> warnings;

  void layer(LayerMark mark);
  void layer_height(double height);
  void marked_z(double z);
  uint64_t layer_marks() const;  // of the way that has most
};

}  // namespace millrace
