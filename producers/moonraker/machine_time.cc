// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/machine_time.h"

#include <algorithm>
#include <cmath>

namespace millrace {
namespace {

constexpr size_t kSamples = 10;
constexpr double kJump = 1.0;                 // seconds: more than pairing can explain
constexpr double kMaxSeconds = 253402300799;  // end of year 9999

}  // namespace

void MachineTime::on_wall_time(double unix_seconds, WallTime received) {
  if (!std::isfinite(unix_seconds) || unix_seconds <= 0 || unix_seconds > kMaxSeconds) return;
  last_wall_ = unix_seconds;
  skew_ms_ = std::llround(static_cast<double>(to_unix_us(received)) / 1000.0 - unix_seconds * 1000.0);
  if (eventtime_ <= 0) return;
  const double sample = unix_seconds - eventtime_;
  if (offset_ && std::abs(sample - *offset_) > kJump) samples_.clear();
  samples_.push_back(sample);
  if (samples_.size() > kSamples) samples_.pop_front();
  offset_ = *std::ranges::min_element(samples_);
}

void MachineTime::on_eventtime(double eventtime) {
  if (!std::isfinite(eventtime) || eventtime <= 0 || eventtime > kMaxSeconds) return;
  eventtime_ = eventtime;
  if (!offset_ && last_wall_) offset_ = *last_wall_ - eventtime;  // up to a second off until the next wall time
}

void MachineTime::reset() { *this = MachineTime{}; }

std::optional<double> MachineTime::now() const { return offset_ ? std::optional(eventtime_ + *offset_) : std::nullopt; }

WallTime MachineTime::occurred() const {
  const auto seconds = now();
  return seconds ? from_unix_us(std::llround(*seconds * 1e6)) : WallTime{};
}

}  // namespace millrace
