// SPDX-License-Identifier: Apache-2.0
// Text as it is searched: words of letters and digits, lower case, without accents.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace {

// Lower case for Latin, Greek and Cyrillic; Latin letters without their accents (a combining accent goes too), "ss" for
// a sharp s and the like.  Bytes that are not UTF-8 are taken as they are.
std::string folded(std::string_view text);

// The words of `text`, folded, each once, ascending.  What is neither letter nor digit separates them; of scripts
// without blanks every character is a word.
//   "Würfel_0.2mm.gcode" -> "0", "2mm", "gcode", "wurfel"
std::vector<std::string> words_of(std::string_view text);

}  // namespace millrace
