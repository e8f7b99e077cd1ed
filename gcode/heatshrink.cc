// SPDX-License-Identifier: Apache-2.0
#include "gcode/heatshrink.h"

namespace millrace {
namespace {

class Bits {
 public:
  explicit Bits(std::string_view bytes) : bytes_(bytes) {}

  bool has(unsigned count) const { return bytes_.size() * 8 - at_ >= count; }

  // has(count) holds.
  size_t take(unsigned count) {
    size_t number = 0;
    for (; count != 0; --count, ++at_) {
      number = number << 1 | (static_cast<unsigned char>(bytes_[at_ / 8]) >> (7 - at_ % 8) & 1u);
    }
    return number;
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

}  // namespace

std::optional<std::string> heatshrink_decoded(std::string_view packed, size_t size, unsigned window_bits,
                                              unsigned lookahead_bits) {
  std::string out;
  out.reserve(size);
  Bits bits(packed);
  while (out.size() < size) {
    if (!bits.has(1)) return std::nullopt;
    if (bits.take(1) == 1) {
      if (!bits.has(8)) return std::nullopt;
      out += static_cast<char>(bits.take(8));
      continue;
    }
    if (!bits.has(window_bits + lookahead_bits)) return std::nullopt;
    const size_t distance = bits.take(window_bits) + 1;
    for (size_t length = bits.take(lookahead_bits) + 1; length != 0 && out.size() < size; --length) {
      out += distance <= out.size() ? out[out.size() - distance] : '\0';
    }
  }
  return out;
}

}  // namespace millrace
