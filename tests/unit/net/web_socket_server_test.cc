// SPDX-License-Identifier: Apache-2.0
#include <stdexcept>

#include "web_socket_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;
using Verdict = FunctionService::Verdict;

constexpr std::string_view kUpgrade =
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

// A client frame with the mask 0, of less than 126 bytes.
std::string frame(uint8_t opcode, std::string_view payload) {
  std::string out{static_cast<char>(0x80 | opcode), static_cast<char>(0x80 | payload.size()), 0, 0, 0, 0};
  return out.append(payload);
}

class WebSocketServerTest : public WebSocketTest {};

TEST_F(WebSocketServerTest, TwentyThousandEchoesKeepTheirOrder) {
  start_echo();
  make_client();
  constexpr int kMessages = 20'000;
  constexpr int kInFlight = 64;
  int sent = 0;
  int received = 0;
  bool in_order = true;
  std::promise<void> done;
  client_thread_.call([&] {
    auto send_next = [&] { EXPECT_TRUE(client_->send("message " + std::to_string(sent++))); };
    client_->on_open = [&, send_next] {
      for (int i = 0; i < kInFlight; ++i) send_next();
    };
    client_->on_text = [&, send_next](std::string_view text) {
      in_order = in_order && text == "message " + std::to_string(received);
      if (++received == kMessages) return done.set_value();
      if (sent < kMessages) send_next();
    };
    client_->open(url("/ws"));
  });
  ASSERT_EQ(done.get_future().wait_for(kPatience * 3), std::future_status::ready);
  EXPECT_TRUE(in_order);
}

TEST_F(WebSocketServerTest, SendingInsideOnOpenAndAtOnceAfterItIsOneWriteAtATime) {
  start_echo();
  make_client();
  client_thread_.call([&] {
    client_->on_open = [&] {
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(client_->send(std::to_string(i)));
      client_thread_.loop().post([&] {
        for (int i = 100; i < 200; ++i) EXPECT_TRUE(client_->send(std::to_string(i)));
      });
    };
    EXPECT_FALSE(client_->send("too early"));
    client_->open(url("/ws"));
    EXPECT_FALSE(client_->send("too early"));
  });
  ASSERT_TRUE(client_log_.wait_for_lines(200));
  auto lines = client_log_.lines();
  for (int i = 0; i < 200; ++i) EXPECT_EQ(lines[i], "text " + std::to_string(i));
}

TEST_F(WebSocketServerTest, ServerMaySendBeforeItHasAccepted) {
  service_.web_socket = [this](const HttpRequest& request, std::shared_ptr<WebSocketPeer> peer) -> Verdict {
    EXPECT_EQ(request.path, "/ws");
    EXPECT_EQ(request.query_value("a"), "b c");
    EXPECT_EQ(request.header("x-api-key"), "secret");
    EXPECT_TRUE(peer->send(shared("snapshot")));
    EXPECT_TRUE(peer->send(shared("delta")));
    WebSocketEvents events;
    events.on_drained = [this] { server_log_.add("drained"); };
    return note_close(peer, std::move(events));
  };
  start();
  make_client({.headers = {{"X-Api-Key", "secret"}}});
  open(url("/ws?a=b%20c"));
  ASSERT_TRUE(client_log_.wait_for("text delta"));
  EXPECT_EQ(client_log_.lines(), (std::vector<std::string>{"open", "text snapshot", "text delta"}));
  EXPECT_TRUE(server_log_.wait_for("drained"));
}

