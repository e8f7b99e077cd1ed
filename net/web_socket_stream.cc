// SPDX-License-Identifier: Apache-2.0
#include "net/web_socket_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <optional>

#include "bus/logging.h"

namespace millrace {
namespace {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

constexpr size_t kMaxIdleReadBuffer = 256u << 10;  // a larger one is given back after the message that needed it
constexpr size_t kMaxQueuedMessages = 64u << 10;   // beside the bound in bytes, which empty messages would never reach
constexpr size_t kMaxReasonBytes = 123;            // RFC 6455 5.5: a control frame holds 125 bytes, two are the code

// RFC 6455 7.4: what may be put into a close frame.
uint16_t sendable_code(uint16_t code) {
  bool standard = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
  return standard || (code >= 3000 && code <= 4999) ? code : static_cast<uint16_t>(websocket::close_code::normal);
}

std::string_view sendable_reason(std::string_view text) {
  if (text.size() <= kMaxReasonBytes) return text;
  size_t end = kMaxReasonBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not inside a UTF-8 character
  return text.substr(0, end);
}

// Over a plain socket or TLS, either side.
template <class Layer>
class BeastStream final : public WebSocketStream, public std::enable_shared_from_this<BeastStream<Layer>> {
 public:
  static constexpr bool kTls = std::is_same_v<Layer, TlsStream>;
  using std::enable_shared_from_this<BeastStream<Layer>>::shared_from_this;
  using std::enable_shared_from_this<BeastStream<Layer>>::weak_from_this;

  BeastStream(IoLoop::Impl& loop, const WebSocketStreamOptions& options, std::shared_ptr<TlsContext> context = nullptr,
              std::string tls_host = "")
      : context_(std::move(context)),
        tls_host_(std::move(tls_host)),
        socket_(make_layer(loop, context_)),
        deadline_(loop.context.get_executor()),
        options_(options) {
    socket_.set_option(websocket::stream_base::timeout{options.handshake_timeout, options.idle_timeout, true});
    socket_.read_message_max(options.max_message_bytes);
    // One frame per message: Beast would cut each into 4 KiB pieces.
    socket_.auto_fragment(false);
  }

  void listen(std::shared_ptr<WebSocketListener> listener) override { listener_ = std::move(listener); }

  void accept(TcpSocket socket, const HttpRequest& request, const std::string& protocol) override {
    if constexpr (!kTls) {
      take(std::move(socket));
      accept_upgrade(request, protocol);
    }
  }

  void accept(TlsStream stream, const HttpRequest& request, const std::string& protocol) override {
    if constexpr (kTls) {
      // Asio 1.81 forgets what an engine of TLS held that is moved into, so that is moved away first.
      { const TlsStream forgotten(std::move(socket_.next_layer())); }
      socket_.next_layer() = std::move(stream);
      error_code ignored;
      if (aborted_) tcp().close(ignored);
      accept_upgrade(request, protocol);
    }
  }

  void connect(TcpSocket socket, const std::string& host, const std::string& target,
               std::vector<std::pair<std::string, std::string>> headers) override {
    take(std::move(socket));
    socket_.set_option(
        websocket::stream_base::decorator([headers = std::move(headers)](websocket::request_type& request) {
          for (const auto& [name, value] : headers) request.set(name, value);
        }));
    host_ = host;
    target_ = target;
    if constexpr (kTls) {
      expect_peer(socket_.next_layer(), tls_host_);
      socket_.next_layer().async_handshake(asio::ssl::stream_base::client, next(&BeastStream::on_tls));
    } else {
      socket_.async_handshake(answer_, host_, target_, next(&BeastStream::on_handshake));
    }
  }

  bool send(std::shared_ptr<const std::string> text) override {
    if (closing_ || failed_ || queue_.size() >= kMaxQueuedMessages) return false;
    if (text->size() > options_.max_queue_bytes - queued_bytes_) return false;
    queued_bytes_ += text->size();
    queue_.push_back(std::move(text));
    write_next();
    return true;
  }

  size_t queued_bytes() const override { return queued_bytes_; }

  void close(uint16_t code, std::string_view reason) override {
    if (closing_ || failed_) return;
    closing_ = true;
    close_reason_.code = sendable_code(code);
    std::string_view sendable = sendable_reason(reason);
    close_reason_.reason.assign(sendable.data(), sendable.size());
    start_deadline();
    write_next();
  }

