// SPDX-License-Identifier: Apache-2.0
#include "gcode/settings.h"

#include "gcode/text_values.h"

namespace millrace {

void GcodeSettings::set(std::string_view key, std::string_view value, Rank rank) {
  if (value.size() > limits_.max_value_bytes) {
    value = value.substr(0, limits_.max_value_bytes);
    ++cut_;
  }
  const auto there = values_.find(key);
  const size_t before = there == values_.end() ? 0 : there->second.text.size();
  const size_t added = value.size() + (there == values_.end() ? key.size() : 0);
  if ((there == values_.end() && values_.size() >= limits_.max_settings) ||
      bytes_ - before + added > limits_.max_settings_bytes) {
    ++left_out_;
    return;
  }
  if (there == values_.end()) {
    values_.emplace(key, Value{std::string(value), rank});
  } else if (there->second.rank <= rank) {
    there->second = {std::string(value), rank};
  } else {
    return;
  }
  bytes_ += added - before;
}

void GcodeSettings::append(std::string_view key, std::string_view more) {
  const auto there = values_.find(key);
  if (there == values_.end()) return;
  if (there->second.text.size() + more.size() > limits_.max_value_bytes ||
      bytes_ + more.size() > limits_.max_settings_bytes) {
    ++cut_;
    return;
  }
  there->second.text += more;
  bytes_ += more.size();
}

std::string_view GcodeSettings::text(std::string_view key) const {
  const auto there = values_.find(key);
  return there == values_.end() ? std::string_view() : std::string_view(there->second.text);
}

std::optional<double> GcodeSettings::number(std::string_view key) const { return leading_number(text(key)); }

std::map<std::string, std::string, std::less<>> GcodeSettings::take() {
  std::map<std::string, std::string, std::less<>> taken;
  for (auto& [key, value] : values_) taken.emplace_hint(taken.end(), key, std::move(value.text));
  values_.clear();
  return taken;
}

}  // namespace millrace
