// SPDX-License-Identifier: Apache-2.0
// A client and a server against each other, each on a loop of its own.
#pragma once

#include <memory>
#include <string>

#include "net/web_socket_client.h"
#include "net_fixture.h"

namespace millrace::testing {

inline std::shared_ptr<const std::string> shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

inline std::string describe(const WebSocketClosed& closed) {
  return std::string(name_of(closed.reason)) + " " + std::to_string(closed.code);
}

class WebSocketTest : public ServerTest {
 protected:
  ~WebSocketTest() override {
    client_thread_.call([&] { client_.reset(); });
    stop_server();  // its callbacks write into members of this class
  }

  // Every upgrade is accepted, and each text goes back.
  void start_echo() {
    service_.web_socket = [this](const HttpRequest&, std::shared_ptr<WebSocketPeer> peer) -> FunctionService::Verdict {
      WebSocketEvents events;
      events.on_text = [peer](std::string_view text) { EXPECT_TRUE(peer->send(shared(std::string(text)))); };
      return note_close(peer, std::move(events));
    };
    start();
  }

  // Keeps the last peer, and writes "close <code>" into server_.
  WebSocketEvents note_close(const std::shared_ptr<WebSocketPeer>& peer, WebSocketEvents events = {}) {
    peer_ = peer;
    events.on_close = [this](uint16_t code) { server_log_.add("close " + std::to_string(code)); };
    return events;
  }

  // A client that writes "open", "text <text>" and "<reason> <code>" into client_log_.
  void make_client(WebSocketClientOptions options = {}) {
    client_thread_.call([&] {
      client_ = std::make_unique<WebSocketClient>(client_thread_.loop(), options);
      client_->on_open = [this] { client_log_.add("open"); };
      client_->on_text = [this](std::string_view text) { client_log_.add("text " + std::string(text)); };
      client_->on_closed = [this](const WebSocketClosed& closed) {
        last_words_ = closed.text;
        client_log_.add(describe(closed));
      };
    });
  }

  void open(const std::string& url) {
    client_thread_.call([&] { client_->open(url); });
  }

  void open_and_wait() {
    open(url("/ws"));
    ASSERT_TRUE(client_log_.wait_for("open"));
  }

  LoopThread client_thread_;
  std::unique_ptr<WebSocketClient> client_;
  Journal client_log_;
  Journal server_log_;
  std::shared_ptr<WebSocketPeer> peer_;
  std::string last_words_;
};

}  // namespace millrace::testing
