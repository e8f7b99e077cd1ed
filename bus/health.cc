// SPDX-License-Identifier: Apache-2.0
#include "bus/health.h"

#include <algorithm>

namespace millrace {

void Health::set(const std::string& part, bool ready, std::string text) {
  std::lock_guard lock(mutex_);
  parts_[part] = PartHealth{ready, std::move(text)};
}

std::map<std::string, PartHealth> Health::parts() const {
  std::lock_guard lock(mutex_);
  return parts_;
}

bool Health::ready() const {
  std::lock_guard lock(mutex_);
  return std::all_of(parts_.begin(), parts_.end(), [](const auto& part) { return part.second.ready; });
}

}  // namespace millrace
