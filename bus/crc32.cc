// SPDX-License-Identifier: Apache-2.0
#include "bus/crc32.h"

#include <zlib.h>

namespace millrace {

uint32_t crc32_of(std::string_view bytes, uint32_t before) {
  return static_cast<uint32_t>(crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace millrace
