// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 and WebSocket on one port.  Everything happens on the loop's thread, callbacks included.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bus/metrics.h"
#include "bus/result.h"
#include "net/http_types.h"
#include "net/io_loop.h"

namespace millrace {

struct HttpServerOptions {
  size_t max_body_bytes = 1u << 20;
  size_t max_header_bytes = 16u << 10;
  size_t max_connections = 1024;  // further ones are answered 503 and closed
  // Further ones beyond max_connections, each for one request that HttpService::is_urgent() lets through and that comes
  // within 2 s; any other is answered 503.  When these are full too, the oldest that still waits for its request makes
  // room for a new one, so that nobody can keep them occupied by saying nothing.
  size_t urgent_connections = 0;
  std::chrono::seconds idle_timeout{60};
  std::chrono::milliseconds header_timeout{10'000};  // from its first byte to its last; also of a TLS handshake
  std::chrono::milliseconds body_timeout{10'000};    // for each 16 KiB of a body, and for its rest
  size_t max_web_socket_message_bytes = 1u << 20;    // incoming
  size_t max_web_socket_queue_bytes = 4u << 20;      // outgoing; beyond it send() answers false
  // Where body sources are asked, such as a worker that may wait for a disk; false when it has no room, which is tried
  // again.  Empty: on the loop's thread.  What it runs must have ended before the loop goes.
  std::function<bool(std::function<void()>)> work = {};
  Metrics* metrics = nullptr;  // where connections and refusals are counted; outlives the server
  // PEM files, both or none: with them the port speaks HTTPS alone.  They are read again when they change.
  std::string tls_certificate = {};  // with those above it
  std::string tls_key = {};
  std::chrono::milliseconds tls_check{60'000};  // how often they are looked at
};

// Answers one request, once, from the loop's thread, at once or later.  Dropping it without a call answers 500.
using Responder = std::function<void(HttpResponse)>;

// One connected WebSocket, seen from the server.  Loop's thread only, except where said.
class WebSocketPeer {
 public:
  virtual ~WebSocketPeer() = default;
  // Queues a text frame.  False (and nothing is queued) when the queue is full or the socket is closed.
  virtual bool send(std::shared_ptr<const std::string> text) = 0;
  virtual size_t queued_bytes() const = 0;
  virtual void close(uint16_t code, std::string reason) = 0;
  // Drops the TCP connection without a closing handshake, as a power cut would.
  virtual void abort() = 0;
};

// What a WebSocket route gives back; each may be empty.
struct WebSocketEvents {
  std::function<void(std::string_view text)> on_text;
  std::function<void()> on_drained;             // the outgoing queue became empty
  std::function<void(uint16_t code)> on_close;  // once; no callback after it
  std::string protocol = {};  // of those that the client offered in Sec-WebSocket-Protocol; empty: none is chosen
};

class HttpService {
 public:
  virtual ~HttpService() = default;
  virtual void on_request(HttpRequest request, Responder respond) = 0;
  // Whether such a request is served although there are too many connections, and without its body where that is too
  // large.  Asked before its body is read.
  virtual bool is_urgent(std::string_view /*method*/, std::string_view /*path*/) { return false; }
  // For a request whose body is larger than HttpServerOptions::max_body_bytes, or does not say how large it is: how
  // much it may have.  0: as any other.
  virtual size_t max_body_bytes(std::string_view /*method*/, std::string_view /*path*/) { return 0; }
  // A request that is being refused because its body is too large; `request` is without it.
  virtual void on_body_refused(const HttpRequest& /*request*/, const HttpResponse& /*refusal*/) {}
  // For an upgrade request: accept by returning events (the peer may be used after this returns, until on_close), or
  // refuse with a response.
  virtual boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest& request,
                                                                             std::shared_ptr<WebSocketPeer> peer) = 0;
};

class HttpServer {
 public:
  // `loop` and `service` outlive the server.
  HttpServer(IoLoop& loop, HttpService& service, const HttpServerOptions& options = {});
  ~HttpServer();

  // Port 0 picks a free one.  kConflict when the port is taken, kInvalidArgument for a bad host, or files of TLS that
  // cannot be used.
  Result<void> listen(const std::string& host, uint16_t port);
  uint16_t port() const;
  // Closes the listener and every connection.  Loop's thread, or before/after run().
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace
