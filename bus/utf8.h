// SPDX-License-Identifier: Apache-2.0
// Text from outside that is to be UTF-8.  Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

// Length of the well-formed UTF-8 sequence at the front of `text`, which is not empty; 0 when it is not one (Unicode
// 15, table 3-7).
size_t utf8_length(std::string_view text);

// `text` with U+FFFD in place of each byte that is no UTF-8, and of each NUL.
std::string readable_text(std::string_view text);

}  // namespace millrace
