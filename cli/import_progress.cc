// SPDX-License-Identifier: Apache-2.0
#include "cli/import_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace millrace {
namespace {

constexpr std::chrono::milliseconds kInterval{200};
constexpr int kLineWidth = 79;
constexpr size_t kMaxWhy = 44;  // so that the line is no longer

}  // namespace

void ImportProgress::show(uint64_t rows, uint64_t new_ones) {
  if (!shown_ || clock_.monotonic() - last_ < kInterval) return;
  last_ = clock_.monotonic();
  fmt::print(stderr, "\r{} rows, {} of them new, {:.0f} rows/s   ", rows, new_ones,
             static_cast<double>(rows) / std::max(seconds(), 0.001));
  written_ = true;
}

void ImportProgress::show_pause(std::chrono::milliseconds time, int retry, int retries_max, std::string_view why) {
  if (!shown_) return;
  clear();
  fmt::print(stderr, "\rasked again in {:.0f} s ({} of {}): {}   ",
             std::ceil(std::chrono::duration<double>(time).count()), retry, retries_max, why.substr(0, kMaxWhy));
  written_ = true;
}

void ImportProgress::clear() {
  if (std::exchange(written_, false)) fmt::print(stderr, "\r{:{}}\r", "", kLineWidth);
}

}  // namespace millrace
