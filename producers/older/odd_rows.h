// SPDX-License-Identifier: Apache-2.0
// What cannot be taken of an older database, told one by one as far as that helps, and counted.  One thread.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace millrace {

class OddRows {
 public:
  static constexpr uint64_t kMaxTold = 20;
  static constexpr size_t kShownBytes = 200;  // of a value

  explicit OddRows(std::function<void(const std::string&)> tell) : tell_(std::move(tell)) {}

  // A value that is not taken; the rest of its row is.
  void value(std::string_view table, int64_t id, std::string_view column, std::string_view value,
             std::string_view why) {
    ++values_;
    tell(fmt::format("{} {}: {} '{}' {}", table, id, column, value.substr(0, kShownBytes), why));
  }
  // A row that is not taken.
  void row(std::string_view table, int64_t id, std::string_view why) {
    ++rows_;
    tell(fmt::format("{} {} is left out: {}", table, id, why));
  }
  uint64_t values() const { return values_; }
  uint64_t rows() const { return rows_; }

 private:
  void tell(const std::string& what) {
    if (told_ > kMaxTold) return;
    tell_(told_++ < kMaxTold ? what : "further odd rows and values are only counted");
  }

  std::function<void(const std::string&)> tell_;
  uint64_t told_ = 0;
  uint64_t values_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace millrace
