// SPDX-License-Identifier: Apache-2.0
// Keys and TLS with the program itself: the first key, the refusal to start without one, and what `millrace keys` does
// beside a hub and without one.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "net/http_client.h"
#include "tests/support/shop/shop.h"
#include "tests/support/tls_proxy.h"

namespace millrace {
namespace {

using namespace testing;

class AccessE2eTest : public ::testing::Test {
 protected:
  // The configuration with other lines in [http].
  void configure_http(const std::string& listen, const std::string& more = "") {
    std::ifstream before(shop.config());
    std::stringstream content;
    content << before.rdbuf();
    std::string text = content.str();
    const size_t at = text.find("listen = ");
    text.replace(at, text.find('\n', at) - at,
                 "listen = \"" + listen + ":" + std::to_string(shop.http_port) + "\"\n" + more);
    std::ofstream(shop.config()) << text;
  }
  json keys(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "keys");
    for (const char* each : {"--data", "", "--json"}) {
      arguments.push_back(*each == '\0' ? shop.data().string() : std::string(each));
    }
    const Shop::Ran ran = shop.run(arguments);
    EXPECT_EQ(ran.code, 0) << ran.output;
    const size_t begin = ran.output.find('{');
    return begin == std::string::npos ? json() : json::parse(ran.output.substr(begin), nullptr, false);
  }
  int status(const std::string& path, const std::string& key, const std::string& scheme = "http",
             const std::string& ca = "") {
    HttpClientRequest request;
    request.url = scheme + "://127.0.0.1:" + std::to_string(shop.http_port) + path;
    request.ca_file = ca;
    if (!key.empty()) request.headers = {{"X-API-Key", key}};
    const auto answer = http_request(request);
    return answer ? answer->status : 0;
  }
  bool in_log(const std::string& type, const std::string& text) {
    return eventually([&] {
      const Shop::Ran ran = shop.run({"log", "cat", "--data", shop.data().string(), "--type", type, "--json"});
      return ran.output.find(text) != std::string::npos;
    });
  }