  void abort() override {
    if (aborted_ || ended_) return;
    aborted_ = failed_ = closing_ = true;
    if (!cause_) cause_ = {WebSocketClosed::Reason::kReset, 0, "the connection was dropped on this side"};
    error_code ignored;
    // Lingering for no time sends a reset; a plain close would look like an orderly end.
    tcp().set_option(asio::socket_base::linger(true, 0), ignored);
    tcp().close(ignored);
  }

 private:
  using Step = void (BeastStream::*)(const error_code&);

  // One type for every completion, so that Beast's operations are instantiated once each.
  struct Completion {
    std::shared_ptr<BeastStream> self;
    Step step;
    void operator()(const error_code& error, size_t = 0) { ((*self).*step)(error); }
  };
  Completion next(Step step) { return {shared_from_this(), step}; }

  void accept_upgrade(const HttpRequest& request, const std::string& protocol) {
    if (!protocol.empty()) {
      socket_.set_option(websocket::stream_base::decorator([protocol](websocket::response_type& response) {
        response.set(beast::http::field::sec_websocket_protocol, protocol);
      }));
    }
    websocket::request_type upgrade{beast::http::verb::get, "/", 11};
    upgrade.set(beast::http::field::host, request.header("host").value_or(""));
    upgrade.set(beast::http::field::connection, "upgrade");
    upgrade.set(beast::http::field::upgrade, "websocket");
    upgrade.set(beast::http::field::sec_websocket_version, "13");
    upgrade.set(beast::http::field::sec_websocket_key, request.header("sec-websocket-key").value_or(""));
    socket_.async_accept(upgrade, next(&BeastStream::on_handshake));
  }

  void take(TcpSocket socket) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    tcp() = std::move(socket);
    if (aborted_) tcp().close(ignored);  // aborted before it began: the handshake reports it
  }

  static Layer make_layer(IoLoop::Impl& loop, const std::shared_ptr<TlsContext>& context) {
    if constexpr (kTls) {
      return Layer(TcpSocket(loop.context.get_executor()), *context);
    } else {
      return Layer(loop.context.get_executor());
    }
  }

  TcpSocket& tcp() { return beast::get_lowest_layer(socket_); }

  void on_tls(const error_code& error) {
    if constexpr (kTls) {
      if (error && !cause_) cause_ = {WebSocketClosed::Reason::kTls, 0, tls_failure(socket_.next_layer(), error)};
    }
    if (error) return end(error);
    socket_.async_handshake(answer_, host_, target_, next(&BeastStream::on_handshake));
  }

  void on_handshake(const error_code& error) {
    if (error) return end(error);
    open_ = true;
    tell([&] { listener_->opened(); });
    write_next();
    read_next();
  }

  void read_next() { socket_.async_read(received_, next(&BeastStream::on_read)); }

  void on_read(const error_code& error) {
    if (error) return end(error);
    if (!socket_.got_text()) {
      if (!cause_) cause_ = {WebSocketClosed::Reason::kProtocol, 1003, "a binary message"};
      close(1003, "only text is understood");
    } else if (!closing_) {
      auto bytes = received_.cdata();
      tell([&] { listener_->text({static_cast<const char*>(bytes.data()), bytes.size()}); });
    }
    received_.clear();
    if (received_.capacity() > kMaxIdleReadBuffer) received_.shrink_to_fit();
    read_next();
  }

  // Two writes at once abort the process inside Beast, so every path that may start one comes through here.
  void write_next() {
    if (!open_ || writing_ || failed_) return;
    if (!queue_.empty()) {
      writing_ = true;
      socket_.text(true);
      socket_.async_write(asio::const_buffer(queue_.front()->data(), queue_.front()->size()),
                          next(&BeastStream::on_written));
    } else if (closing_) {
      writing_ = true;  // for good: nothing follows a close frame
      socket_.async_close(close_reason_, next(&BeastStream::on_close_done));
    }
  }

  void on_written(const error_code& error) {
    writing_ = false;
    if (ended_) return;
    queued_bytes_ -= queue_.front()->size();
    queue_.pop_front();
    if (error) return fail(error);
    write_next();
    if (queue_.empty() && !closing_) tell([&] { listener_->drained(); });
  }

  void on_close_done(const error_code& error) {
    if (ended_) return;
    if (error) return fail(error);
    if (!cause_) cause_ = describe(websocket::error::closed);
  }

  // Beast tells an error to the first operation that meets it and `operation_aborted` to the others, so the reason is
  // noted here and reported when the read under way ends, which closing the socket makes sure of.
  void fail(const error_code& error) {
    failed_ = true;
    if (!cause_ && error != asio::error::operation_aborted) cause_ = describe(error);
    start_deadline();
    if (error == asio::error::operation_aborted)
      return;  // the read has met the reason itself, and may still be closing
    error_code ignored;
    tcp().close(ignored);
  }

