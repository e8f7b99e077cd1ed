// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/python_numbers.h"

#include <algorithm>
#include <array>

namespace millrace {

std::string with_numbers_as_json_has_them(std::string_view text) {
  static constexpr std::array<std::string_view, 3> kWords = {"NaN", "-Infinity", "Infinity"};
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out.append(text.substr(i, 2));
      i += 2;
      continue;
    }
    if (c == '"') in_string = !in_string;
    const auto* word = in_string ? kWords.end() : std::find_if(kWords.begin(), kWords.end(), [&](std::string_view w) {
      return text.substr(i).starts_with(w);
    });
    if (word == kWords.end()) {
      out += c;
      ++i;
    } else {
      out.append("\"").append(*word).append("\"");
      i += word->size();
    }
  }
  return out;
}

}  // namespace millrace
