// SPDX-License-Identifier: Apache-2.0
#include "net/http_client.h"

#include <unistd.h>

#include "net_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;

class HttpClientTest : public ServerTest {};

TEST_F(HttpClientTest, CarriesEverythingBothWays) {
  service_.request = [](HttpRequest request, Responder respond) {
    HttpResponse response = text_response(request.method + " " + request.path + " " + request.body, 202);
    response.headers = {{"X-Type", std::string(request.header("content-type").value_or("none"))},
                        {"X-Empty", std::string(request.header("x-empty").value_or("none"))}};
    respond(std::move(response));
  };
  start();
  auto response = http_request(
      {.method = "PUT", .url = url("/a"), .headers = {{"Content-Type", "a/b"}, {"X-Empty", ""}}, .body = "payload"});
  ASSERT_TRUE(response) << response.error().message();
  EXPECT_EQ(response->status, 202);
  EXPECT_EQ(response->content_type, "text/plain");
  EXPECT_EQ(response->body, "PUT /a payload");
  std::vector<std::pair<std::string, std::string>> expected{
      {"content-type", "text/plain"}, {"content-length", "14"}, {"x-type", "a/b"}, {"x-empty", ""}};
  EXPECT_EQ(response->headers, expected);
}

TEST_F(HttpClientTest, EveryMethodArrivesAsItself) {
  service_.request = [](HttpRequest request, Responder respond) {
    respond(text_response(request.method + request.body));
  };
  start();
  for (std::string method : {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    EXPECT_EQ(http_request({.method = method, .url = url("/")})->body, method);
  }
  EXPECT_EQ(http_request({.method = "GET", .url = url("/"), .body = "+"})->body, "GET+");
  auto head = http_request({.method = "HEAD", .url = url("/")});
  ASSERT_TRUE(head);
  EXPECT_EQ(head->body, "");
}

TEST_F(HttpClientTest, AnyStatusIsAValueAndRedirectsAreNotFollowed) {
  service_.request = [](HttpRequest request, Responder respond) {
    respond({.status = std::stoi(request.path.substr(1)), .headers = {{"Location", "/200"}}});
  };
  start();
  for (int status : {200, 204, 302, 304, 404, 500, 503}) {
    auto response = http_request({.url = url("/" + std::to_string(status))});
    ASSERT_TRUE(response) << status;
    EXPECT_EQ(response->status, status);
  }
}

TEST_F(HttpClientTest, LargeBodiesUpToTheLimit) {
  service_.request = [](HttpRequest, Responder respond) { respond(text_response(std::string(100'000, 'x'))); };
  start();
  EXPECT_EQ(http_request({.url = url("/"), .max_body_bytes = 100'000})->body.size(), 100'000u);
  auto response = http_request({.url = url("/"), .max_body_bytes = 99'999});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kTooLarge);
}

TEST_F(HttpClientTest, NobodyThereIsUnavailable) {
  uint16_t port;
  { port = RawListener().port(); }
  auto response = http_request({.url = "http://127.0.0.1:" + std::to_string(port) + "/?token=secret"});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kUnavailable);
  EXPECT_EQ(response.error().context.find("secret"), std::string::npos);
}

TEST_F(HttpClientTest, SilenceIsATimeout) {
  RawListener silent;
  auto response = http_request({.url = "http://127.0.0.1:" + std::to_string(silent.port()) + "/", .timeout = 50ms});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Errc::kTimeout);
}

TEST_F(HttpClientTest, AnswersThatAreNotHttpOrEndEarlyAreErrors) {
  for (std::string bytes : {"", "220 mail ready\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"}) {
    RawListener listener;
    std::thread server([&] {
      int socket = listener.accept();
      char request[1024];
      EXPECT_GT(::read(socket, request, sizeof(request)), 0);
      EXPECT_EQ(::write(socket, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
      ::close(socket);
    });
    auto response = http_request({.url = "http://127.0.0.1:" + std::to_string(listener.port()) + "/"});
    server.join();
    EXPECT_FALSE(response) << bytes;
  }
}

TEST_F(HttpClientTest, RefusesWhatItCannotSend) {
  start();
  const std::vector<HttpClientRequest> requests{
      {.url = "ftp://127.0.0.1/"},
      {.url = "file:///etc/hostname"},
      {.url = ""},
      {.method = "", .url = url("/")},
      {.method = "GET /x HTTP/1.1\r\n", .url = url("/")},
      {.url = url("/"), .headers = {{"X", "a\r\nY: b"}}},
      {.url = url("/"), .headers = {{"X: a\r\nY", "b"}}},
      {.url = url("/"), .headers = {{"", "b"}}},
  };
  for (const auto& request : requests) {
    auto response = http_request(request);
    ASSERT_FALSE(response) << request.url;
    EXPECT_EQ(response.error().code, Errc::kInvalidArgument) << request.url;
  }
}

TEST_F(HttpClientTest, ManyThreadsAtOnce) {
  service_.request = [](HttpRequest request, Responder respond) { respond(text_response(request.path)); };
  start();
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        std::string path = "/" + std::to_string(t) + "-" + std::to_string(i);
        auto response = http_request({.url = url(path)});
        if (response && response->body == path) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 200);
}

}  // namespace
}  // namespace millrace::testing
