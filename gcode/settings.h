// SPDX-License-Identifier: Apache-2.0
// The settings that were read so far: bounded, and which of two values for the same key counts.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "gcode/metadata.h"

namespace millrace {

class GcodeSettings {
 public:
  // Where a value was found.  A value does not replace one of a higher rank; of the same rank the last one counts.
  enum Rank : uint8_t {
    kLoose,   // a comment that looks like a setting
    kHeader,  // the slicer's header, or what it counted
    kConfig,  // the slicer's own block of settings
  };

  explicit GcodeSettings(const GcodeLimits& limits) : limits_(limits) {}

  void set(std::string_view key, std::string_view value, Rank rank);
  // Adds `more` to the end of a value that is there.
  void append(std::string_view key, std::string_view more);

  // Counts one that is not kept.
  void leave_out() { ++left_out_; }

  bool has(std::string_view key) const { return values_.find(key) != values_.end(); }
  // The value; empty when there is none.
  std::string_view text(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;

  uint64_t left_out() const { return left_out_; }
  uint64_t cut() const { return cut_; }
  size_t size() const { return values_.size(); }

  // Moves all of them out.
  std::map<std::string, std::string, std::less<>> take();

 private:
  struct Value {
    std::string text;
    Rank rank;
  };

  GcodeLimits limits_;
  std::map<std::string, Value, std::less<>> values_;
  size_t bytes_ = 0;
  uint64_t left_out_ = 0;
  uint64_t cut_ = 0;
};

}  // namespace millrace
