// SPDX-License-Identifier: Apache-2.0
// Tokens that open one WebSocket each, for clients that can set neither a header nor a cookie there.  A token may end
// up in somebody's log of URLs, so it is good once and for a short time.  Loop's thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "bus/random.h"
#include "web/edge/access/caller.h"

namespace millrace {

class SocketTokens {
 public:
  static constexpr std::chrono::seconds kLifetime{30};
  static constexpr size_t kMost = 1'024;  // not used yet; the oldest goes first

  SocketTokens(const Clock& clock, Random& random) : clock_(clock), random_(random) {}

  std::string make(const Caller& caller);
  // Whom it was made for; nullopt when it is none, was used, or is too old.
  std::optional<Caller> use(std::string_view token);

 private:
  struct Entry {
    Caller caller;
    MonotonicTime until{};
  };

  const Clock& clock_;
  Random& random_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace millrace
