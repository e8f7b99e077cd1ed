// SPDX-License-Identifier: Apache-2.0
#include "cli/import_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kInterval{200};

}  // namespace

void ImportProgress::show(uint64_t rows, uint64_t new_ones) {
  if (!shown_ || clock_.monotonic() - last_ < kInterval) return;
  last_ = clock_.monotonic();
  fmt::print(stderr, "\r{} rows, {} of them new, {:.0f} rows/s   ", rows, new_ones,
             static_cast<double>(rows) / std::max(seconds(), 0.001));
  written_ = true;
}

void ImportProgress::clear() {
  if (std::exchange(written_, false)) fmt::print(stderr, "\r{:60}\r", "");
}

}  // namespace millrace
