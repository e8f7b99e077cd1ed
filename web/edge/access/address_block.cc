// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/address_block.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

namespace millrace {
namespace {

constexpr int kMostDoublings = 20;

}  // namespace

std::string block_of(std::string_view address) {
  std::string text(address);
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  text = text.substr(0, text.find('%'));
  in6_addr bytes{};
  if (::inet_pton(AF_INET6, text.c_str(), &bytes) != 1) return text;
  const auto* octets = bytes.s6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&bytes)) {
    return fmt::format("{}.{}.{}.{}", octets[12], octets[13], octets[14], octets[15]);
  }
  if (IN6_IS_ADDR_LOOPBACK(&bytes)) return "::1";
  const auto group = [&](int i) { return static_cast<unsigned>(octets[2 * i] << 8 | octets[2 * i + 1]); };
  return fmt::format("{:x}:{:x}:{:x}:{:x}::/64", group(0), group(1), group(2), group(3));
}

std::chrono::seconds AddressBlock::blocked_for(std::string_view address) const {
  const auto found = entries_.find(block_of(address));
  if (found == entries_.end() || found->second.until <= clock_.monotonic()) return std::chrono::seconds(0);
  return std::chrono::ceil<std::chrono::seconds>(found->second.until - clock_.monotonic());
}

void AddressBlock::failed(std::string_view address) {
  const std::string name = block_of(address);
  const MonotonicTime now = clock_.monotonic();
  if (!entries_.contains(name) && entries_.size() >= options_.max_addresses) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return a.second.failed_at < b.second.failed_at;
    }));
  }
  Entry& entry = entries_[name];
  if (entry.failures > 0 && now - std::max(entry.failed_at, entry.until) > options_.forget_after) entry = {};
  ++entry.failures;
  entry.failed_at = now;
  const int beyond = entry.failures - options_.free_failures;
  if (beyond <= 0) return;
  const auto delay = options_.first_delay * (int64_t{1} << std::min(beyond - 1, kMostDoublings));
  entry.until = now + std::min(delay, options_.longest);
}

void AddressBlock::succeeded(std::string_view address) {
  const auto found = entries_.find(block_of(address));
  if (found != entries_.end()) entries_.erase(found);
}

}  // namespace millrace
