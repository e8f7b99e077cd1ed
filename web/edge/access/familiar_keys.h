// SPDX-License-Identifier: Apache-2.0
// Which keys were let in from which address since the start: they go on while others guess from there.  An address
// counts as in AddressBlock.  Loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "bus/api_keys.h"
#include "bus/clock.h"

namespace millrace {

class FamiliarKeys {
 public:
  static constexpr size_t kMaxEntries = 4'096;  // the one that was used longest ago goes first

  explicit FamiliarKeys(const Clock& clock) : clock_(clock) {}

  // The key was let in from there.  True: for the first time since it was made or rotated.
  bool note(std::string_view address, const ApiKey& key);
  bool knows(std::string_view address, const ApiKey& key) const;

 private:
  struct Use {
    uint64_t generation = 0;  // of the key: a rotated one is another
    MonotonicTime last{};
  };

  const Clock& clock_;
  std::map<std::pair<std::string, std::string>, Use> uses_;  // by address and key
};

}  // namespace millrace
