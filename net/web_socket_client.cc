// SPDX-License-Identifier: Apache-2.0
#include "net/web_socket_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>

#include "net/io_loop_impl.h"
#include "net/tls_client.h"
#include "net/url.h"
#include "net/web_socket_stream.h"

namespace millrace {
namespace {

using Reason = WebSocketClosed::Reason;
using Endpoint = asio::ip::tcp::endpoint;

constexpr size_t kMaxEndpoints = 8;  // of one name; each may take the system's whole patience

bool is_field(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

bool is_field_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

Reason reason_of(const error_code& error) {
  if (error == asio::error::connection_refused) return Reason::kRefused;
  if (error == asio::error::timed_out) return Reason::kTimeout;
  return Reason::kUnreachable;
}

// One open(): resolve, connect, hand the socket to the stream.  Its owner is forgotten by detach() and by the end.
class Connection final : public WebSocketListener, public std::enable_shared_from_this<Connection> {
 public:
  Connection(WebSocketClient& owner, IoLoop::Impl& loop, const WebSocketClientOptions& options)
      : owner_(&owner),
        loop_(loop),
        options_(options),
        resolver_(loop.context.get_executor()),
        socket_(loop.context.get_executor()),
        timer_(loop.context.get_executor()) {}

  void start(const std::string& text) {
    auto url = check(text);
    if (!url) {
      // Never from inside open(): its caller is not prepared for a callback there.
      asio::post(loop_.context, [self = shared_from_this(), error = url.error()] {
        self->finish({Reason::kUnreachable, 0, error.context});
      });
      return;
    }
    url_ = std::move(*url);
    if (url_.scheme == "wss" || url_.scheme == "https") {
      auto context = make_tls_context(options_.ca_file);
      if (!context) {
        asio::post(loop_.context, [self = shared_from_this(), error = context.error()] {
          self->finish({Reason::kTls, 0, error.context});
        });
        return;
      }
      tls_ = std::move(*context);
    }
    start_timer();
    error_code error;
    auto address = asio::ip::make_address(url_.host, error);
    if (!error) {
      endpoints_ = {Endpoint(address, url_.port)};
      return connect_next();
    }
    resolver_.async_resolve(url_.host, std::to_string(url_.port),
                            [self = shared_from_this()](const error_code& failure, const auto& results) {
                              self->on_resolved(failure, results);
                            });
  }

  bool send(std::string text) {
    auto stream = stream_.lock();
    return open_ && stream && stream->send(std::make_shared<const std::string>(std::move(text)));
  }

  // No callback after it; what was queued is still sent.
  void detach() {
    owner_ = nullptr;
    timer_.cancel();
    resolver_.cancel();
    error_code ignored;
    socket_.close(ignored);
    auto stream = stream_.lock();
    if (!stream) return;
    if (open_) {
      stream->close(1000, "");
    } else {
      stream->abort();
    }
  }

 private:
  Result<Url> check(const std::string& text) const {
    auto url = parse_url(text);
    if (!url) return url.error();
    for (const auto& [name, value] : options_.headers) {
      if (!is_field_name(name) || !is_field(value)) {
        return make_error(Errc::kInvalidArgument, fmt::format("the header {} cannot be sent", name));
      }
    }
    return url;
  }

  void start_timer() {
    timer_.expires_after(options_.connect_timeout);
    timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      auto self = weak.lock();
      if (!error && self) self->on_timeout();
    });
  }

  void on_timeout() {
    if (open_) return;
    // Somebody who accepts and then says nothing is there, and is not well.
    const bool accepted = !stream_.expired();
    finish({accepted ? Reason::kHandshake : Reason::kTimeout, 0,
            fmt::format("no {} {} within {} ms", accepted ? "answer to the upgrade by" : "WebSocket at",
                        host_and_port(url_.host, url_.port), options_.connect_timeout.count())});
    detach();
  }