  Shop shop;
};

TEST_F(AccessE2eTest, OtherAddressesWithoutAKeyAreRefusedAndSayWhatToDo) {
  for (const char* host : {"0.0.0.0", "[::]"}) {
    configure_http(host);
    const Shop::Ran ran = shop.run({"run", "--config", shop.config().string(), "--roles", "hub"});
    EXPECT_EQ(ran.code, 2) << ran.output;
    EXPECT_NE(ran.output.find("millrace keys create"), std::string::npos) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
  }
  EXPECT_FALSE(std::filesystem::exists(shop.data() / "log")) << "nothing was begun";
}

TEST_F(AccessE2eTest, AKeyMadeBeforehandOpensTheHubAndTheCommandReachesItLater) {
  const json first = keys({"create", "--name", "Anna"});
  const std::string key = first["key"];
  EXPECT_EQ(first["scopes"].size(), 5u) << "the first key may make others";
  EXPECT_EQ(first["recorded"], true);
  struct stat file {};
  ASSERT_EQ(::stat((shop.data() / "keys.json").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);

  configure_http("0.0.0.0");
  shop.broker.start();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  EXPECT_EQ(status("/api/v1/site", ""), 401);
  EXPECT_EQ(status("/api/v1/site", key), 200);
  EXPECT_EQ(status("/", ""), 200) << "the page, which asks for a key";

  const json bench = keys({"create", "--name", "bench", "--scopes", "read", "--machines", "mk4"});
  EXPECT_EQ(bench["machines"], json::array({"mk4"}));
  const std::string bench_key = bench["key"];
  EXPECT_EQ(status("/api/v1/machines", bench_key), 200);
  EXPECT_EQ(status("/api/v1/keys", bench_key), 403);
  const std::string next = keys({"rotate", "bench"})["key"];
  EXPECT_EQ(status("/api/v1/machines", bench_key), 401) << "by the running hub, at once";
  EXPECT_EQ(status("/api/v1/machines", next), 200);
  EXPECT_EQ(keys({"list"})["items"].size(), 2u);
  keys({"revoke", "bench"});
  EXPECT_EQ(status("/api/v1/machines", next), 401);
  for (const char* type : {"KeyCreated", "KeyRotated", "KeyRevoked"}) {
    EXPECT_TRUE(in_log(type, bench["id"].get<std::string>())) << type;
  }
  EXPECT_TRUE(in_log("KeyCreated", first["id"].get<std::string>())) << "that of before there was a hub";
  EXPECT_TRUE(in_log("AccessDenied", "scope_missing"));
  EXPECT_EQ(shop.output().find(key), std::string::npos);
}

TEST_F(AccessE2eTest, SessionsOutliveTheHub) {
  const std::string key = keys({"create", "--name", "Anna"})["key"];
  shop.broker.start();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  const std::string url = "http://127.0.0.1:" + std::to_string(shop.http_port) + "/api/v1/session";
  const auto opened = http_request({.method = "POST",
                                    .url = url,
                                    .headers = {{"Content-Type", "application/json"}},
                                    .body = R"({"key":")" + key + "\"}"});
  ASSERT_TRUE(opened);
  std::string cookie;
  for (const auto& [name, value] : opened->headers) {
    if (name == "set-cookie" || name == "Set-Cookie") cookie = value.substr(0, value.find(';'));
  }
  const auto session = [&] {
    const auto answer = http_request({.url = url, .headers = {{"Cookie", cookie}}});
    return answer ? answer->status : 0;
  };
  EXPECT_EQ(session(), 200);
  shop.hub.reset();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  EXPECT_EQ(session(), 200);
}

TEST_F(AccessE2eTest, HttpsServesPageApiAndFeedAndTellsBrowsersToStay) {
  const std::string key = keys({"create", "--name", "Anna"})["key"];
  const TestCertificates certificates(shop.directory(), "127.0.0.1");
  configure_http("0.0.0.0", "tls_certificate = \"" + certificates.certificate.string() + "\"\ntls_key = \"" +
                                certificates.key.string() + "\"\n");
  shop.broker.start();
  shop.start_hub();
  const std::string ca = certificates.authority;
  ASSERT_TRUE(eventually([&] { return status("/health/ready", "", "https", ca) == 200; }, std::chrono::seconds(30)))
      << shop.output();
  EXPECT_EQ(status("/api/v1/machines", key, "https", ca), 200);
  EXPECT_EQ(status("/api/v1/machines", key, "http"), 400) << "plain HTTP gets a hint";
  const auto page = http_request({.url = "https://127.0.0.1:" + std::to_string(shop.http_port) + "/", .ca_file = ca});
  ASSERT_TRUE(page);
  bool told = false;
  for (const auto& [name, value] : page->headers) told = told || value == "max-age=31536000";
  EXPECT_TRUE(told);

  IoLoop loop;
  WebSocketClientOptions options;
  options.ca_file = ca;
  options.headers = {{"X-API-Key", key}};
  WebSocketClient client(loop, options);
  std::string first;
  client.on_text = [&](std::string_view text) {
    first = text;
    loop.stop();
  };
  client.on_closed = [&](const WebSocketClosed& closed) {
    first = closed.text;
    loop.stop();
  };
  loop.post([&] { client.open("wss://127.0.0.1:" + std::to_string(shop.http_port) + "/api/v1/live"); });
  loop.run();
  EXPECT_NE(first.find(R"("type":"snapshot")"), std::string::npos) << first;
}

TEST_F(AccessE2eTest, WhatIsWrongWithTheCommandOrTheFilesIsSaid) {
  const std::string data = shop.data().string();
  EXPECT_EQ(shop.run({"keys", "create", "--data", data, "--name", "a", "--scopes", "root"}).code, 2);
  EXPECT_EQ(shop.run({"keys", "create", "--data", data, "--name", "a", "--expires", "yesterday"}).code, 2);
  EXPECT_NE(shop.run({"keys", "revoke", "--data", data, "nobody"}).code, 0);
  EXPECT_EQ(shop.run({"keys", "create", "--data", data, "--name", "local"}).code, 2);
  configure_http("127.0.0.1", "tls_certificate = \"/no/such.pem\"\n");
  const Shop::Ran half = shop.run({"run", "--config", shop.config().string(), "--roles", "hub"});
  EXPECT_EQ(half.code, 2);
  EXPECT_NE(half.output.find("http.tls_key"), std::string::npos) << half.output;
  configure_http("127.0.0.1", "tls_key = \"/no/such.key\"\n");
  const Shop::Ran missing = shop.run({"run", "--config", shop.config().string(), "--roles", "hub"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.output.find("/no/such.pem"), std::string::npos) << missing.output;
}

}  // namespace
}  // namespace millrace
