// SPDX-License-Identifier: Apache-2.0
// Numbers as Python writes them into what should be JSON.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

// JSON has no NaN and no infinity, and Python's writer writes them all the same.  Makes them texts, so that the rest
// can be read and the number is seen to be none.
std::string with_numbers_as_json_has_them(std::string_view text);

}  // namespace millrace
