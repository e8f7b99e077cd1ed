// SPDX-License-Identifier: Apache-2.0
// Small verbs for building events in tests.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "bus/envelope.h"

namespace millrace::testing {

inline constexpr int64_t kNoonUs = 1'795'262'400'000'000;  // 2026-11-21T12:00:00Z
inline WallTime noon(int64_t plus_us = 0) { return from_unix_us(kNoonUs + plus_us); }

Envelope fact(const std::string& producer, uint64_t epoch, uint64_t sequence, const std::string& machine = "");
Envelope telemetry(const std::string& producer, uint64_t epoch, uint64_t sequence, const std::string& machine = "");
Envelope epoch_opened(const std::string& producer, uint64_t epoch, EventOrder previous = {});
Envelope event(const EventId& id, EventDraft draft);
// A fact whose envelope has about `bytes` bytes.
Envelope fact_of_size(const std::string& producer, uint64_t epoch, uint64_t sequence, size_t bytes);

// A directory of the test's own, removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Time that moves only when told to. Any thread may move it while others read it.
class ManualClock final : public Clock {
 public:
  WallTime wall() const override { return from_unix_us(wall_us_); }
  MonotonicTime monotonic() const override { return MonotonicTime{Micros{monotonic_us_}}; }
  void advance(Micros by) {
    wall_us_ += by.count();
    monotonic_us_ += by.count();
  }
  void set_wall(WallTime wall) { wall_us_ = to_unix_us(wall); }

 private:
  std::atomic<int64_t> wall_us_{kNoonUs};
  std::atomic<int64_t> monotonic_us_{1'000'000};
};

}  // namespace millrace::testing
