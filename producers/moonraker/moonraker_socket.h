// SPDX-License-Identifier: Apache-2.0
// The link to one Moonraker over the network: asks for a one-shot token or logs in where there are credentials, then
// opens the WebSocket, over TLS where the URL says https.
//
// Loop's thread only.  After open() exactly one of on_open and on_closed comes, then texts, then on_closed once; none
// after close().
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "bus/machine_secrets.h"
#include "net/http_exchange.h"
#include "net/io_loop.h"
#include "net/web_socket_client.h"
#include "producers/moonraker/machine_link.h"

namespace millrace {

struct MoonrakerTarget {
  std::string url;      // http://host:port or https://host:port; ws and wss mean the same
  std::string ca_file;  // PEM; empty: the system's authorities
  size_t max_frame_bytes = 16u << 20;

  bool operator==(const MoonrakerTarget&) const = default;
};

// "ws://printer:7125/" -> "http://printer:7125"
std::string http_base(std::string url);

class MoonrakerSocket {
 public:
  // `secret` is asked at each open(), so that a changed file counts at the next attempt.
  MoonrakerSocket(IoLoop& loop, const Clock& clock, MoonrakerTarget target, std::function<MachineSecret()> secret);

  std::function<void(const LinkIdentity&)> on_open;
  std::function<void(std::string_view)> on_text;
  // A reason of WebSocketClosed, kLinkUnauthorised or kLinkForbidden with the HTTP status as its code.
  std::function<void(std::string_view reason, uint16_t code, std::string_view text)> on_closed;

  void open();
  bool send(std::string text) { return socket_.send(std::move(text)); }
  void close();

 private:
  void ask_for_token();
  void log_in(const MachineSecret& secret);
  void connect(const std::string& token);
  void closed_by(const WebSocketClosed& closed);
  bool refused(uint16_t status);
  bool refused(const Result<HttpResponse>& answer);

  const MoonrakerTarget target_;
  const std::function<MachineSecret()> secret_;
  HttpExchange exchange_;
  WebSocketClient socket_;
  LinkIdentity identity_;
};

}  // namespace millrace
