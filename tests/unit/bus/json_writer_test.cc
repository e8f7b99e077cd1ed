// SPDX-License-Identifier: Apache-2.0
#include "bus/json_writer.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "bus/random.h"

namespace millrace {
namespace {

using Parsed = nlohmann::json;

template <class T>
std::string written(const T& value) {
  JsonWriter json;
  json.value(value);
  return json.take();
}

std::string read_back(std::string_view text) { return Parsed::parse(written(text)).get<std::string>(); }

TEST(JsonWriter, WritesWhatTheHeaderShows) {
  JsonWriter json;
  json.object().key("id").value("voron-2").key("progress").value(0.5).end();
  EXPECT_EQ(json.text(), R"({"id":"voron-2","progress":0.5})");
}

TEST(JsonWriter, NestsObjectsAndArrays) {
  JsonWriter json;
  json.object()
      .field("a", 1)
      .key("b")
      .array()
      .value(true)
      .null()
      .object()
      .end()
      .array()
      .end()
      .end()
      .field("c", "x")
      .end();
  EXPECT_EQ(json.text(), R"({"a":1,"b":[true,null,{},[]],"c":"x"})");
}

TEST(JsonWriter, DeepNestingIsClosedInOrder) {
  JsonWriter json;
  for (int i = 0; i < 200; ++i) json.object().key("k").array();
  for (int i = 0; i < 400; ++i) json.end();
  EXPECT_TRUE(Parsed::accept(json.text()));
}

TEST(JsonWriter, RawJsonAndOptionalsTakeTheirPlace) {
  JsonWriter json;
  json.array().raw(R"({"x":1})").value(std::optional<double>{}).value(std::optional<int64_t>{7}).end();
  EXPECT_EQ(json.text(), R"([{"x":1},null,7])");
}

TEST(JsonWriter, EscapesWhatJsonForbids) {
  EXPECT_EQ(written("\"\\\n\r\t"), R"("\"\\\n\r\t")");
  EXPECT_EQ(written(std::string("\0\x1f\b", 3)), R"("\u0000\u001f\u0008")");
  JsonWriter json;
  json.object().field("a\"b", 1).end();
  EXPECT_EQ(json.text(), R"({"a\"b":1})");
}

TEST(JsonWriter, EveryByteMakesValidJson) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = {'a', static_cast<char>(byte), 'b'};
    ASSERT_TRUE(Parsed::accept(written(text))) << byte;
    EXPECT_EQ(read_back(text) == text, byte < 128) << byte;
  }
}

TEST(JsonWriter, KeepsWellFormedUtf8) {
  for (const char* text : {"\u00e4", "\u20ac", "\U0001F5A8", "\uFFFD", "\u07ff\u0800\uffff\U0010FFFF"}) {
    EXPECT_EQ(read_back(text), text);
  }
}

TEST(JsonWriter, ReplacesBytesThatAreNoUtf8) {
  constexpr const char* kReplacement = "\xEF\xBF\xBD";
  EXPECT_EQ(read_back("a\xff"
                      "b"),
            std::string("a") + kReplacement + "b");
  EXPECT_EQ(read_back("\xc3"), kReplacement);                                  // cut short
  EXPECT_EQ(read_back("\xc0\xaf"), std::string(kReplacement) + kReplacement);  // an overlong slash
  // A surrogate, and a code point above the last: no sequence of theirs is well-formed.
  for (const char* bad : {"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf5\x80\x80\x80"}) {
    EXPECT_TRUE(read_back(bad).starts_with(kReplacement)) << bad;
  }
}

TEST(JsonWriter, RandomBytesMakeValidJson) {
  SeededRandom random(11);
  for (int i = 0; i < 2000; ++i) {
    std::string text(random.next() % 24, '\0');
    for (char& c : text) c = static_cast<char>(random.next());
    ASSERT_TRUE(Parsed::accept(written(text))) << i;
  }
}

TEST(JsonWriter, NumbersThatAreNoneBecomeNull) {
  EXPECT_EQ(written(std::nan("")), "null");
  EXPECT_EQ(written(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(written(-std::numeric_limits<double>::infinity()), "null");
}

TEST(JsonWriter, DoublesReadBackExactly) {
  SeededRandom random(12);
  for (int i = 0; i < 5000; ++i) {
    const double number = std::bit_cast<double>(random.next());
    if (!std::isfinite(number)) continue;
    ASSERT_EQ(Parsed::parse(written(number)).get<double>(), number) << i;
  }
  for (double number : {0.1, 1.0, -0.0, 1e300, 5e-324, std::numeric_limits<double>::max(), 1.0 / 3}) {
    EXPECT_EQ(Parsed::parse(written(number)).get<double>(), number);
  }
}

TEST(JsonWriter, IntegersReadBackExactly) {
  EXPECT_EQ(written(std::numeric_limits<int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(written(std::numeric_limits<uint64_t>::max()), "18446744073709551615");
}

TEST(JsonWriterDeathTest, MisuseAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(JsonWriter().object().value(1), "key is due");
  EXPECT_DEATH(JsonWriter().array().key("a"), "outside an object");
  EXPECT_DEATH(JsonWriter().end(), "without an open");
  EXPECT_DEATH(JsonWriter().value(1).value(2), "second value");
}

}  // namespace
}  // namespace millrace
