// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/denial_record.h"

namespace millrace {
namespace {

constexpr std::chrono::minutes kMinute{1};
constexpr std::chrono::hours kHour{1};

}  // namespace

bool DenialRecord::told_too_many(MonotonicTime now) {
  if (now - minute_ >= kMinute) {
    minute_ = now;
    told_ = 0;
  }
  return told_ >= kMostPerMinute;
}

// What is quiet and has nothing to tell is forgotten, and after an hour what it never came to tell: the metric has it.
void DenialRecord::make_room(MonotonicTime now) {
  if (entries_.size() < kMaxEntries) return;
  std::erase_if(entries_, [&](const auto& entry) {
    const auto quiet = now - entry.second.minute;
    return quiet >= kHour || (quiet >= kMinute && entry.second.untold == 0);
  });
}

std::optional<uint64_t> DenialRecord::note(const std::string& address, const std::string& code) {
  const MonotonicTime now = clock_.monotonic();
  make_room(now);
  std::pair<std::string, std::string> name{address, code};
  if (!entries_.contains(name) && entries_.size() >= kMaxEntries) name = {"", code};
  const auto [place, added] = entries_.try_emplace(name);
  Entry& entry = place->second;
  if (added || now - entry.minute >= kMinute) {
    entry.minute = now;
    entry.told = 0;
  }
  if (entry.told >= kToldEach || told_too_many(now)) {
    ++entry.untold;
    return std::nullopt;
  }
  ++entry.told;
  ++told_;
  return std::exchange(entry.untold, 0) + 1;
}

}  // namespace millrace
