// SPDX-License-Identifier: Apache-2.0
#include "net/http_exchange.h"

#include <unistd.h>

#include "net_fixture.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/tls_proxy.h"
#include "web_socket_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;
using Outcome = HttpExchangeTrace::Outcome;

class HttpExchangeTest : public WebSocketTest {
 protected:
  ~HttpExchangeTest() override {
    client_thread_.call([&] { exchange_.reset(); });
  }
  // "200 body", or the error's code; the trace stays.
  std::string ask(HttpExchangeRequest request) {
    std::promise<std::string> answer;
    client_thread_.call([&] {
      if (!exchange_) exchange_ = std::make_unique<HttpExchange>(client_thread_.loop(), clock_);
      exchange_->start(std::move(request), [&](const Result<HttpResponse>& got, const HttpExchangeTrace& trace) {
        trace_ = trace;
        answer.set_value(got ? std::to_string(got->status) + " " + got->body : std::string(name_of(got.error().code)));
      });
    });
    return answer.get_future().get();
  }
  Outcome outcome(HttpExchangeTrace::Index step) const { return trace_.steps.at(step).outcome; }

  SystemClock clock_;
  std::unique_ptr<HttpExchange> exchange_;
  HttpExchangeTrace trace_;
};

TEST_F(HttpExchangeTest, AnAnswerAndHowItCame) {
  service_.request = [](HttpRequest request, Responder respond) {
    respond(text_response(request.method + request.body + std::string(request.header("x-api-key").value_or("")), 401));
  };
  start();
  EXPECT_EQ(ask({.method = "POST", .url = url("/a?b=c"), .headers = {{"X-Api-Key", "k"}}, .body = "body"}),
            "401 POSTbodyk");
  EXPECT_EQ(outcome(HttpExchangeTrace::kConnect), Outcome::kOk);
  EXPECT_EQ(outcome(HttpExchangeTrace::kTls), Outcome::kSkipped);
  EXPECT_EQ(trace_.steps.at(HttpExchangeTrace::kAnswer).detail, "401");
}

TEST_F(HttpExchangeTest, RedirectsAreAnswersAndNotFollowed) {
  service_.request = [this](HttpRequest, Responder respond) {
    HttpResponse response;
    response.status = 302;
    response.headers = {{"Location", url("/secret")}};
    respond(std::move(response));
  };
  start();
  EXPECT_EQ(ask({.url = url("/")}).substr(0, 3), "302");
}

TEST_F(HttpExchangeTest, WhatFailsSaysWhere) {
  uint16_t closed;
  { closed = RawListener().port(); }
  EXPECT_EQ(ask({.url = "http://127.0.0.1:" + std::to_string(closed)}), "unavailable");
  EXPECT_EQ(outcome(HttpExchangeTrace::kResolve), Outcome::kOk);
  EXPECT_EQ(outcome(HttpExchangeTrace::kConnect), Outcome::kFailed);
  EXPECT_EQ(outcome(HttpExchangeTrace::kAnswer), Outcome::kSkipped);
  EXPECT_EQ(ask({.url = "http://nowhere.invalid/"}), "unavailable");
  EXPECT_EQ(outcome(HttpExchangeTrace::kResolve), Outcome::kFailed);
  EXPECT_EQ(ask({.url = "ftp://127.0.0.1/"}), "invalid_argument");
  EXPECT_EQ(ask({.url = "http://127.0.0.1/", .headers = {{"X", "a\r\nb"}}}), "invalid_argument");
}

TEST_F(HttpExchangeTest, SilenceNonsenseAndTooMuchAreToldApart) {
  RawListener silent;
  EXPECT_EQ(ask({.url = "http://127.0.0.1:" + std::to_string(silent.port()), .timeout = 100ms}), "timeout");
  EXPECT_EQ(outcome(HttpExchangeTrace::kAnswer), Outcome::kFailed);
  RawListener mail;
  std::thread talker([&] {
    const int socket = mail.accept();
    EXPECT_EQ(::write(socket, "220 mail ready\r\n\r\n", 18), 18);
    ::close(socket);
  });
  EXPECT_EQ(ask({.url = "http://127.0.0.1:" + std::to_string(mail.port())}), "malformed");
  talker.join();
  service_.request = [](HttpRequest, Responder respond) { respond(text_response(std::string(5000, 'x'))); };
  start();
  EXPECT_EQ(ask({.url = url("/"), .max_body_bytes = 1000}), "too_large");
}

class TlsTest : public HttpExchangeTest {
 protected:
  void serve(const std::string& name) {
    service_.request = [](HttpRequest, Responder respond) { respond(text_response("hello")); };
    start_echo();
    certificates_ = std::make_unique<TestCertificates>(directory_.path(), name);
    proxy_ = std::make_unique<TlsProxy>(*certificates_, port_);
  }
  std::string at(const std::string& scheme) {
    return scheme + "://127.0.0.1:" + std::to_string(proxy_->port()) + "/ws";
  }

  TemporaryDirectory directory_;
  std::unique_ptr<TestCertificates> certificates_;
  std::unique_ptr<TlsProxy> proxy_;
};

TEST_F(TlsTest, AnAuthorityOfOnesOwnIsBelievedWhenItIsNamed) {
  serve("127.0.0.1");
  EXPECT_EQ(ask({.url = at("https"), .ca_file = certificates_->authority}), "200 hello");
  EXPECT_EQ(outcome(HttpExchangeTrace::kTls), Outcome::kOk);
  make_client({.ca_file = certificates_->authority});
  open(at("wss"));
  ASSERT_TRUE(client_log_.wait_for("open"));
  client_thread_.call([&] { EXPECT_TRUE(client_->send(std::string(200'000, 'x'))); });
  EXPECT_TRUE(client_log_.wait_for("text " + std::string(200'000, 'x')));
}

TEST_F(TlsTest, AnUnknownAuthorityIsRefused) {
  serve("127.0.0.1");
  EXPECT_EQ(ask({.url = at("https")}), "unavailable");
  EXPECT_EQ(outcome(HttpExchangeTrace::kTls), Outcome::kFailed);
  EXPECT_NE(trace_.steps.at(HttpExchangeTrace::kTls).detail.find("certificate"), std::string::npos);
  make_client({});
  open(at("wss"));
  EXPECT_TRUE(client_log_.wait_for("tls 0"));
}

TEST_F(TlsTest, ACertificateForAnotherHostIsRefused) {
  serve("printer.lan");
  EXPECT_EQ(ask({.url = at("https"), .ca_file = certificates_->authority}), "unavailable");
  EXPECT_EQ(outcome(HttpExchangeTrace::kTls), Outcome::kFailed);
  make_client({.ca_file = certificates_->authority});
  open(at("https"));
  EXPECT_TRUE(client_log_.wait_for("tls 0"));
}

TEST_F(TlsTest, ACertificateFileThatIsNoneIsNamed) {
  EXPECT_EQ(ask({.url = "https://127.0.0.1:9/", .ca_file = "/nonexistent.pem"}), "invalid_argument");
  make_client({.ca_file = "/nonexistent.pem"});
  open("wss://127.0.0.1:9/");
  EXPECT_TRUE(client_log_.wait_for("tls 0"));
  EXPECT_NE(last_words_.find("/nonexistent.pem"), std::string::npos);
}

}  // namespace
}  // namespace millrace::testing
