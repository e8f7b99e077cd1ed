// SPDX-License-Identifier: Apache-2.0
// Minimum, mean weighted by time, and maximum of one signal in each bucket of a range.  One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "projections/telemetry_history.h"

namespace millrace {

class BucketSums {
 public:
  explicit BucketSums(size_t buckets)
      : minimum_(buckets, kNone), maximum_(buckets, kNone), weighted_(buckets, 0), length_ms_(buckets, 0) {}

  // What held in `bucket` for `length_ms`, above 0.
  void add(size_t bucket, double minimum, double mean, double maximum, double length_ms) {
    if (!(minimum_[bucket] <= minimum)) minimum_[bucket] = minimum;
    if (!(maximum_[bucket] >= maximum)) maximum_[bucket] = maximum;
    weighted_[bucket] += mean * length_ms;
    length_ms_[bucket] += length_ms;
  }

  // NaN where nothing was added.  Nothing is left.
  SignalColumns take() {
    for (size_t i = 0; i < weighted_.size(); ++i) {
      weighted_[i] = length_ms_[i] > 0 ? std::clamp(weighted_[i] / length_ms_[i], minimum_[i], maximum_[i]) : kNone;
    }
    return {std::move(minimum_), std::move(weighted_), std::move(maximum_)};
  }

 private:
  static constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> minimum_, maximum_, weighted_, length_ms_;
};

}  // namespace millrace
