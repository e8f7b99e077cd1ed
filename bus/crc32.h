// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

namespace millrace {

// CRC-32 (IEEE 802.3).
uint32_t crc32_of(std::string_view bytes);

}  // namespace millrace