TEST_F(WebSocketServerTest, QueueOfAReaderThatSleepsIsBounded) {
  options_.max_web_socket_queue_bytes = 1u << 20;
  service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) { return note_close(peer); };
  start();
  RawClient sleeper(port_);
  sleeper.write(kUpgrade);
  EXPECT_TRUE(sleeper.read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  auto chunk = shared(std::string(100'000, 'x'));
  // The system's own buffers take some; every round lets the loop write what it can.
  bool refused = false;
  size_t queued = 0;
  for (int round = 0; round < 2000 && !refused; ++round) {
    thread_.call([&] {
      refused = !peer_->send(chunk);
      queued = peer_->queued_bytes();
      EXPECT_LE(queued, options_.max_web_socket_queue_bytes);
    });
  }
  EXPECT_TRUE(refused);
  EXPECT_GT(queued, options_.max_web_socket_queue_bytes - chunk->size());
  thread_.call([&] {
    peer_->abort();
    EXPECT_FALSE(peer_->send(chunk));
  });
  EXPECT_TRUE(server_log_.wait_for("close 1006"));
}

TEST_F(WebSocketServerTest, EmptyMessagesAreBoundedToo) {
  service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) { return note_close(peer); };
  start();
  make_client();
  open_and_wait();
  thread_.call([&] {
    int accepted = 0;
    while (accepted < 1'000'000 && peer_->send(shared(""))) ++accepted;
    EXPECT_LT(accepted, 100'000);
    peer_->abort();
  });
}

TEST_F(WebSocketServerTest, ClientQueueIsBounded) {
  start_echo();
  make_client({.max_queue_bytes = 1000});
  open_and_wait();
  client_thread_.call([&] {
    EXPECT_FALSE(client_->send(std::string(1001, 'x')));
    EXPECT_TRUE(client_->send(std::string(600, 'x')));
    EXPECT_FALSE(client_->send(std::string(600, 'y')));
    EXPECT_TRUE(client_->send(std::string(400, 'z')));
  });
  EXPECT_TRUE(client_log_.wait_for("text " + std::string(400, 'z')));
}

TEST_F(WebSocketServerTest, LargeMessagesPassInBothDirections) {
  options_.max_web_socket_message_bytes = 8u << 20;
  options_.max_web_socket_queue_bytes = 8u << 20;
  start_echo();
  make_client({.max_queue_bytes = 8u << 20});
  open_and_wait();
  std::string large(8u << 20, 'm');
  client_thread_.call([&] { EXPECT_TRUE(client_->send(large)); });
  EXPECT_TRUE(client_log_.wait_for("text " + large));
}

TEST_F(WebSocketServerTest, MessageTooLargeForTheClientIsItsProtocolError) {
  start_echo();
  make_client({.max_message_bytes = 1000});
  open_and_wait();
  client_thread_.call([&] { client_->send(std::string(1000, 'a')); });
  EXPECT_TRUE(client_log_.wait_for("text " + std::string(1000, 'a')));
  client_thread_.call([&] { client_->send(std::string(1001, 'b')); });
  EXPECT_TRUE(client_log_.wait_for("protocol 1009"));
  EXPECT_TRUE(server_log_.wait_for("close 1009"));
}

TEST_F(WebSocketServerTest, MessageTooLargeForTheServerIsRefusedWithItsCode) {
  options_.max_web_socket_message_bytes = 1000;
  start_echo();
  make_client();
  open_and_wait();
  client_thread_.call([&] { client_->send(std::string(1001, 'b')); });
  EXPECT_TRUE(client_log_.wait_for("closed 1009"));
  EXPECT_TRUE(server_log_.wait_for("close 1009"));
}

TEST_F(WebSocketServerTest, ServerClosesWithItsWordsAfterWhatIsQueued) {
  service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) -> Verdict {
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(peer->send(shared(std::to_string(i))));
    peer->close(4000, "enough");
    EXPECT_FALSE(peer->send(shared("after the end")));
    return note_close(peer);
  };
  start();
  make_client();
  open(url("/ws"));
  ASSERT_TRUE(client_log_.wait_for("closed 4000"));
  EXPECT_EQ(client_log_.lines().size(), 102u);
  EXPECT_EQ(last_words_, "enough");
  EXPECT_TRUE(server_log_.wait_for("close 4000"));
}

TEST_F(WebSocketServerTest, CloseReasonsAreCutAndCodesMadeSendable) {
  service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) -> Verdict {
    std::string umlauts;
    for (int i = 0; i < 100; ++i) umlauts += "\xc3\xbc";
    peer->close(1006, umlauts);
    return note_close(peer);
  };
  start();
  make_client();
  open(url("/ws"));
  ASSERT_TRUE(client_log_.wait_for("closed 1000"));
  EXPECT_EQ(last_words_.size(), 122u);
}

TEST_F(WebSocketServerTest, PeerThatAbortsIsAReset) {
  start_echo();
  make_client();
  open_and_wait();
  thread_.call([&] {
    peer_->abort();
    peer_->abort();
    EXPECT_EQ(server_log_.lines().size(), 0u);  // never from inside the call
  });
  EXPECT_TRUE(client_log_.wait_for("reset 0"));
  EXPECT_TRUE(server_log_.wait_for("close 1006"));
}

TEST_F(WebSocketServerTest, ClientThatVanishesIsAnAbnormalCloseOnce) {
  start_echo();
  RawClient client(port_);
  client.write(kUpgrade);
  client.read_until("\r\n\r\n");
  client.write(frame(1, "hello"));
  EXPECT_EQ(client.read_bytes(7), "\x81\x05hello");
  client.reset();
  EXPECT_TRUE(server_log_.wait_for("close 1006"));
  thread_.call([&] { EXPECT_FALSE(peer_->send(shared("x"))); });
  EXPECT_EQ(server_log_.lines().size(), 1u);
}

TEST_F(WebSocketServerTest, BadFramesEndOnlyTheirOwnConnection) {
  start_echo();
  make_client();
  open_and_wait();
  const std::vector<std::pair<std::string, std::string>> cases{
      {frame(2, "binary"), "\x03\xeb"},    // 1003
      {frame(1, "\xff\xfe"), "\x03\xef"},  // 1007
      {frame(3, "reserved"), "\x03\xea"},  // 1002
      {std::string("\x81\x03"
                   "abc",
                   5),
       "\x03\xea"},                                                               // not masked
      {std::string("\x89\xfe\x00\x80", 4) + std::string(200, '\0'), "\x03\xea"},  // a ping above 125 bytes
  };
  for (const auto& [bytes, code] : cases) {
    RawClient client(port_);
    client.write(kUpgrade);
    client.read_until("\r\n\r\n");
    client.write(bytes);
    std::string answer = client.read_bytes(4);
    EXPECT_EQ(answer.substr(0, 1), "\x88");
    EXPECT_EQ(answer.substr(2, 2), code);
  }
  client_thread_.call([&] { EXPECT_TRUE(client_->send("still here")); });
  EXPECT_TRUE(client_log_.wait_for("text still here"));
}

