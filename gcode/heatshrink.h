// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace {

// What heatshrink's bits unpack to, most significant bit first: 1 and a byte, or 0, a distance less one in
// `window_bits` and a length less one in `lookahead_bits`.  Before the beginning are zeros.  nullopt when the bits end
// before `size` bytes are there.
std::optional<std::string> heatshrink_decoded(std::string_view packed, size_t size, unsigned window_bits,
                                              unsigned lookahead_bits);

}  // namespace millrace
