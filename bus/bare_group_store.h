// SPDX-License-Identifier: Apache-2.0
// What the log would be without what makes it one: groups compressed and synced into the same store and handed on, and
// no chain, no index, no producers' marks.  The benchmark of appends measures their cost against it; nothing can be
// read back.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "bus/clock.h"
#include "bus/envelope.h"
#include "bus/result.h"

namespace millrace {

class BareGroupStore {
 public:
  virtual ~BareGroupStore() = default;
  // Durable when it returns.
  virtual Result<void> append(std::span<const Envelope> envelopes, WallTime recorded_at) = 0;
};

// A new one, with the log's own options.
Result<std::unique_ptr<BareGroupStore>> make_bare_group_store(const std::filesystem::path& directory);

}  // namespace millrace
