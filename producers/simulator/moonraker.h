// SPDX-License-Identifier: Apache-2.0
// The outside of one Moonraker: JSON-RPC over WebSocket, the same methods over HTTP, and notifications.  What the
// methods answer is the service's business: a simulated machine or a recording.
//
// Loop's thread only.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "bus/json_reader.h"
#include "bus/result.h"
#include "net/http_server.h"
#include "net/io_loop.h"

namespace millrace {

// `code` is an HTTP status.  Over JSON-RPC 404 becomes -32601 and 401 becomes -32602, as Moonraker does it; a negative
// code is passed on as it is and becomes 404 or 400 over HTTP.
struct MoonrakerError {
  int code;
  std::string message;
};

// The JSON text of the result.
using MoonrakerAnswer = boost::system::result<std::string, MoonrakerError>;
// Call it once, at once or later; harmless when the client has gone.
using MoonrakerReply = std::function<void(MoonrakerAnswer)>;

struct MoonrakerCall {
  uint64_t connection;  // 0: over HTTP
  std::string_view method;
  const Json& params;  // an object; from a URL its values are text.  Valid during the call only
};

class MoonrakerService {
 public:
  virtual ~MoonrakerService() = default;
  virtual void call(const MoonrakerCall& call, MoonrakerReply reply) = 0;
  // `request` is the upgrade's.
  virtual void on_connected(uint64_t connection, const HttpRequest& request) = 0;
  virtual void on_disconnected(uint64_t connection) = 0;
  // Is asked first; true when it has taken the request.
  virtual bool on_http(const HttpRequest& request, const Responder& respond) = 0;
};

class MoonrakerFront {
 public:
  static constexpr size_t kMaxBatch = 64;

  // Both outlive the front.
  MoonrakerFront(IoLoop& loop, MoonrakerService& service);
  ~MoonrakerFront();

  // Errors of HttpServer::listen().  After go_away() it takes the same port again.
  Result<void> listen(const std::string& host, uint16_t port);
  uint16_t port() const;

  // A connection whose queue is full is dropped.
  void send(uint64_t connection, std::shared_ptr<const std::string> frame);
  void broadcast(std::shared_ptr<const std::string> frame);
  size_t connections() const;

  // Closes every WebSocket with a closing handshake and refuses new ones; go_away() then closes the port.
  void close_all(uint16_t code, const std::string& reason);
  // Drops every connection without a word; the port stays open.
  void drop_all();
  // The same, and closes the port.
  void go_away();

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

std::shared_ptr<const std::string> notification(std::string_view method);
// `params` is the JSON text of the only parameter.
std::shared_ptr<const std::string> notification(std::string_view method, std::string_view params);

// {"result":..} or {"error":{..}} with the status that Moonraker's HTTP side would give.
HttpResponse moonraker_http_response(const MoonrakerAnswer& answer);

}  // namespace millrace
