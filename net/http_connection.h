// SPDX-License-Identifier: Apache-2.0
// What the listener and its connections share.  For net/ alone; loop's thread only.
#pragma once

#include <list>
#include <memory>
#include <unordered_map>

#include "net/http_server.h"
#include "net/io_loop_impl.h"
#include "net/tls_client.h"

namespace millrace {

// A connection as the server counts it.
class ServerSession {
 public:
  virtual ~ServerSession() = default;
  // Closes the connection without an answer.
  virtual void drop() = 0;
  // Of an urgent connection that has no request yet: closes it.  False: it is being served.
  virtual bool give_way() { return false; }
};

// What /metrics tells of the server; all or none are set.
struct ServerMetrics {
  Gauge* connections = nullptr;
  Counter* refused = nullptr;
  Counter* rejected = nullptr;  // requests that broke a rule of HTTP or a limit of the server
};

// Owned by the server, and owns the sessions: one that waits for its service's answer has nothing else to keep it
// alive. Sessions hold it weakly, so one that outlives the server finds nothing to call.
struct ServerCore {
  static constexpr size_t kMaxRefused = 64;  // that are being told 503; further ones are closed without a word

  IoLoop& loop;
  HttpService* service;  // null from the server's destruction on
  HttpServerOptions options;
  std::unordered_map<ServerSession*, std::shared_ptr<ServerSession>> sessions;
  size_t refused = 0;                // of these, those that are only told to come back later
  std::list<ServerSession*> urgent;  // of these, those beyond max_connections; the oldest first
  ServerMetrics metrics;
  std::shared_ptr<TlsContext> tls;  // of new connections; null: plain HTTP

  void add(std::shared_ptr<ServerSession> session);
  bool remove(ServerSession* session);  // false when it was not there
};

// Reads requests from `socket` one after the other, also when the client sends several at once, and answers each before
// it looks at the next: answers cannot change places, and a client that does not read its answers is not read from
// either.
void serve_http(std::shared_ptr<ServerCore> core, TcpSocket socket);
// Serves one request if it is urgent, and answers 503 to any other.
void serve_urgent_http(std::shared_ptr<ServerCore> core, TcpSocket socket);
// Answers 503 without reading a request.
void refuse_http(std::shared_ptr<ServerCore> core, TcpSocket socket);

// Takes the socket over from HTTP.
class ServerWebSocket {
 public:
  virtual ~ServerWebSocket() = default;
  virtual std::shared_ptr<WebSocketPeer> peer() = 0;
  virtual void accept(TcpSocket socket, const HttpRequest& request, WebSocketEvents events) = 0;
  virtual void accept(TlsStream stream, const HttpRequest& request, WebSocketEvents events) = 0;
};
// `tls`: of the connection; null for a plain one.
std::shared_ptr<ServerWebSocket> make_server_web_socket(const std::shared_ptr<ServerCore>& core,
                                                        std::shared_ptr<TlsContext> tls);

}  // namespace millrace
