// SPDX-License-Identifier: Apache-2.0
#include "gcode/inflate.h"

#include <zlib.h>

namespace millrace {

std::optional<std::string> inflated(std::string_view packed, size_t size) {
  std::string bytes(size, '\0');
  uLongf got = size;
  const int outcome = uncompress(reinterpret_cast<Bytef*>(bytes.data()), &got,
                                 reinterpret_cast<const Bytef*>(packed.data()), packed.size());
  if (outcome != Z_OK || got != size) return std::nullopt;
  return bytes;
}

}  // namespace millrace
