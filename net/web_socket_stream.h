// SPDX-License-Identifier: Apache-2.0
// One WebSocket over a connected socket, either side of it: the only place that knows Beast's WebSocket.  For net/
// alone.
//
// Loop's thread only.  The stream lives as long as an operation of its is under way, so owners hold it weakly; the
// stream owns its listener.  The listener is called from completions, never from inside a method here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/http_types.h"
#include "net/io_loop_impl.h"
#include "net/tls_client.h"
#include "net/web_socket_client.h"

namespace millrace {

class WebSocketListener {
 public:
  virtual ~WebSocketListener() = default;
  virtual void opened() = 0;
  virtual void text(std::string_view text) = 0;
  virtual void drained() = 0;  // everything queued was handed to the system
  // Exactly once, last.  `closed` is kHandshake when opened() was not called before, unless it is kTimeout.
  virtual void ended(const WebSocketClosed& closed) = 0;
};

struct WebSocketStreamOptions {
  std::chrono::milliseconds handshake_timeout{10'000};  // also of the closing handshake
  std::chrono::milliseconds idle_timeout{20'000};       // a ping goes out at half of it
  size_t max_message_bytes = 1u << 20;
  size_t max_queue_bytes = 4u << 20;
};

class WebSocketStream {
 public:
  virtual ~WebSocketStream() = default;

  virtual void listen(std::shared_ptr<WebSocketListener> listener) = 0;
  // Each starts the stream, once.  `request` is a valid upgrade request, answered with `protocol` unless it is empty;
  // `host` and `target` go into the request line.  The second is for a stream that was made with TLS.
  virtual void accept(TcpSocket socket, const HttpRequest& request, const std::string& protocol) = 0;
  virtual void accept(TlsStream stream, const HttpRequest& request, const std::string& protocol) = 0;
  virtual void connect(TcpSocket socket, const std::string& host, const std::string& target,
                       std::vector<std::pair<std::string, std::string>> headers) = 0;

  // Queues a text message, also before the handshake is through.  False when the queue is full, or closing.
  virtual bool send(std::shared_ptr<const std::string> text) = 0;
  virtual size_t queued_bytes() const = 0;
  // Sends what is queued, then the closing handshake; drops the connection after kMaxClosing.  No text is delivered
  // after it.
  virtual void close(uint16_t code, std::string_view reason) = 0;
  // Resets the connection at once.
  virtual void abort() = 0;

  static constexpr std::chrono::seconds kMaxClosing{5};
};

std::shared_ptr<WebSocketStream> make_web_socket_stream(IoLoop::Impl& loop, const WebSocketStreamOptions& options);
// Over TLS: as a client with a peer that must prove to be `host`, or as the server, which takes a stream whose
// handshake is done.
std::shared_ptr<WebSocketStream> make_tls_web_socket_stream(IoLoop::Impl& loop, const WebSocketStreamOptions& options,
                                                            std::shared_ptr<TlsContext> context, std::string host);

// The value that the key of an upgrade request has to have: 16 bytes in base64.
bool is_web_socket_key(std::string_view key);

}  // namespace millrace
