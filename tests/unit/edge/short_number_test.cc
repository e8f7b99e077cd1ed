// SPDX-License-Identifier: Apache-2.0
#include "web/edge/short_number.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>

namespace millrace {
namespace {

std::string text_of(double value) {
  std::array<char, kShortNumberOverwritten> out;
  return {out.data(), write_short_number(out.data(), value)};
}

TEST(ShortNumber, IsTheShortestTextToSevenDigits) {
  EXPECT_EQ(text_of(0), "0");
  EXPECT_EQ(text_of(215), "215");
  EXPECT_EQ(text_of(-19.5), "-19.5");
  EXPECT_EQ(text_of(100), "100");
  EXPECT_EQ(text_of(1005), "1005");
  EXPECT_EQ(text_of(204.30000000000001), "204.3");
  EXPECT_EQ(text_of(0.05), "0.05");
  EXPECT_EQ(text_of(0.1234567891), "0.1234568");
  EXPECT_EQ(text_of(-0.000001234567), "-0.000001234567");
  EXPECT_EQ(text_of(9.99999996), "10");
  EXPECT_EQ(text_of(999'999.96), "1000000");
  EXPECT_EQ(text_of(12'345'678), "1.234568e+07");
  EXPECT_EQ(text_of(0.099999999), "0.1");
  EXPECT_EQ(text_of(0.99999999), "1");
  EXPECT_EQ(text_of(0.00005), "0.00005");
  EXPECT_EQ(text_of(1e-13), "0");
  EXPECT_EQ(text_of(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(ShortNumber, OfAnySizeReadsBackToSevenDigits) {
  std::mt19937_64 random(20261122);
  std::uniform_real_distribution<double> exponent(-5, 18);
  for (int i = 0; i < 200'000; ++i) {
    const double value = std::pow(10, exponent(random)) * (i % 2 == 0 ? 1 : -1);
    const std::string text = text_of(value);
    ASSERT_NEAR(std::stod(text), value, std::abs(value) * 5.1e-7) << text;
    ASSERT_LE(text.size(), kMaxShortNumberBytes) << text;
    ASSERT_FALSE(text.find('.') != std::string::npos && text.find('e') == std::string::npos && text.back() == '0')
        << text;
  }
}

}  // namespace
}  // namespace millrace
