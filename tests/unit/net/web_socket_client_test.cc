// SPDX-License-Identifier: Apache-2.0
#include "net/web_socket_client.h"

#include <unistd.h>

#include "web_socket_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;

class WebSocketClientTest : public WebSocketTest {};

TEST_F(WebSocketClientTest, NobodyThereIsRefused) {
  uint16_t port;
  { port = RawListener().port(); }
  make_client();
  open("ws://127.0.0.1:" + std::to_string(port) + "/");
  EXPECT_TRUE(client_log_.wait_for("refused 0"));
}

TEST_F(WebSocketClientTest, UnreachableIsToldLaterNotInsideOpen) {
  make_client({.headers = {}});
  const std::vector<std::string> urls{"", "nonsense", "ftp://127.0.0.1/", "ws://user:pw@127.0.0.1/",
                                      "ws://255.255.255.255:9/"};
  for (size_t i = 0; i < urls.size(); ++i) {
    client_thread_.call([&] {
      client_->open(urls[i]);
      EXPECT_EQ(client_log_.lines().size(), i);
    });
    ASSERT_TRUE(client_log_.wait_for_lines(i + 1));
    EXPECT_EQ(client_log_.lines().back(), "unreachable 0") << urls[i];
  }
  make_client({.headers = {{"X-Key", "a\r\nY: b"}}});
  open("ws://127.0.0.1:9/");
  ASSERT_TRUE(client_log_.wait_for_lines(urls.size() + 1));
  EXPECT_EQ(client_log_.lines().back(), "unreachable 0");
}

TEST_F(WebSocketClientTest, ServerThatAcceptsAndSaysNothingIsAHandshakeFailure) {
  RawListener silent;
  make_client({.connect_timeout = 100ms});
  open("ws://127.0.0.1:" + std::to_string(silent.port()) + "/");
  EXPECT_TRUE(client_log_.wait_for("handshake 0"));
  EXPECT_NE(last_words_.find("no answer to the upgrade"), std::string::npos) << last_words_;
}

TEST_F(WebSocketClientTest, ServerThatSpeaksSomethingElseIsAHandshakeFailure) {
  RawListener listener;
  make_client();
  open("ws://localhost:" + std::to_string(listener.port()) + "/");
  int socket = listener.accept();
  ASSERT_GE(socket, 0);
  EXPECT_EQ(::write(socket, "220 mail ready\r\n\r\n", 18), 18);
  EXPECT_TRUE(client_log_.wait_for("handshake 0"));
  ::close(socket);
}

TEST_F(WebSocketClientTest, ConnectionThatEndsInAMessageIsCutOff) {
  service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) -> FunctionService::Verdict {
    EXPECT_TRUE(peer->send(shared(std::string(1000, 'x'))));
    return note_close(peer);
  };
  start();
  RawListener between;
  make_client();
  open("ws://127.0.0.1:" + std::to_string(between.port()) + "/ws");
  const int client = between.accept();
  ASSERT_GE(client, 0);
  std::string request;
  for (char byte = 0; !request.ends_with("\r\n\r\n") && ::read(client, &byte, 1) == 1;) request += byte;
  RawClient server(port_);
  ASSERT_TRUE(server.write(request));
  const std::string beginning = server.read_bytes(700);  // the answer, and less than the message
  EXPECT_EQ(::write(client, beginning.data(), beginning.size()), static_cast<ssize_t>(beginning.size()));
  ::close(client);
  EXPECT_TRUE(client_log_.wait_for("cut_off 0"));
}

TEST_F(WebSocketClientTest, ServerThatFallsSilentIsATimeout) {
  start_echo();
  make_client({.idle_timeout = 200ms});
  open_and_wait();
  // Its loop does not answer pings while this task waits.
  std::promise<void> over;
  thread_.loop().post([&] { over.get_future().wait(); });
  EXPECT_TRUE(client_log_.wait_for("timeout 0"));
  over.set_value();
}

