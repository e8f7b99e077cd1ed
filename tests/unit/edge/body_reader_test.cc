// SPDX-License-Identifier: Apache-2.0
#include "web/edge/body_reader.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

HttpRequest with_body(std::string body, std::string type = "application/json; charset=utf-8") {
  HttpRequest request;
  request.headers = {{"content-type", std::move(type)}};
  request.body = std::move(body);
  return request;
}

std::string code_of(std::optional<HttpResponse> problem) {
  if (!problem) return "none";
  const size_t at = problem->body.find("\"code\":\"") + 8;
  return problem->body.substr(at, problem->body.find('"', at) - at);
}

std::string detail_of(std::optional<HttpResponse> problem) { return problem ? problem->body : ""; }

TEST(BodyReaderTest, ReadsEachKindOfField) {
  BodyReader body(with_body(R"({"a":"ü","b":1.5,"c":7,"d":true,"e":"2026-11-21T03:14:00Z","f":"good","g":["x","y"],)"
                            R"("h":{"k":[1]},"i":null})"));
  EXPECT_EQ(body.text("a"), "ü");
  EXPECT_EQ(body.number("b", 0, 2), 1.5);
  EXPECT_EQ(body.integer("c", 0, 7), 7);
  EXPECT_EQ(body.flag("d"), true);
  EXPECT_EQ(to_rfc3339(*body.time("e")).substr(0, 16), "2026-11-21T03:14");
  EXPECT_EQ(body.word("f", {"good", "scrap"}), "good");
  EXPECT_EQ(body.texts("g", 2), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(body.json("h", 100), R"({"k":[1]})");
  EXPECT_TRUE(body.is_null("i"));
  EXPECT_FALSE(body.has("j"));
  EXPECT_FALSE(body.problem()) << "nothing is wrong";
}

TEST(BodyReaderTest, AWrongValueIsNamedWithWhatWouldBeRight) {
  BodyReader body(with_body(R"({"layer":999})"));
  EXPECT_EQ(body.integer("layer", 0, 100), std::nullopt);
  const std::string detail = detail_of(body.problem());
  for (const char* part : {"invalid_field", "layer", "999", "from 0 to 100"}) {
    EXPECT_NE(detail.find(part), std::string::npos) << part << " in " << detail;
  }
}

TEST(BodyReaderTest, AFieldThatNobodyAskedForIsRefused) {
  BodyReader body(with_body(R"({"title":"x","tilte":"y"})"));
  body.text("title");
  EXPECT_NE(detail_of(body.problem()).find("'tilte': is not known here, expected title"), std::string::npos);
}

TEST(BodyReaderTest, TextHasRules) {
  const auto refused = [](const std::string& value, TextRule rule) {
    BodyReader body(with_body("{\"t\":\"" + value + "\"}"));
    body.text("t", rule);
    return body.problem().has_value();
  };
  EXPECT_FALSE(refused("1234", {.max_bytes = 4}));
  EXPECT_TRUE(refused("12345", {.max_bytes = 4}));
  EXPECT_TRUE(refused("a\\nb", {}));
  EXPECT_FALSE(refused("a\\nb", {.lines = true}));
  EXPECT_TRUE(refused("a\\u0000b", {.lines = true}));
  EXPECT_TRUE(refused("", {.empty = false}));
}

TEST(BodyReaderTest, WhatIsNoObjectIsRefused) {
  EXPECT_EQ(code_of(BodyReader(with_body("[1]")).problem()), "invalid_body");
  EXPECT_EQ(code_of(BodyReader(with_body("{\"a\":")).problem()), "invalid_body");
  EXPECT_EQ(code_of(BodyReader(with_body("{\"a\":\"\xff\"}")).problem()), "invalid_body");
  EXPECT_EQ(code_of(BodyReader(with_body(R"({"a":1,"a":2})")).problem()), "invalid_body");
  EXPECT_EQ(code_of(BodyReader(with_body(std::string(40, '[') + std::string(40, ']'))).problem()), "invalid_body");
  EXPECT_EQ(code_of(BodyReader(with_body("a=b", "application/x-www-form-urlencoded")).problem()),
            "unsupported_media_type");
  EXPECT_EQ(code_of(BodyReader(with_body("")).problem()), "none");
}

TEST(BodyReaderTest, ARequiredFieldMustBeThere) {
  BodyReader body(with_body(R"({"name":null})"));
  body.require("name");
  EXPECT_NE(detail_of(body.problem()).find("'name': is missing"), std::string::npos);
}

TEST(BodyReaderTest, ListsAreBounded) {
  BodyReader body(with_body(R"({"tags":["a","b","c"]})"));
  EXPECT_EQ(body.texts("tags", 2), std::nullopt);
  EXPECT_NE(detail_of(body.problem()).find("3 items given, expected at most 2"), std::string::npos);
}

}  // namespace
}  // namespace millrace
