// SPDX-License-Identifier: Apache-2.0
#include "safety/judgement.h"

namespace millrace {
namespace {

// At most kMaxDetailBytes, no character cut in two.
std::string shortened(std::string text) {
  if (text.size() <= kMaxDetailBytes) return text;
  constexpr std::string_view kMore = "...";
  size_t end = kMaxDetailBytes - kMore.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u) --end;
  text.resize(end);
  return text.append(kMore);
}

}  // namespace

std::string Reasons::place_of(const GcodeEffect& effect) {
  return effect.line == 0 ? std::string() : fmt::format("line {} ({}): ", effect.line, effect.command);
}

void Reasons::take_into(std::vector<Refusal>& refusals, std::string_view rule) {
  for (std::string& detail : details_) refusals.push_back({std::string(rule), shortened(std::move(detail))});
  if (count_ > details_.size()) {
    refusals.back().detail += fmt::format("; and {} more", count_ - details_.size());
  }
  details_.clear();
  count_ = 0;
}

}  // namespace millrace
