// SPDX-License-Identifier: Apache-2.0
// What of the denials becomes an event: of each address and code the first few of a minute, and the rest as a number in
// the next one that is told.  However much is denied, the log grows by at most kMostPerMinute of them.  Loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "bus/clock.h"

namespace millrace {

class DenialRecord {
 public:
  static constexpr int kToldEach = 3;           // a minute, of one address and code
  static constexpr int kMostPerMinute = 60;     // of all
  static constexpr size_t kMaxEntries = 1'024;  // further addresses are counted together

  explicit DenialRecord(const Clock& clock) : clock_(clock) {}

  // How many denials the event stands for, itself included; nullopt: it is counted for later.
  std::optional<uint64_t> note(const std::string& address, const std::string& code);

 private:
  struct Entry {
    MonotonicTime minute{};
    int told = 0;
    uint64_t untold = 0;
  };

  bool told_too_many(MonotonicTime now);
  void make_room(MonotonicTime now);

  const Clock& clock_;
  std::map<std::pair<std::string, std::string>, Entry> entries_;
  MonotonicTime minute_{};
  int told_ = 0;
};

}  // namespace millrace