TEST_F(WebSocketClientTest, PingsKeepAQuietConnectionOpen) {
  options_.idle_timeout = 1s;
  start_echo();
  make_client({.idle_timeout = 200ms});
  open_and_wait();
  // Much longer than the client's patience, during which only pings and their answers pass.
  std::promise<void> later;
  LoopTimer timer(client_thread_.loop());
  client_thread_.call([&] { timer.start(1500ms, [&] { later.set_value(); }); });
  later.get_future().wait();
  client_thread_.call([&] { EXPECT_TRUE(client_->send("hello")); });
  EXPECT_TRUE(client_log_.wait_for("text hello"));
  EXPECT_EQ(client_log_.lines().size(), 2u);
}

TEST_F(WebSocketClientTest, CloseTellsTheServerAndNobodyHere) {
  start_echo();
  make_client();
  open_and_wait();
  client_thread_.call([&] {
    EXPECT_TRUE(client_->send("last words"));
    client_->close();
    client_->close();
    EXPECT_FALSE(client_->send("x"));
  });
  EXPECT_TRUE(server_log_.wait_for("close 1000"));
  EXPECT_EQ(client_log_.lines(), std::vector<std::string>{"open"});
}

TEST_F(WebSocketClientTest, ClosedOrDestroyedWhileConnectingCallsNobody) {
  start_echo();
  for (int i = 0; i < 60; ++i) {
    auto gone = std::make_shared<bool>(false);
    client_thread_.call([&] {
      client_ = std::make_unique<WebSocketClient>(client_thread_.loop(), WebSocketClientOptions{});
      client_->on_open = [gone] { EXPECT_FALSE(*gone); };
      client_->on_closed = [gone](const WebSocketClosed&) { ADD_FAILURE() << "it was never told to close"; };
      client_->open(i % 2 == 0 ? url("/ws") : "ws://localhost:" + std::to_string(port_) + "/ws");
    });
    // Each round the loop has come a different way by now.
    for (int turn = 0; turn < i / 6; ++turn) client_thread_.call([] {});
    client_thread_.call([&] {
      i % 3 == 0 ? client_->close() : client_.reset();
      *gone = true;
    });
  }
  make_client();
  open_and_wait();
  EXPECT_EQ(client_log_.lines(), std::vector<std::string>{"open"});
}

TEST_F(WebSocketClientTest, ClientMayBeDestroyedInsideEachCallback) {
  start_echo();
  for (std::string place : {"open", "text", "closed"}) {
    make_client();
    std::promise<void> done;
    client_thread_.call([&] {
      auto destroy = [&, keep = std::string("still valid after the client is gone")] {
        client_.reset();
        EXPECT_EQ(keep.size(), 36u);
        done.set_value();
      };
      client_->on_open = [&, destroy] {
        client_->send("x");
        if (place == "open") destroy();
      };
      client_->on_text = [&, destroy](std::string_view) {
        if (place == "text") return destroy();
        thread_.loop().post([&] { peer_->abort(); });
      };
      client_->on_closed = [&, destroy](const WebSocketClosed&) { destroy(); };
      client_->open(url("/ws"));
    });
    ASSERT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready) << place;
  }
}

TEST_F(WebSocketClientTest, OpenAgainInsideOnClosed) {
  start_echo();
  uint16_t nobody;
  { nobody = RawListener().port(); }
  make_client();
  client_thread_.call([&] {
    client_->on_closed = [&](const WebSocketClosed& closed) {
      client_log_.add(describe(closed));
      client_->open(url("/ws"));
    };
    client_->open("ws://127.0.0.1:" + std::to_string(nobody) + "/");
  });
  ASSERT_TRUE(client_log_.wait_for("open"));
  thread_.call([&] { peer_->close(1001, "going"); });
  ASSERT_TRUE(client_log_.wait_for_lines(4));
  EXPECT_EQ(client_log_.lines(), (std::vector<std::string>{"refused 0", "open", "closed 1001", "open"}));
}

TEST_F(WebSocketClientTest, OpenWhileOpenReplacesSilently) {
  start_echo();
  make_client();
  open_and_wait();
  open(url("/ws?second"));
  ASSERT_TRUE(client_log_.wait_for_lines(2));
  EXPECT_EQ(client_log_.lines(), (std::vector<std::string>{"open", "open"}));
  EXPECT_TRUE(server_log_.wait_for("close 1000"));
}

}  // namespace
}  // namespace millrace::testing