  void on_resolved(const error_code& error, const asio::ip::tcp::resolver::results_type& results) {
    if (!owner_) return;
    if (error) return finish({Reason::kUnreachable, 0, fmt::format("{}: {}", url_.host, error.message())});
    for (const auto& entry : results) {
      if (endpoints_.size() < kMaxEndpoints) endpoints_.push_back(entry.endpoint());
    }
    std::reverse(endpoints_.begin(), endpoints_.end());  // they are taken from the back
    connect_next();
  }

  void connect_next() {
    Endpoint endpoint = endpoints_.back();
    endpoints_.pop_back();
    error_code ignored;
    socket_.close(ignored);  // async_connect opens it again for the family of the next address
    socket_.async_connect(endpoint,
                          [self = shared_from_this()](const error_code& error) { self->on_connected(error); });
  }

  void on_connected(const error_code& error) {
    if (!owner_) return;
    if (error && !endpoints_.empty()) return connect_next();
    if (error) {
      return finish({reason_of(error), 0, fmt::format("{}: {}", host_and_port(url_.host, url_.port), error.message())});
    }
    const WebSocketStreamOptions options{options_.connect_timeout, options_.idle_timeout, options_.max_message_bytes,
                                         options_.max_queue_bytes};
    auto stream =
        tls_ ? make_tls_web_socket_stream(loop_, options, tls_, url_.host) : make_web_socket_stream(loop_, options);
    stream->listen(shared_from_this());
    stream_ = stream;
    stream->connect(std::move(socket_), url_.authority(), url_.target, options_.headers);
  }

  // The functions are copied before each call, because a callback may destroy the client that holds them.
  void opened() override {
    if (!owner_) return;
    open_ = true;
    timer_.cancel();
    if (auto callback = owner_->on_open) callback();
  }

  void text(std::string_view text) override {
    if (!owner_) return;
    if (auto callback = owner_->on_text) callback(text);
  }

  void drained() override {}
  void ended(const WebSocketClosed& closed) override { finish(closed); }

  void finish(const WebSocketClosed& closed) {
    open_ = false;
    timer_.cancel();
    auto* owner = std::exchange(owner_, nullptr);
    if (!owner) return;
    if (auto callback = owner->on_closed) callback(closed);
  }

  WebSocketClient* owner_;
  IoLoop::Impl& loop_;
  WebSocketClientOptions options_;
  Url url_;
  std::shared_ptr<TlsContext> tls_;
  TcpResolver resolver_;
  TcpSocket socket_;
  SteadyTimer timer_;
  std::vector<Endpoint> endpoints_;
  std::weak_ptr<WebSocketStream> stream_;
  bool open_ = false;
};

}  // namespace

struct WebSocketClient::Impl {
  IoLoop& loop;
  WebSocketClientOptions options;
  std::shared_ptr<Connection> connection;  // null: closed
};

std::string_view name_of(Reason reason) {
  switch (reason) {
    case Reason::kRefused:
      return "refused";
    case Reason::kUnreachable:
      return "unreachable";
    case Reason::kTimeout:
      return "timeout";
    case Reason::kTls:
      return "tls";
    case Reason::kHandshake:
      return "handshake";
    case Reason::kClosed:
      return "closed";
    case Reason::kReset:
      return "reset";
    case Reason::kCutOff:
      return "cut_off";
    case Reason::kProtocol:
      return "protocol";
  }
  return "unknown";
}

WebSocketClient::WebSocketClient(IoLoop& loop, WebSocketClientOptions options)
    : impl_(std::make_shared<Impl>(Impl{loop, std::move(options), nullptr})) {}

WebSocketClient::~WebSocketClient() { close(); }

void WebSocketClient::open(const std::string& url) {
  close();
  impl_->connection = std::make_shared<Connection>(*this, impl_->loop.impl(), impl_->options);
  auto connection = impl_->connection;
  connection->start(url);
}

bool WebSocketClient::send(std::string text) { return impl_->connection && impl_->connection->send(std::move(text)); }

void WebSocketClient::set_options(WebSocketClientOptions options) { impl_->options = std::move(options); }

void WebSocketClient::close() {
  if (auto connection = std::exchange(impl_->connection, nullptr)) connection->detach();
}

}  // namespace millrace
