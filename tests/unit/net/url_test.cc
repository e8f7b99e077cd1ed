// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include <gtest/gtest.h>

#include <random>

#include "net/http_message.h"

namespace millrace::testing {
namespace {

TEST(UrlTest, SplitsIntoItsParts) {
  auto url = parse_url("WS://Printer-2.local:7125/websocket?token=a%20b");
  ASSERT_TRUE(url) << url.error().message();
  EXPECT_EQ(url->scheme, "ws");
  EXPECT_EQ(url->host, "Printer-2.local");
  EXPECT_EQ(url->port, 7125);
  EXPECT_EQ(url->target, "/websocket?token=a%20b");
  EXPECT_EQ(url->authority(), "Printer-2.local:7125");
}

TEST(UrlTest, FillsInPortAndPath) {
  EXPECT_EQ(parse_url("http://host")->port, 80);
  EXPECT_EQ(parse_url("wss://host")->port, 443);
  EXPECT_EQ(parse_url("http://host")->target, "/");
  EXPECT_EQ(parse_url("http://host?q=1")->target, "/?q=1");
  EXPECT_EQ(parse_url("http://host")->authority(), "host");
}

TEST(UrlTest, UnderstandsIpv6) {
  auto url = parse_url("http://[fe80::1]:7125/x");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "fe80::1");
  EXPECT_EQ(url->authority(), "[fe80::1]:7125");
  EXPECT_EQ(parse_url("http://[::1]")->authority(), "[::1]");
}

TEST(UrlTest, RefusesWhatCannotBeSentOrShouldNotBe) {
  for (const char* text : {"",
                           "host",
                           "host:80/x",
                           "ftp://host/",
                           "http://",
                           "http:///x",
                           "http://:80/",
                           "http://user@host/",
                           "http://user:secret@host/",
                           "http://host/#top",
                           "http://host/a b",
                           "http://host/\r\nX: y",
                           "http://host:0/",
                           "http://host:65536/",
                           "http://host:http/",
                           "http://host:80:80/",
                           "http://[::1/",
                           "http://[::1]x/",
                           "http://[host]/",
                           "http://ho%73t/",
                           "http://h\xc3\xb6st/",
                           "http://ho\"st/"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
  EXPECT_FALSE(parse_url(std::string("http://host/\0x", 14)));
  EXPECT_FALSE(parse_url("http://" + std::string(300, 'a') + "/"));
}

TEST(UrlTest, ErrorsDoNotRepeatTheSecret) {
  auto url = parse_url("http://user:secret@host/");
  ASSERT_FALSE(url);
  EXPECT_EQ(url.error().code, Errc::kInvalidArgument);
  EXPECT_EQ(url.error().context.find("secret"), std::string::npos);
}

TEST(RequestTargetTest, DecodesPathAndQuery) {
  auto target = parse_request_target("/a%20b+c/%C3%BC?x=1+2&y=%2B&&empty=&bare&x=3&k%3D=v%3d=w");
  ASSERT_TRUE(target) << target.error().message();
  EXPECT_EQ(target->path, "/a b+c/\xc3\xbc");
  std::vector<std::pair<std::string, std::string>> expected{{"x", "1 2"}, {"y", "+"}, {"empty", ""},
                                                            {"bare", ""}, {"x", "3"}, {"k=", "v==w"}};
  EXPECT_EQ(target->query, expected);
}

TEST(RequestTargetTest, TakesTheAbsoluteForm) {
  EXPECT_EQ(parse_request_target("http://host:80/a?b=c")->path, "/a");
  EXPECT_EQ(parse_request_target("http://host")->path, "/");
  EXPECT_EQ(parse_request_target("http://host?b=c")->query.at(0).second, "c");
}

TEST(RequestTargetTest, DotsInsideNamesAreFine) {
  EXPECT_TRUE(parse_request_target("/a..b/...x/..c/d.."));
  EXPECT_TRUE(parse_request_target("/x?path=../etc"));
}

TEST(RequestTargetTest, RefusesHostileTargets) {
  for (const char* text : {"",
                           "a",
                           "*",
                           "host:80",
                           "/%",
                           "/%4",
                           "/%zz",
                           "/%4g",
                           "/?%",
                           "/?a=%1",
                           "/?%zz=1",
                           "/%00",
                           "/?a=%00",
                           "/..",
                           "/../etc/passwd",
                           "/a/../b",
                           "/a/..",
                           "/%2e%2e/x",
                           "/a/%2E./x",
                           "/a%2f..%2fb",
                           "/a#b",
                           "http://host/../x"}) {
    EXPECT_FALSE(parse_request_target(text)) << text;
  }
  EXPECT_FALSE(parse_request_target(std::string_view("/a\0b", 4)));
}

TEST(RequestTargetTest, AnyBytesAreAnsweredWithoutHarm) {
  std::mt19937 random(20261121);
  constexpr std::string_view kAlphabet = "/%.?&=+#:[]@ab0\0\xff ";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (size_t size = random() % 24; size > 0; --size) text.push_back(kAlphabet[random() % kAlphabet.size()]);
    if (auto target = parse_request_target(text)) {
      EXPECT_EQ(target->path.front(), '/') << text;
      EXPECT_EQ(target->path.find('\0'), std::string::npos) << text;
    }
    if (auto url = parse_url("http://" + text)) {
      EXPECT_NE(url->port, 0) << text;
      EXPECT_FALSE(url->host.empty()) << text;
    }
  }
}

TEST(AnswerHeadTest, OwnsTheFraming) {
  HttpResponse response;
  response.body = "12345";
  response.headers = {{"Content-Length", "9"}, {"transfer-encoding", "chunked"}, {"X-A", "b"}};
  EXPECT_EQ(answer_head(response, {}).value(),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nX-A: b\r\n\r\n");
}

TEST(AnswerHeadTest, NoContentHasNoLength) {
  HttpResponse response{.status = 204};
  EXPECT_EQ(answer_head(response, {.keep_alive = false}).value(),
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
}

TEST(AnswerHeadTest, RefusesToBreakTheLine) {
  HttpResponse response;
  for (auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
           {"X", "a\r\nSet-Cookie: b"}, {"X", "a\nb"}, {"X: y", "a"}, {"", "a"}, {"X", std::string("a\0b", 3)}}) {
    response.headers = {{name, value}};
    EXPECT_FALSE(answer_head(response, {})) << name;
  }
  response.headers = {};
  response.content_type = "text/plain\r\nX: y";
  EXPECT_FALSE(answer_head(response, {}));
  EXPECT_FALSE(answer_head(HttpResponse{.status = 101}, {}));
  EXPECT_FALSE(answer_head(HttpResponse{.status = 600}, {}));
}

}  // namespace
}  // namespace millrace::testing
