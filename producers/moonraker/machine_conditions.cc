// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/machine_conditions.h"

#include <algorithm>
#include <array>

namespace millrace {
namespace {

constexpr size_t kMaxText = 1024;

// These last until something rules them out: silence says nothing about them.
constexpr std::array<std::string_view, 4> kUntilGone = {"unauthorised", "forbidden", "tls_failed",
                                                        "history_unreadable"};

bool ends_by_itself(std::string_view condition) { return std::ranges::find(kUntilGone, condition) == kUntilGone.end(); }

}  // namespace

MachineConditions::MachineConditions(const Clock& clock, EventBatch& out, std::set<std::string>& told)
    : clock_(clock), out_(out), told_(told) {
  for (const std::string& condition : told_) {
    Active active{clock_.monotonic() - kAtLeast, std::nullopt};
    if (ends_by_itself(condition)) active.end = clock_.monotonic() + kQuiet;
    active_[condition] = active;
  }
}

void MachineConditions::seen(std::string_view condition, std::string_view text) {
  const MonotonicTime now = clock_.monotonic();
  const auto end = ends_by_itself(condition) ? std::optional(now + kQuiet) : std::nullopt;
  const auto [entry, is_new] = active_.try_emplace(std::string(condition), Active{now, end});
  entry->second.end = end;
  if (is_new) tell(condition, true, text);
}

void MachineConditions::gone(std::string_view condition) {
  const auto found = active_.find(condition);
  if (found == active_.end()) return;
  const MonotonicTime end = std::max<MonotonicTime>(clock_.monotonic(), found->second.begun + kAtLeast);
  if (!found->second.end || *found->second.end > end) found->second.end = end;
  on_timer();
}

void MachineConditions::end_all() {
  for (const auto& [condition, active] : std::exchange(active_, {})) tell(condition, false, "");
}

std::optional<MonotonicTime> MachineConditions::next_deadline() const {
  std::optional<MonotonicTime> next;
  for (const auto& [condition, active] : active_) {
    if (active.end && (!next || *active.end < *next)) next = active.end;
  }
  return next;
}

void MachineConditions::on_timer() {
  const MonotonicTime now = clock_.monotonic();
  for (auto entry = active_.begin(); entry != active_.end();) {
    if (!entry->second.end || *entry->second.end > now) {
      ++entry;
      continue;
    }
    tell(entry->first, false, "");
    entry = active_.erase(entry);
  }
}

void MachineConditions::tell(std::string_view condition, bool active, std::string_view text) {
  schema::MachineConditionChangedT changed;
  changed.condition = condition;
  changed.active = active;
  changed.text = text.substr(0, kMaxText);
  out_.add(std::move(changed));
  active ? (void)told_.emplace(condition) : (void)told_.erase(std::string(condition));
}

}  // namespace millrace
