// SPDX-License-Identifier: Apache-2.0
// Numbers as short JSON text, for answers that hold millions of them: a general conversion takes several times as long.
#pragma once

#include <cstddef>

namespace millrace {

constexpr size_t kMaxShortNumberBytes = 15;     // "-0.000001234567"
constexpr size_t kShortNumberOverwritten = 32;  // what write_short_number() may touch

// Writes the value to 7 significant digits, at most 12 of them behind the point and no zeros at the end; NaN as null.
// Returns the end of the text; the bytes behind it, up to kShortNumberOverwritten from `at`, hold garbage.  Infinity is
// not expected.
char* write_short_number(char* at, double value);

}  // namespace millrace
