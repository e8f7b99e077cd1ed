// SPDX-License-Identifier: Apache-2.0
#include "web/edge/short_number.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace millrace {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr int kMostDecimals = 12;
constexpr std::array<double, kMostDecimals + 1> kPowers = {1,   1e1, 1e2, 1e3,  1e4,  1e5, 1e6,
                                                           1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

// The 8 digits of a number below 10^8, the first one in the lowest byte: halves, then pairs, then digits are parted,
// all of them at once.  Products with 10486 / 2^20 and 103 / 2^10 are exact quotients by 100 (below 10,000) and 10
// (below 100).
uint64_t digits_of(uint32_t number) {
  uint64_t parts = number / 10'000 | static_cast<uint64_t>(number % 10'000) << 32;
  const uint64_t hundreds = (parts * 10'486 >> 20) & 0x0000'007F'0000'007F;
  parts = hundreds | (parts - hundreds * 100) << 16;
  const uint64_t tens = (parts * 103 >> 10) & 0x000F'000F'000F'000F;
  return tens | (parts - tens * 10) << 8;
}

constexpr int kDigits = 8;
constexpr uint64_t kAsciiZeros = 0x3030'3030'3030'3030;

}  // namespace

char* write_short_number(char* at, double value) {
  if (std::isnan(value)) return fmt::format_to(at, "null");
  if (value < 0) {
    *at++ = '-';
    value = -value;
  }
  if (value >= 1e7) return fmt::format_to(at, "{:.7g}", value);
  int decimals = 6;
  for (double limit = 10; decimals > 0 && value >= limit; limit *= 10) --decimals;
  if (decimals == 6) {
    for (double limit = 1; decimals < kMostDecimals && value < limit; limit /= 10) ++decimals;
  }
  const uint64_t digits = digits_of(static_cast<uint32_t>(value * kPowers[static_cast<size_t>(decimals)] + 0.5));
  const uint64_t text = digits | kAsciiZeros;
  const int zeros_at_the_end = std::countl_zero(digits) / 8;
  if (decimals >= kDigits) {
    // All digits are behind the point, and zeros before them.
    *at++ = '0';
    if (digits == 0) return at;
    *at++ = '.';
    for (int i = kDigits; i < decimals; ++i) *at++ = '0';
    std::memcpy(at, &text, sizeof text);
    return at + kDigits - zeros_at_the_end;
  }
  const int before_point = kDigits - decimals;
  const int skipped = std::min(std::countr_zero(digits) / 8, before_point - 1);
  const uint64_t whole = text >> 8 * skipped;
  std::memcpy(at, &whole, sizeof whole);
  at += before_point - skipped;
  if (zeros_at_the_end >= decimals) return at;
  *at++ = '.';
  const uint64_t rest = text >> 8 * before_point;
  std::memcpy(at, &rest, sizeof rest);
  return at + decimals - zeros_at_the_end;
}

}  // namespace millrace