  void start_deadline() {
    deadline_.expires_after(kMaxClosing);
    deadline_.async_wait([weak = weak_from_this()](const error_code& error) {
      auto self = weak.lock();
      if (!error && self) self->abort();
    });
  }

  void end(const error_code& error) {
    if (ended_) return;
    ended_ = failed_ = closing_ = true;
    WebSocketClosed closed = cause_ ? *cause_ : describe(error);
    deadline_.cancel();
    error_code ignored;
    tcp().close(ignored);
    // While a write is under way, its bytes stay.
    queue_.erase(queue_.begin() + (writing_ && !queue_.empty() ? 1 : 0), queue_.end());
    queued_bytes_ = 0;
    auto listener = std::move(listener_);
    if (listener) guarded([&] { listener->ended(closed); });
  }

  WebSocketClosed describe(const error_code& error) const {
    using Reason = WebSocketClosed::Reason;
    if (error == beast::error::timeout) {
      return {Reason::kTimeout, 0, open_ ? "nothing was heard, pings included" : "the handshake took too long"};
    }
    if (!open_) return describe_handshake(error);
    if (error == websocket::error::closed) {
      const auto& reason = socket_.reason();
      return {Reason::kClosed, reason.code, std::string(reason.reason.data(), reason.reason.size())};
    }
    if (error == websocket::error::message_too_big || error == websocket::error::buffer_overflow) {
      return {Reason::kProtocol, 1009, fmt::format("a message above {} bytes", options_.max_message_bytes)};
    }
    if (error == websocket::error::bad_frame_payload) return {Reason::kProtocol, 1007, error.message()};
    if (error == websocket::condition::protocol_violation) return {Reason::kProtocol, 1002, error.message()};
    if (received_.size() > 0) {
      return {Reason::kCutOff, 0, fmt::format("the connection ended in the middle of a message: {}", error.message())};
    }
    return {Reason::kReset, 0, error.message()};
  }

  WebSocketClosed describe_handshake(const error_code& error) const {
    using Reason = WebSocketClosed::Reason;
    if (error != websocket::error::upgrade_declined) return {Reason::kHandshake, 0, error.message()};
    const auto status = static_cast<uint16_t>(answer_.result_int());
    return {Reason::kHandshake, status, fmt::format("the server answered {} instead of 101", status)};
  }

  // A callback that throws ends its own connection and nothing else.
  template <class Callback>
  void tell(Callback&& callback) {
    if (!listener_) return;
    auto keep = listener_;
    if (!guarded(callback)) close(1011, "internal error");
  }

  template <class Callback>
  static bool guarded(Callback&& callback) {
    try {
      callback();
      return true;
    } catch (const std::exception& failure) {
      log_error("net", "a WebSocket callback threw: {}", failure.what());
    } catch (...) {
      log_error("net", "a WebSocket callback threw something that is not an exception");
    }
    return false;
  }

  const std::shared_ptr<TlsContext> context_;  // outlives the stream over it
  const std::string tls_host_;
  std::string host_;
  std::string target_;
  websocket::stream<Layer, false> socket_;  // false: no permessage-deflate
  SteadyTimer deadline_;
  WebSocketStreamOptions options_;
  std::shared_ptr<WebSocketListener> listener_;
  websocket::response_type answer_;
  beast::flat_buffer received_;
  std::deque<std::shared_ptr<const std::string>> queue_;
  size_t queued_bytes_ = 0;
  websocket::close_reason close_reason_;
  std::optional<WebSocketClosed> cause_;  // known before the read reports the end
  bool open_ = false;
  bool writing_ = false;
  bool closing_ = false;
  bool failed_ = false;  // no write is possible any more
  bool aborted_ = false;
  bool ended_ = false;
};

}  // namespace

std::shared_ptr<WebSocketStream> make_web_socket_stream(IoLoop::Impl& loop, const WebSocketStreamOptions& options) {
  return std::make_shared<BeastStream<TcpSocket>>(loop, options);
}

std::shared_ptr<WebSocketStream> make_tls_web_socket_stream(IoLoop::Impl& loop, const WebSocketStreamOptions& options,
                                                            std::shared_ptr<TlsContext> context, std::string host) {
  return std::make_shared<BeastStream<TlsStream>>(loop, options, std::move(context), std::move(host));
}

bool is_web_socket_key(std::string_view key) {
  auto is_base64 = [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/';
  };
  return key.size() == 24 && key.ends_with("==") && std::all_of(key.begin(), key.end() - 2, is_base64);
}

}  // namespace millrace
