// SPDX-License-Identifier: Apache-2.0
#include "projections/view_batch.h"

namespace millrace {

std::optional<std::string> ViewBatch::get(std::string_view key) {
  if (const auto changed = changes_.find(key); changed != changes_.end()) return changed->second;
  auto stored = reader_.get(view_, key);
  if (stored) return std::move(*stored);
  fail(stored.error());
  return std::nullopt;
}

std::vector<std::string> ViewBatch::keys() {
  std::set<std::string> found;
  const auto scanned = reader_.scan(view_, KeyRange::all(), [&](std::string_view key, std::string_view) {
    found.emplace(key);
    return true;
  });
  if (!scanned) fail(scanned.error());
  for (const auto& [key, value] : changes_) {
    if (value) {
      found.insert(key);
    } else {
      found.erase(key);
    }
  }
  return {found.begin(), found.end()};
}

void ViewBatch::put(std::string_view key, std::string value) {
  changes_.insert_or_assign(std::string(key), std::move(value));
}

void ViewBatch::erase(std::string_view key) { changes_.insert_or_assign(std::string(key), std::nullopt); }

void ViewBatch::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

}  // namespace millrace
