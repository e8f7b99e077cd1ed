// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/socket_tokens.h"

#include <algorithm>

#include "bus/base64.h"

namespace millrace {
namespace {

constexpr size_t kTokenBytes = 32;

}  // namespace

std::string SocketTokens::make(const Caller& caller) {
  const MonotonicTime now = clock_.monotonic();
  std::erase_if(entries_, [&](const auto& entry) { return entry.second.until <= now; });
  if (entries_.size() >= kMost) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(),
                                    [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
  }
  std::string token = base64url(random_bytes(random_, kTokenBytes));
  entries_[token] = {caller, now + kLifetime};
  return token;
}

// The time that a look-up takes tells nothing that 256 random bits would not outlast within their 30 s.
std::optional<Caller> SocketTokens::use(std::string_view token) {
  const auto found = entries_.find(token);
  if (found == entries_.end()) return std::nullopt;
  Entry entry = std::move(found->second);
  entries_.erase(found);
  if (entry.until <= clock_.monotonic()) return std::nullopt;
  entry.caller.how = Caller::How::kToken;
  return std::move(entry.caller);
}

}  // namespace millrace
