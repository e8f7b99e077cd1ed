// SPDX-License-Identifier: Apache-2.0
// The server's side of TLS, with certificates made for the occasion.
#include <atomic>
#include <filesystem>

#include "net/http_client.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/tls_proxy.h"
#include "web_socket_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

class HttpsServerTest : public WebSocketTest {
 protected:
  HttpsServerTest() {
    options_.tls_certificate = certificates_.certificate;
    options_.tls_key = certificates_.key;
  }
  Result<HttpResponse> ask(const std::string& target, const std::string& body = "") {
    return http_request({.method = body.empty() ? "GET" : "POST",
                         .url = "https://127.0.0.1:" + std::to_string(port_) + target,
                         .body = body,
                         .timeout = kPatience,
                         .ca_file = certificates_.authority});
  }
  Result<void> listen_with(const std::string& certificate, const std::string& key) {
    HttpServerOptions options = options_;
    options.tls_certificate = certificate;
    options.tls_key = key;
    Result<void> listening;
    thread_.call([&] {
      HttpServer server(thread_.loop(), service_, options);
      listening = server.listen("127.0.0.1", 0);
    });
    return listening;
  }

  TemporaryDirectory directory_;
  TestCertificates certificates_{directory_.path(), "127.0.0.1"};
};

TEST_F(HttpsServerTest, RequestsAndLargeAnswersGoOverTls) {
  const auto large = std::make_shared<std::string>(5u << 20, 'x');
  service_.request = [&](HttpRequest request, Responder respond) {
    HttpResponse response = text_response(request.method + " " + std::to_string(request.body.size()));
    if (request.path == "/large") response.shared_body = large;
    respond(std::move(response));
  };
  start();
  EXPECT_EQ(ask("/").value().body, "GET 0");
  EXPECT_EQ(ask("/", std::string(300'000, 'y')).value().body, "POST 300000");
  EXPECT_EQ(ask("/large").value().body, *large);
}

TEST_F(HttpsServerTest, AWebSocketGoesOverTlsWithTheProtocolThatWasChosen) {
  service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) -> FunctionService::Verdict {
    WebSocketEvents events;
    events.on_text = [peer](std::string_view text) { EXPECT_TRUE(peer->send(shared(std::string(text)))); };
    return note_close(peer, std::move(events));
  };
  start();
  make_client({.ca_file = certificates_.authority});
  open("wss://127.0.0.1:" + std::to_string(port_) + "/ws");
  ASSERT_TRUE(client_log_.wait_for("open"));
  client_thread_.call([&] { client_->send("over tls"); });
  EXPECT_TRUE(client_log_.wait_for("text over tls"));
  client_thread_.call([&] { client_->close(); });
  EXPECT_TRUE(server_log_.wait_for_lines(1));
}

TEST_F(HttpsServerTest, PlainHttpGetsAHint) {
  start();
  const std::string answer = send_raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_NE(answer.find("https_required"), std::string::npos) << answer;
  EXPECT_EQ(ask("/").value().status, 200);
}

TEST_F(HttpsServerTest, WhoNeverBeginsOrEndsTheHandshakeIsDropped) {
  options_.header_timeout = 300ms;
  start();
  RawClient silent(port_);
  RawClient half(port_);
  half.write("\x16\x03\x01");
  EXPECT_EQ(silent.read_to_end(), "");
  EXPECT_EQ(half.read_to_end(), "");
}

TEST_F(HttpsServerTest, GarbageInPlaceOfAHandshakeHurtsNobody) {
  start();
  for (const std::string& bytes : {std::string("\x16\x03\x01\x02\x00\x01\x00", 7), std::string("\x16garbage"),
                                   std::string(2, '\0'), std::string("\xff")}) {
    RawClient client(port_);
    client.write(bytes);
    client.reset();
  }
  EXPECT_EQ(ask("/").value().status, 200);
}

TEST_F(HttpsServerTest, ARefusedLargeBodyIsStillAnswered) {
  options_.max_body_bytes = 1'000;
  start();
  const auto answer = ask("/", std::string(100'000, 'y'));
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_EQ(answer->status, 413);
}

TEST_F(HttpsServerTest, FilesThatCannotBeUsedAreNamed) {
  const auto missing = listen_with(certificates_.certificate, directory_ / "no.key");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::kInvalidArgument);
  EXPECT_NE(missing.error().context.find("no.key"), std::string::npos) << missing.error().context;
  EXPECT_FALSE(listen_with("", certificates_.key));
  fs::create_directory(directory_ / "other");
  const TestCertificates other(directory_ / "other", "127.0.0.1");
  const auto foreign = listen_with(certificates_.certificate, other.key);
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().context.find("server.key"), std::string::npos) << foreign.error().context;
}

TEST_F(HttpsServerTest, ACertificateThatIsReplacedServesNewConnections) {
  options_.tls_check = 20ms;
  start();
  ASSERT_EQ(ask("/").value().status, 200);
  fs::create_directory(directory_ / "next");
  const TestCertificates next(directory_ / "next", "127.0.0.1");
  fs::rename(next.certificate, certificates_.certificate);
  // Between the two files the pair does not fit, and the old one serves on.
  EXPECT_EQ(ask("/").value().status, 200);
  fs::rename(next.key, certificates_.key);
  const auto with_next = [&] {
    return http_request({.url = "https://127.0.0.1:" + std::to_string(port_) + "/", .ca_file = next.authority});
  };
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  Result<HttpResponse> answer = with_next();
  while (!answer && std::chrono::steady_clock::now() < deadline) answer = with_next();
  ASSERT_TRUE(answer) << answer.error().message();
  EXPECT_FALSE(ask("/")) << "the old authority is still believed";
}

}  // namespace
}  // namespace millrace::testing
