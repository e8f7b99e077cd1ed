// SPDX-License-Identifier: Apache-2.0
// One WebSocket connection to a server.  It does not come back by itself: the owner decides when to open() again.
// Loop's thread only.  Callbacks: on_open once, on_text any number of times, then on_closed exactly once per open();
// none after close() or destruction.  A callback may call send(), close() and open().
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/io_loop.h"

namespace millrace {

struct WebSocketClosed {
  enum class Reason { kRefused, kUnreachable, kTimeout, kTls, kHandshake, kClosed, kReset, kCutOff, kProtocol };
  Reason reason;      // kCutOff: the connection ended in the middle of a message
  uint16_t code = 0;  // WebSocket close code, 0 = none was sent; of kHandshake the HTTP status, 0 = no answer
  std::string text;   // the system's or the peer's words
};

std::string_view name_of(WebSocketClosed::Reason reason);

struct WebSocketClientOptions {
  std::chrono::milliseconds connect_timeout{10'000};  // resolve, connect and handshake
  std::chrono::milliseconds idle_timeout{20'000};     // nothing heard, pings unanswered
  size_t max_message_bytes = 16u << 20;
  size_t max_queue_bytes = 4u << 20;
  std::vector<std::pair<std::string, std::string>> headers;  // of the upgrade request, e.g. X-Api-Key
  std::string ca_file;                                       // PEM, for wss and https; empty: the system's authorities
};

class WebSocketClient {
 public:
  WebSocketClient(IoLoop& loop, WebSocketClientOptions options);
  ~WebSocketClient();

  std::function<void()> on_open;
  std::function<void(std::string_view text)> on_text;
  std::function<void(const WebSocketClosed&)> on_closed;

  // "ws://host:port/path" or "http://..."; over TLS with wss or https.
  void open(const std::string& url);
  // False when not open or the queue is full.
  bool send(std::string text);
  void close();
  // From the next open() on.
  void set_options(WebSocketClientOptions options);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace
