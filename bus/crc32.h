// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// CRC-32 (IEEE 802.3); `before` is that of the bytes in front of these.
uint32_t crc32_of(std::string_view bytes, uint32_t before = 0);

}  // namespace millrace
