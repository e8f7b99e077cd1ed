// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/protocol_errors.h"

#include "bus/logging.h"

namespace millrace {
namespace {

constexpr std::chrono::minutes kLogInterval{1};
constexpr size_t kMaxDetail = 200;

}  // namespace

ProtocolErrors::ProtocolErrors(std::string machine, const Clock& clock, Counter& counter)
    : machine_(std::move(machine)), clock_(clock), counter_(counter) {}

void ProtocolErrors::note(std::string_view kind, std::string_view detail) {
  counter_.add();
  if (on_error) on_error(kind, detail);
  const MonotonicTime now = clock_.monotonic();
  const auto [entry, is_new] = logged_at_.try_emplace(std::string(kind), now);
  if (!is_new && now - entry->second < kLogInterval) return;
  entry->second = now;
  log_warn("adapter", "{}: {}: {}", machine_, kind, detail.substr(0, kMaxDetail));
}

}  // namespace millrace
