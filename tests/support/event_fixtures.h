// SPDX-License-Identifier: Apache-2.0
// Small verbs for building events in tests.
#pragma once

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

// Time that moves only when told to.
class ManualClock final : public Clock {
 public:
  WallTime wall() const override { return wall_; }
  MonotonicTime monotonic() const override { return monotonic_; }
  void advance(Micros by) {
    wall_ += by;
    monotonic_ += by;
  }
  void set_wall(WallTime wall) { wall_ = wall; }

 private:
  WallTime wall_ = noon();
  MonotonicTime monotonic_{Micros{1'000'000}};
};

}  // namespace millrace::testing
