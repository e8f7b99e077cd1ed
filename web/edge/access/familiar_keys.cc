// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/familiar_keys.h"

#include <algorithm>

#include "web/edge/access/address_block.h"

namespace millrace {

bool FamiliarKeys::note(std::string_view address, const ApiKey& key) {
  std::pair<std::string, std::string> name{block_of(address), key.id};
  if (!uses_.contains(name) && uses_.size() >= kMaxEntries) {
    uses_.erase(std::min_element(uses_.begin(), uses_.end(),
                                 [](const auto& a, const auto& b) { return a.second.last < b.second.last; }));
  }
  const auto [place, added] = uses_.try_emplace(std::move(name));
  Use& use = place->second;
  use.last = clock_.monotonic();
  return std::exchange(use.generation, key.generation) != key.generation || added;
}

bool FamiliarKeys::knows(std::string_view address, const ApiKey& key) const {
  const auto found = uses_.find({block_of(address), key.id});
  return found != uses_.end() && found->second.generation == key.generation;
}

}  // namespace millrace
