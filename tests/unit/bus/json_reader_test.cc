// SPDX-License-Identifier: Apache-2.0
#include "bus/json_reader.h"

#include <gtest/gtest.h>

#include <limits>

namespace millrace {
namespace {

class JsonReaderTest : public ::testing::Test {
 protected:
  Json read(std::string_view text) { return reader_.parse(text).value(); }

  JsonReader reader_;
};

TEST_F(JsonReaderTest, MembersHaveTheirTypes) {
  const Json json = read(R"({"text":"a","number":1.5,"integer":7,"flag":true})");
  EXPECT_EQ(text_member(json, "text"), "a");
  EXPECT_EQ(number_member(json, "number"), 1.5);
  EXPECT_EQ(integer_member(json, "integer"), 7);
  EXPECT_EQ(flag_member(json, "flag"), true);
}

TEST_F(JsonReaderTest, OtherTypesAreNotGuessed) {
  const Json json = read(R"({"text":"7","number":1.5,"flag":true,"list":[1],"null":null})");
  EXPECT_EQ(number_member(json, "text"), std::nullopt);
  EXPECT_EQ(integer_member(json, "text"), std::nullopt);
  EXPECT_EQ(integer_member(json, "number"), std::nullopt);
  EXPECT_EQ(text_member(json, "number"), std::nullopt);
  EXPECT_EQ(number_member(json, "flag"), std::nullopt);
  EXPECT_EQ(flag_member(json, "text"), std::nullopt);
  EXPECT_EQ(text_member(json, "list"), std::nullopt);
  EXPECT_EQ(number_member(json, "missing"), std::nullopt);
}

TEST_F(JsonReaderTest, NullIsAbsent) {
  EXPECT_FALSE(member(read(R"({"a":null})"), "a"));
  EXPECT_TRUE(member(read(R"({"a":0})"), "a"));
}

TEST_F(JsonReaderTest, OnlyObjectsHaveMembers) {
  for (const char* text : {"[]", "7", "\"a\"", "null", "true"}) EXPECT_FALSE(member(read(text), "a")) << text;
}

TEST_F(JsonReaderTest, IntegersReadAsNumbersAndBack) {
  EXPECT_EQ(as_number(read("7")), 7.0);
  EXPECT_EQ(as_integer(read("7.0")), 7);
  EXPECT_EQ(as_integer(read("-1e3")), -1000);
  EXPECT_EQ(as_integer(read("9007199254740992.0")), int64_t{1} << 53);
}

TEST_F(JsonReaderTest, BigNumbersAreReadOrRefusedButNeverWrong) {
  EXPECT_EQ(as_integer(read("9223372036854775807")), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(as_integer(read("-9223372036854775808")), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(as_integer(read("18446744073709551615")), std::nullopt);
  EXPECT_EQ(as_number(read("18446744073709551615")), 18446744073709551615.0);
  EXPECT_EQ(as_integer(read("1e300")), std::nullopt);
  EXPECT_EQ(as_integer(read("9007199254740994.0")), std::nullopt);  // a double beyond 2^53 may stand for another
  EXPECT_EQ(reader_.parse("1e999").error().code, Errc::kMalformed);
}

TEST_F(JsonReaderTest, LongTextIsTooLarge) {
  JsonReader small(10, 4);
  EXPECT_TRUE(small.parse("[1,2,3,45]"));
  EXPECT_EQ(small.parse("[1,2,3,456]").error().code, Errc::kTooLarge);
}

TEST_F(JsonReaderTest, DeepNestingIsMalformed) {
  JsonReader shallow(1000, 4);
  EXPECT_TRUE(shallow.parse("[[[1]]]"));
  EXPECT_EQ(shallow.parse("[[[[[[1]]]]]]").error().code, Errc::kMalformed);
  EXPECT_TRUE(shallow.parse("[[[1]]]"));  // and the reader can be used again
  EXPECT_EQ(reader_.parse(std::string(100'000, '[')).error().code, Errc::kMalformed);
}

TEST_F(JsonReaderTest, TextThatIsNoJsonIsMalformed) {
  for (const char* text : {"", " ", "{", "}", "{\"a\"}", "[1,]", "nul", "'a'", "{\"a\":1}x", "\"\xff\"", "NaN", "01",
                           "\"\x01\"", "\"\\ud800\""}) {
    const auto parsed = reader_.parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Errc::kMalformed) << text;
  }
}

TEST_F(JsonReaderTest, NoTextAtAllIsMalformed) {
  EXPECT_EQ(reader_.parse(std::string_view()).error().code, Errc::kMalformed);
}

TEST_F(JsonReaderTest, ValuesAreWrittenBackCompactly) {
  EXPECT_EQ(to_text(read(R"( { "a" : [ 1 , "x\n" , null , 0.5 ] } )")), R"({"a":[1,"x\n",null,0.5]})");
}

}  // namespace
}  // namespace millrace