TEST_F(WebSocketServerTest, UpgradesThatAreNotAcceptable) {
  start_echo();
  auto changed = [](std::string_view from, std::string_view to) {
    std::string request(kUpgrade);
    return request.replace(request.find(from), from.size(), to);
  };
  EXPECT_TRUE(send_raw(changed("Version: 13", "Version: 8")).starts_with("HTTP/1.1 426 "));
  EXPECT_TRUE(send_raw(changed("Key: dGhl", "Key: dGh")).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(send_raw(changed("Sec-WebSocket-Key", "X")).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(send_raw(std::string(kUpgrade) + frame(1, "early")).starts_with("HTTP/1.1 400 "));
  // Without the upgrade in both headers it is an ordinary request.
  EXPECT_TRUE(send_raw(changed("keep-alive, Upgrade", "keep-alive")).starts_with("HTTP/1.1 200 "));
}

TEST_F(WebSocketServerTest, RefusalIsAHandshakeFailureWithItsStatus) {
  service_.web_socket = [](const HttpRequest& request, std::shared_ptr<WebSocketPeer> peer) -> Verdict {
    EXPECT_TRUE(peer->send(shared("into the void")));
    if (request.path == "/throw") throw std::runtime_error("planted");
    return HttpResponse{.status = 403};
  };
  start();
  make_client();
  open(url("/ws"));
  ASSERT_TRUE(client_log_.wait_for("handshake 403"));
  EXPECT_NE(last_words_.find("403"), std::string::npos) << last_words_;
  open(url("/throw"));
  ASSERT_TRUE(client_log_.wait_for_lines(2));
  EXPECT_NE(last_words_.find("500"), std::string::npos) << last_words_;
}

TEST_F(WebSocketServerTest, ServiceThatThrowsClosesItsOwnSocket) {
  service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) -> Verdict {
    WebSocketEvents events;
    events.on_text = [](std::string_view) { throw std::runtime_error("planted"); };
    return note_close(peer, std::move(events));
  };
  start();
  make_client();
  open_and_wait();
  client_thread_.call([&] { client_->send("x"); });
  EXPECT_TRUE(client_log_.wait_for("closed 1011"));
  EXPECT_TRUE(server_log_.wait_for("close 1011"));
}

TEST_F(WebSocketServerTest, ServerStoppedWithOpenSockets) {
  start_echo();
  make_client();
  open_and_wait();
  thread_.call([&] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(peer_->send(shared(std::string(100'000, 'x'))));
    server_->stop();
    EXPECT_FALSE(peer_->send(shared("x")));
  });
  const auto has_ended = [this] {
    const std::string last = client_log_.lines().back();
    return last == "reset 0" || last == "cut_off 0";  // between two messages, or in one of them
  };
  for (size_t lines = client_log_.lines().size(); !has_ended(); ++lines) {
    ASSERT_TRUE(client_log_.wait_for_lines(lines + 1));
  }
  EXPECT_TRUE(server_log_.wait_for("close 1006"));
}

TEST_F(WebSocketServerTest, ServerDestroyedCallsNobodyAnyMore) {
  start_echo();
  make_client();
  open_and_wait();
  stop_server();
  EXPECT_TRUE(client_log_.wait_for("reset 0"));
  thread_.call([&] {
    EXPECT_FALSE(peer_->send(shared("x")));
    EXPECT_EQ(peer_->queued_bytes(), 0u);
    peer_->close(1000, "");
    peer_->abort();
  });
  EXPECT_EQ(server_log_.lines().size(), 0u);
}

TEST_F(WebSocketServerTest, EverythingMayGoWithTheLoopsStopped) {
  start_echo();
  make_client();
  open_and_wait();
  thread_.call([&] { peer_->send(shared(std::string(1'000'000, 'x'))); });
  client_thread_.stop();
  thread_.stop();
  client_.reset();
  server_.reset();
}

TEST_F(WebSocketServerTest, PeerMayOutliveTheLoop) {
  std::shared_ptr<WebSocketPeer> peer;
  {
    auto loop = std::make_unique<IoLoop>();
    auto server = std::make_unique<HttpServer>(*loop, service_);
    service_.web_socket = [&](const HttpRequest&, std::shared_ptr<WebSocketPeer> given) -> Verdict {
      peer = given;
      loop->stop();
      return WebSocketEvents{};
    };
    ASSERT_TRUE(server->listen("127.0.0.1", 0));
    RawClient client(server->port());
    client.write(kUpgrade);
    loop->run();
    server.reset();
  }
  ASSERT_NE(peer, nullptr);
  EXPECT_FALSE(peer->send(shared("x")));
}

}  // namespace
}  // namespace millrace::testing
