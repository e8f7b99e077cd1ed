// SPDX-License-Identifier: Apache-2.0
#include "bus/hash_chain.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "bus/crc32.h"
#include "bus/random.h"

namespace millrace {
namespace {

std::string hex(const Sha256& hash) { return fmt::format("{:02x}", fmt::join(hash, "")); }

// The examples of FIPS 180-2, and the empty text.
TEST(Sha256, GivesThePublishedDigests) {
  Sha256Digester digester;
  EXPECT_EQ(hex(digester.digest("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(digester.digest("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(digester.digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(digester.digest(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Crc32, GivesThePublishedCheckValue) {
  EXPECT_EQ(crc32_of("123456789"), 0xCBF43926u);
  EXPECT_EQ(crc32_of(""), 0u);
}

TEST(HashChain, LinkIsTheDigestOfItsParts) {
  Sha256Digester digester;
  const Sha256 previous = digester.digest("previous"), facts = digester.digest("facts");
  const ChainLink link = next_link(previous, 0x0102030405060708, 3, facts, {}, digester);
  std::string input(reinterpret_cast<const char*>(previous.data()), 32);
  input += std::string("\x01\x02\x03\x04\x05\x06\x07\x08\0\0\0\0\0\0\0\x03", 16);
  input.append(reinterpret_cast<const char*>(facts.data()), 32).append(32, '\0');
  EXPECT_EQ(link.link, digester.digest(input));
}

TEST(HashChain, EveryPartMatters) {
  Sha256Digester digester;
  const Sha256 a = digester.digest("a"), b = digester.digest("b");
  const Sha256 link = next_link(a, 1, 2, a, a, digester).link;
  EXPECT_NE(next_link(b, 1, 2, a, a, digester).link, link);
  EXPECT_NE(next_link(a, 2, 2, a, a, digester).link, link);
  EXPECT_NE(next_link(a, 1, 3, a, a, digester).link, link);
  EXPECT_NE(next_link(a, 1, 2, b, a, digester).link, link);
  EXPECT_NE(next_link(a, 1, 2, a, b, digester).link, link);
}

TEST(HashChain, LinkComesBackAsItWent) {
  Sha256Digester digester;
  const Sha256 facts = digester.digest("f"), samples = digester.digest("t");
  const ChainLink link = next_link({}, std::numeric_limits<uint64_t>::max() - 1, 4096, facts, samples, digester);
  ChainLink read;
  ASSERT_TRUE(decode_link(encode_link(link), read));
  EXPECT_EQ(read.first, link.first);
  EXPECT_EQ(read.count, link.count);
  EXPECT_EQ(read.facts, facts);
  EXPECT_EQ(read.telemetry, samples);
  EXPECT_EQ(read.link, link.link);
}

TEST(HashChain, OtherLengthsAreNoLink) {
  const std::string good = encode_link({});
  ChainLink read;
  EXPECT_FALSE(decode_link("", read));
  EXPECT_FALSE(decode_link(good + "x", read));
  EXPECT_FALSE(decode_link(std::string_view(good).substr(1), read));
}

// The first numbers for seed 1234567 as published with the algorithm's reference code.
TEST(SeededRandom, GivesThePublishedNumbers) {
  SeededRandom random(1234567);
  EXPECT_EQ(random.next(), 6457827717110365317u);
  EXPECT_EQ(random.next(), 3203168211198807973u);
  for (int i = 0; i < 1000; ++i) {
    const double number = random.between(2, 3);
    ASSERT_TRUE(number >= 2 && number < 3);
  }
}

}  // namespace
}  // namespace millrace
