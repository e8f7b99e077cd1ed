// SPDX-License-Identifier: Apache-2.0
// The server's side of a WebSocket: puts HttpService's callbacks on a stream.
#include "net/http_connection.h"
#include "net/web_socket_stream.h"

namespace millrace {
namespace {

constexpr uint16_t kNoCode = 1005;    // RFC 6455 7.4.1: the close frame held none
constexpr uint16_t kAbnormal = 1006;  // there was no close frame

// What the service holds.  It may keep it for ever, so it owns nothing.
class Peer final : public WebSocketPeer {
 public:
  explicit Peer(std::weak_ptr<WebSocketStream> stream) : stream_(std::move(stream)) {}

  bool send(std::shared_ptr<const std::string> text) override {
    auto stream = stream_.lock();
    return stream && text && stream->send(std::move(text));
  }
  size_t queued_bytes() const override {
    auto stream = stream_.lock();
    return stream ? stream->queued_bytes() : 0;
  }
  void close(uint16_t code, std::string reason) override {
    if (auto stream = stream_.lock()) stream->close(code, reason);
  }
  void abort() override {
    if (auto stream = stream_.lock()) stream->abort();
  }

 private:
  std::weak_ptr<WebSocketStream> stream_;
};

// Owned by the stream, as its listener, once it is accepted.
class Session final : public ServerSession, public WebSocketListener {
 public:
  Session(std::weak_ptr<ServerCore> core, std::weak_ptr<WebSocketStream> stream, WebSocketEvents events)
      : core_(std::move(core)), stream_(std::move(stream)), events_(std::move(events)) {}
  ~Session() override { leave(); }

  void drop() override {
    if (auto stream = stream_.lock()) stream->abort();
  }

  void opened() override {}

  void text(std::string_view text) override {
    if (is_served() && events_.on_text) events_.on_text(text);
  }

  void drained() override {
    if (is_served() && events_.on_drained) events_.on_drained();
  }

  void ended(const WebSocketClosed& closed) override {
    bool served = is_served();
    leave();
    if (!served || !events_.on_close) return;
    bool orderly = closed.reason == WebSocketClosed::Reason::kClosed;
    events_.on_close(closed.code != 0 ? closed.code : orderly ? kNoCode : kAbnormal);
  }

 private:
  bool is_served() const {
    auto core = core_.lock();
    return core && core->service != nullptr;
  }

  void leave() {
    if (auto core = core_.lock()) core->remove(this);
  }

  std::weak_ptr<ServerCore> core_;
  std::weak_ptr<WebSocketStream> stream_;
  WebSocketEvents events_;
};

class Upgrade final : public ServerWebSocket {
 public:
  Upgrade(const std::shared_ptr<ServerCore>& core, std::shared_ptr<TlsContext> tls)
      : core_(core), stream_(make_stream(*core, std::move(tls))) {}

  std::shared_ptr<WebSocketPeer> peer() override { return std::make_shared<Peer>(stream_); }

  void accept(TcpSocket socket, const HttpRequest& request, WebSocketEvents events) override {
    const std::string protocol = events.protocol;
    begin_session(std::move(events));
    stream_->accept(std::move(socket), request, protocol);
  }

  void accept(TlsStream stream, const HttpRequest& request, WebSocketEvents events) override {
    const std::string protocol = events.protocol;
    begin_session(std::move(events));
    stream_->accept(std::move(stream), request, protocol);
  }

 private:
  static std::shared_ptr<WebSocketStream> make_stream(const ServerCore& core, std::shared_ptr<TlsContext> tls) {
    const WebSocketStreamOptions options{.handshake_timeout = std::chrono::seconds(10),
                                         .idle_timeout = core.options.idle_timeout,
                                         .max_message_bytes = core.options.max_web_socket_message_bytes,
                                         .max_queue_bytes = core.options.max_web_socket_queue_bytes};
    return tls ? make_tls_web_socket_stream(core.loop.impl(), options, std::move(tls), "")
               : make_web_socket_stream(core.loop.impl(), options);
  }

  void begin_session(WebSocketEvents events) {
    auto session = std::make_shared<Session>(core_, stream_, std::move(events));
    core_->add(session);
    stream_->listen(session);
  }

  std::shared_ptr<ServerCore> core_;
  std::shared_ptr<WebSocketStream> stream_;
};

}  // namespace

std::shared_ptr<ServerWebSocket> make_server_web_socket(const std::shared_ptr<ServerCore>& core,
                                                        std::shared_ptr<TlsContext> tls) {
  return std::make_shared<Upgrade>(core, std::move(tls));
}

}  // namespace millrace
