// SPDX-License-Identifier: Apache-2.0
// A note beside the log of what it has confirmed: incarnation, last position and the chain's link there.  A log that is
// opened and ends before its note has lost its end, which the store alone cannot see: it takes damage at the end of its
// write-ahead log for a write that was cut off.  The note is written after each append without a sync of its own, so
// after a loss of power it may be old, but never says too much.
//
// Layout of <log>/DURABLE: two places of 128 bytes that take turns, so that a torn write leaves the other one whole.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "bus/file_io.h"
#include "bus/ids.h"
#include "bus/sha256.h"

namespace millrace {

inline constexpr std::string_view kDurableMarkName = "DURABLE";

struct DurablePoint {
  uint64_t incarnation = 0;
  Position last;   // confirmed
  Position first;  // of the commit that ends there
  Sha256 link{};   // of that commit
};

// One thread.
class DurableMark {
 public:
  // Creates the file where it is missing.
  static Result<DurableMark> open(const std::filesystem::path& log_directory);

  // A failure is reported once to the program's own log: the note is a help, not a promise.
  void note(const DurablePoint& point);

 private:
  explicit DurableMark(File file) : file_(std::move(file)) {}

  File file_;
  uint64_t turn_ = 0;
  bool failed_ = false;
};

// The later of the file's places; nullopt when there is no file or neither place is whole.
std::optional<DurablePoint> read_durable_point(const std::filesystem::path& log_directory);

}  // namespace millrace
