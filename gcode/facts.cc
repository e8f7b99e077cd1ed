// SPDX-License-Identifier: Apache-2.0
#include "gcode/facts.h"

#include <algorithm>
#include <cmath>

namespace millrace {

void GcodeNames::add(std::string_view name) {
  name = name.substr(0, max_bytes_);
  if (name.empty() || known_.find(name) != known_.end()) return;
  if (names_.size() >= max_names_) {
    ++left_out_;
    return;
  }
  names_.emplace_back(name);
  known_.emplace(name);
}

void GcodeLayerHeights::add(double height) {
  if (height <= 0) return;
  constexpr double kSame = 1e-6;
  if (!first) {
    first = height;
  } else if (!other) {
    other = height;
  } else if (std::abs(*other - height) > kSame) {
    uniform = false;
  }
}

void GcodeFacts::layer(LayerMark mark) {
  constexpr uint64_t kSettled = 3;  // slicers change to the other temperature at the beginning of the second layer
  const uint64_t before = layer_marks();
  ++layers[mark];
  const uint64_t now = layer_marks();
  if (now == before || partial || settled) return;
  if (now == 1) first_layer = targets;
  other_layers = targets;
  settled = now == kSettled;
}

void GcodeFacts::layer_height(double height) {
  if (!partial) heights.add(height);
}

void GcodeFacts::marked_z(double z) {
  constexpr double kMost = 1e6;  // no machine is a kilometre high
  if (z >= 0 && z < kMost) marked_z_max = std::max(marked_z_max.value_or(z), z);
}

uint64_t GcodeFacts::layer_marks() const { return *std::max_element(layers.begin(), layers.end()); }

}  // namespace millrace
