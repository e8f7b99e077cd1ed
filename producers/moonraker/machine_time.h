// SPDX-License-Identifier: Apache-2.0
// The machine's two clocks: its wall clock, heard once a second, and Klipper's eventtime (monotonic since the host was
// booted), heard with every status.  Everything here follows what the machine said and not when it arrived, so a replay
// at another speed gives the same times.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "bus/clock.h"

namespace millrace {

class MachineTime {
 public:
  // moonraker_stats.time in Unix seconds, received at `received`.
  void on_wall_time(double unix_seconds, WallTime received);
  void on_eventtime(double eventtime);
  // A new connection: nothing is known.
  void reset();

  double eventtime() const { return eventtime_; }  // latest; 0 = none
  // Wall clock minus eventtime in seconds.
  std::optional<double> offset() const { return offset_; }
  // The machine's wall clock at the latest eventtime, Unix seconds.
  std::optional<double> now() const;
  // The same for an event; zero when unknown.
  WallTime occurred() const;
  // Adapter's clock minus machine's clock.
  std::optional<int64_t> skew_ms() const { return skew_ms_; }

 private:
  double eventtime_ = 0;
  std::optional<double> last_wall_;
  std::optional<double> offset_;
  std::deque<double> samples_;  // eventtime is up to one poll old when it is paired, so the least of some is nearest
  std::optional<int64_t> skew_ms_;
};

}  // namespace millrace
