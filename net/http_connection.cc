// SPDX-License-Identifier: Apache-2.0
// One HTTP/1.1 connection.  Beast parses; reading and writing are plain socket operations, because its composed ones
// cost most of the compile time and give nothing here.
#include "net/http_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <cstring>
#include <optional>

#include "bus/logging.h"
#include "net/http_message.h"
#include "net/tls_server.h"
#include "net/url.h"
#include "net/web_socket_stream.h"

namespace millrace {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr size_t kReadBytes = 8u << 10;
// A body has to arrive at least this fast: so many bytes in each body_timeout.
constexpr size_t kMinBodyProgress = 16u << 10;
// After the last answer the client may still be sending; closing at once would reset the connection and lose the
// answer.
constexpr std::chrono::seconds kMaxLinger{2};
constexpr std::chrono::seconds kUrgentPatience{2};  // with each step of a connection beyond max_connections
constexpr size_t kMaxLingerBytes = 8u << 20;
// Within it the service may allow single requests more than the general limit.
constexpr size_t kMaxAnyBody = 64u << 20;
constexpr std::chrono::milliseconds kBusyPause{20};  // before a busy worker is asked again
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

using Parser = http::request_parser<http::string_body>;
using Message = http::request<http::string_body>;

// A decoded path may hold line ends, with which a client could write lines of its own into the log.
std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return text;
}

class Connection;

// One request's right to an answer.  Goes with the last copy of the Responder.
class PendingAnswer {
 public:
  explicit PendingAnswer(std::weak_ptr<Connection> connection) : connection_(std::move(connection)) {}
  PendingAnswer(const PendingAnswer&) = delete;
  PendingAnswer& operator=(const PendingAnswer&) = delete;
  ~PendingAnswer();
  void give(HttpResponse response);

 private:
  std::weak_ptr<Connection> connection_;
  bool given_ = false;
};

class Connection final : public ServerSession, public std::enable_shared_from_this<Connection> {
 public:
  enum class Kind { kOrdinary, kUrgent };

  Connection(std::shared_ptr<ServerCore> core, TcpSocket socket, Kind kind = Kind::kOrdinary)
      : core_(core),
        options_(kind == Kind::kUrgent ? hurried(core->options) : core->options),
        is_urgent_(kind == Kind::kUrgent),
        plain_(std::move(socket)),
        timer_(plain_.get_executor()) {
    error_code error;
    auto remote = plain_.remote_endpoint(error);
    if (!error) remote_ = host_and_port(remote.address().to_string(), remote.port());
  }
  ~Connection() override { leave(); }

  void start() {
    auto core = core_.lock();
    core->add(shared_from_this());
    if (is_urgent_) core->urgent.push_back(this);
    core->tls ? expect_tls() : expect_request();
  }

  void refuse() {
    auto core = core_.lock();
    core->add(shared_from_this());
    tell_to_come_back(*core);
  }

  bool give_way() override {
    if (phase_ == Phase::kServing || phase_ == Phase::kWriting || phase_ == Phase::kClosed) return false;
    drop();
    return true;
  }

  void drop() override {
    auto self = shared_from_this();
    phase_ = Phase::kClosed;
    source_ = nullptr;
    timer_.cancel();
    error_code ignored;
    tcp().close(ignored);
    leave();
  }

  void answer(HttpResponse response) {
    if (phase_ == Phase::kServing) write(std::move(response));
  }

 private:
  enum class Phase { kTls, kIdle, kHeader, kBody, kServing, kWriting, kLinger, kClosed };

  void leave() {
    auto core = core_.lock();
    if (!core || !core->remove(this)) return;
    if (refused_) --core->refused;
    core->urgent.remove(this);
  }

  static HttpServerOptions hurried(HttpServerOptions options) {
    options.idle_timeout = kUrgentPatience;
    options.header_timeout = options.body_timeout = kUrgentPatience;
    return options;
  }

  void tell_to_come_back(ServerCore& core) {
    core.urgent.remove(this);
    ++core.refused;
    refused_ = true;
    HttpResponse response = problem(503, "too_many_connections", "the server has no connection left");
    response.headers.emplace_back("Retry-After", "5");
    write_last(std::move(response));
  }

  TcpSocket& tcp() { return tls_ ? tls_->tcp() : plain_; }

  // --- TLS --------------------------------------------------------------------------------------------------------

  // The first byte tells a browser that was given http:// for https://; it gets a hint instead of a broken connection.
  void expect_tls() {
    phase_ = Phase::kTls;
    start_timer(options_.header_timeout);
    plain_.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](const error_code& error) {
      if (self->phase_ != Phase::kTls) return;
      if (error) return self->drop();
      self->begin_tls();
    });
  }

  void begin_tls() {
    unsigned char first = 0;
    error_code error;
    plain_.non_blocking(true, error);
    const size_t got = plain_.receive(asio::buffer(&first, 1), asio::socket_base::message_peek, error);
    const auto core = core_.lock();
    if (error == asio::error::would_block) return expect_tls();
    if (error || got == 0 || !core) return drop();
    if (first != kTlsHandshakeByte) {
      is_misled_ = true;
      return expect_request();
    }
    tls_ = std::make_unique<TlsConnection>(std::move(plain_), core->tls);
    tls_->handshake([self = shared_from_this()](const error_code& failure, size_t) {
      if (self->phase_ != Phase::kTls) return;
      failure ? self->drop() : self->expect_request();
    });
  }

  // --- time -------------------------------------------------------------------------------------------------------

  void start_timer(std::chrono::steady_clock::duration patience) {
    timer_.expires_after(patience);
    timer_.async_wait([weak = weak_from_this(), turn = ++timer_turn_](const error_code& error) {
      auto self = weak.lock();
      if (!error && self && self->timer_turn_ == turn) self->on_timeout();
    });
  }

  void stop_timer() {
    ++timer_turn_;
    timer_.cancel();
  }

  void on_timeout() {
    if (phase_ == Phase::kHeader || phase_ == Phase::kBody) {
      // The read under way is cancelled and must not be taken for the end of the connection.
      error_code ignored;
      tcp().cancel(ignored);
      return fail(problem(408, "request_timeout", "the request did not arrive in time"));
    }
    drop();
  }

  // --- reading ----------------------------------------------------------------------------------------------------

  void expect_request() {
    phase_ = Phase::kIdle;
    start_timer(options_.idle_timeout);
    advance();
  }

  void read_more() {
    const auto done = [self = shared_from_this(), turn = ++read_turn_](const error_code& error, size_t bytes) {
      if (self->phase_ == Phase::kClosed || self->read_turn_ != turn) return;
      if (error) return self->drop();
      self->received_.commit(bytes);
      if (self->phase_ == Phase::kLinger) return self->discard(bytes);
      self->note_progress(bytes);
      self->advance();
    };
    // What comes after the end of TLS is only waited out.
    if (tls_ && phase_ != Phase::kLinger) {
      const auto room = received_.prepare(kReadBytes);
      tls_->read_some({room.data(), room.size()}, done);
    } else {
      tcp().async_read_some(received_.prepare(kReadBytes), done);
    }
  }

  void note_progress(size_t bytes) {
    if (phase_ != Phase::kBody) return;
    progress_ += bytes;
    if (progress_ < kMinBodyProgress) return;
    progress_ = 0;
    start_timer(options_.body_timeout);
  }

  // Goes on with the bytes that are there.
  void advance() {
    if (phase_ == Phase::kIdle && !begin_request()) return read_more();
    error_code error;
    while (received_.size() > 0 && !parser_->is_done()) {
      size_t used = parser_->put(received_.cdata(), error);
      received_.consume(used);
      if (error == http::error::need_more) break;
      if (error) return fail_parse(error);
      if (phase_ == Phase::kHeader && parser_->is_header_done() && !begin_body()) return;
      if (used == 0) break;
    }
    if (parser_->is_done()) return dispatch();
    if (received_.size() > options_.max_header_bytes) return fail_parse(http::error::header_limit);
    if (needs_continue_ && received_.size() == 0) return write_continue();
    read_more();
  }

  // False when nothing of a request is there yet.
  bool begin_request() {
    while (received_.size() >= 2 && std::memcmp(received_.cdata().data(), "\r\n", 2) == 0) {
      received_.consume(2);  // RFC 9112 2.2: an empty line before a request is skipped
    }
    if (received_.size() == 0 || (received_.size() == 1 && *static_cast<const char*>(received_.cdata().data()) == '\r'))
      return false;
    phase_ = Phase::kHeader;
    progress_ = 0;
    needs_continue_ = false;
    is_head_ = false;
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(options_.max_header_bytes));
    parser_->body_limit(kMaxAnyBody);
    body_limit_ = options_.max_body_bytes;
    start_timer(options_.header_timeout);
    return true;
  }

  // The header is complete.  False when the request was answered because of it.
  bool begin_body() {
    phase_ = Phase::kBody;
    start_timer(options_.body_timeout);
    if (is_misled_) return fail(problem(400, "https_required", "this port speaks HTTPS: use https://")), false;
    const Message& message = parser_->get();
    is_head_ = message.method() == http::verb::head;
    if (!is_token({message.method_string().data(), message.method_string().size()}) ||
        has_lower_case(message.method_string())) {
      return fail(problem(400, "bad_request", "the method is not valid")), false;
    }
    if (message.version() >= 11 && message.count(http::field::host) != 1) {
      return fail(problem(400, "bad_request", "exactly one Host header is required")), false;
    }
    if (is_urgent_ && !may_be_served(message)) return false;
    size_t encodings = message.count(http::field::transfer_encoding);
    if (encodings > 1 || (encodings == 1 && !beast::iequals(message[http::field::transfer_encoding], "chunked"))) {
      return fail(problem(501, "transfer_encoding", "only the transfer encoding chunked is understood")), false;
    }
    auto expect = message[http::field::expect];
    if (!expect.empty() && !beast::iequals(expect, "100-continue")) {
      return fail(problem(417, "expectation_failed", "only 100-continue can be expected")), false;
    }
    if (!limit_body(message)) return fail_parse(http::error::body_limit), false;
    needs_continue_ = !expect.empty() && message.version() >= 11 && !parser_->is_done();
    parser_->eager(true);
    return true;
  }

  // False when an urgent connection was asked for something that can wait.
  bool may_be_served(const Message& message) {
    auto core = core_.lock();
    auto target = parse_request_target({message.target().data(), message.target().size()});
    if (!core || !core->service) return drop(), false;
    const std::string_view method(message.method_string().data(), message.method_string().size());
    if (target && core->service->is_urgent(method, target->path)) return true;
    if (core->metrics.refused != nullptr) core->metrics.refused->add();
    core->refused < ServerCore::kMaxRefused ? tell_to_come_back(*core) : drop();
    return false;
  }

  // False when the body is said to be too large.
  bool limit_body(const Message& message) {
    const auto length = parser_->content_length();
    const bool chunked = message.count(http::field::transfer_encoding) != 0;
    if (chunked || (length && *length > body_limit_)) {
      auto core = core_.lock();
      auto target = parse_request_target({message.target().data(), message.target().size()});
      if (core && core->service && target) {
        const size_t allowed = core->service->max_body_bytes(
            {message.method_string().data(), message.method_string().size()}, target->path);
        body_limit_ = std::clamp(allowed, body_limit_, kMaxAnyBody);
      }
    }
    parser_->body_limit(body_limit_);
    return !length || *length <= body_limit_;
  }

  static bool has_lower_case(beast::string_view text) {
    return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  }

  void write_continue() {
    needs_continue_ = false;
    // 25 bytes into an empty send buffer: they fit, or the connection is no longer any good.
    asio::const_buffer line(kContinue.data(), kContinue.size());
    write_some({line, {}}, [self = shared_from_this()](const error_code& error, size_t bytes) {
      if (self->phase_ != Phase::kBody) return;
      if (error || bytes < kContinue.size()) return self->drop();
      self->read_more();
    });
  }

  // --- serving ----------------------------------------------------------------------------------------------------

  void dispatch() {
    Message message = parser_->release();
    parser_.reset();
    framing_ = {.keep_alive = message.keep_alive() && !is_urgent_, .is_http_1_0 = message.version() < 11};
    auto target = parse_request_target({message.target().data(), message.target().size()});
    if (!target) return fail(problem(400, "bad_target", target.error().context));
    HttpRequest request = to_request(message);
    request.path = std::move(target->path);
    request.query = std::move(target->query);
    phase_ = Phase::kServing;
    stop_timer();
    if (beast::websocket::is_upgrade(message)) {
      upgrade(request);
    } else {
      serve(std::move(request));
    }
  }

  HttpRequest to_request(Message& message) const {
    HttpRequest request;
    request.method = std::string(message.method_string());
    request.headers.reserve(16);
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      request.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request.body = std::move(message.body());
    request.remote = remote_;
    return request;
  }

  // The service is called with this connection kept alive: it may stop or destroy the server.
  void serve(HttpRequest request) {
    auto core = core_.lock();
    if (!core || !core->service) return drop();
    auto self = shared_from_this();
    auto pending = std::make_shared<PendingAnswer>(self);
    Responder respond = [pending = std::move(pending)](HttpResponse response) { pending->give(std::move(response)); };
    std::string what = request.method + " " + printable(request.path);
    guarded(what, [&] { core->service->on_request(std::move(request), std::move(respond)); });
    // `respond` was moved into a parameter: a service that dropped it has caused the 500 by now.
  }

  void upgrade(const HttpRequest& request) {
    if (auto refusal = check_upgrade(request)) return write(std::move(*refusal));
    auto core = core_.lock();
    if (!core || !core->service) return drop();
    auto self = shared_from_this();
    auto web_socket = make_server_web_socket(core, tls_ ? tls_->context() : nullptr);
    std::optional<boost::system::result<WebSocketEvents, HttpResponse>> verdict;
    guarded("upgrade of " + printable(request.path),
            [&] { verdict.emplace(core->service->on_web_socket(request, web_socket->peer())); });
    if (phase_ != Phase::kServing) return;  // the server was stopped meanwhile
    if (!verdict) return write(problem(500, "internal", "the request could not be served"));
    if (verdict->has_error()) return write(verdict->error());
    phase_ = Phase::kClosed;
    leave();
    if (tls_) return web_socket->accept(tls_->take(), request, std::move(**verdict));
    web_socket->accept(std::move(plain_), request, std::move(**verdict));
  }

  std::optional<HttpResponse> check_upgrade(const HttpRequest& request) const {
    if (request.header("sec-websocket-version") != "13") {
      HttpResponse response = problem(426, "web_socket_version", "only WebSocket version 13 is understood");
      response.headers.emplace_back("Sec-WebSocket-Version", "13");
      return response;
    }
    if (!is_web_socket_key(request.header("sec-websocket-key").value_or(""))) {
      return problem(400, "web_socket_key", "Sec-WebSocket-Key is not valid");
    }
    if (!request.body.empty() || received_.size() > 0) {
      return problem(400, "web_socket_early", "nothing may follow an upgrade request before its answer");
    }
    return std::nullopt;
  }

  template <class Call>
  static void guarded(const std::string& what, Call&& call) {
    try {
      call();
    } catch (const std::exception& failure) {
      log_error("net", "{}: the service threw: {}", what, failure.what());
    } catch (...) {
      log_error("net", "{}: the service threw something that is not an exception", what);
    }
  }

  // --- answering --------------------------------------------------------------------------------------------------

  void fail_parse(const error_code& error) {
    if (error == http::error::header_limit) {
      return fail(problem(431, "header_too_large",
                          fmt::format("the header may have at most {} bytes", options_.max_header_bytes)));
    }
    if (error == http::error::body_limit) return refuse_body();
    fail(problem(400, "bad_request", error.message()));
  }

  void refuse_body() {
    HttpResponse refusal =
        problem(413, "body_too_large", fmt::format("the body may have at most {} bytes", body_limit_));
    auto core = core_.lock();
    auto self = shared_from_this();
    Message& message = parser_->get();
    auto target = parse_request_target({message.target().data(), message.target().size()});
    if (core && core->service && target) {
      HttpRequest request = to_request(message);
      request.body.clear();
      request.path = std::move(target->path);
      request.query = std::move(target->query);
      if (core->service->is_urgent(request.method, request.path)) return serve_without_body(std::move(request));
      guarded("body of " + printable(request.path), [&] { core->service->on_body_refused(request, refusal); });
      if (phase_ != Phase::kBody) return;  // the server was stopped meanwhile
    }
    fail(std::move(refusal));
  }

  // What is urgent is done, whatever was to be said with it.  The connection ends with the answer.
  void serve_without_body(HttpRequest request) {
    ++read_turn_;
    framing_ = {.keep_alive = false};
    phase_ = Phase::kServing;
    stop_timer();
    serve(std::move(request));
  }

  // Answers and closes: what follows on this connection cannot be trusted to begin where a request begins.
  void fail(HttpResponse response) {
    if (auto core = core_.lock(); core && core->metrics.rejected != nullptr) core->metrics.rejected->add();
    write_last(std::move(response));
  }

  void write_last(HttpResponse response) {
    ++read_turn_;
    framing_ = {.keep_alive = false};
    write(std::move(response));
  }

  void write(HttpResponse response) {
    phase_ = Phase::kWriting;
    if (response.source && framing_.is_http_1_0) framing_.keep_alive = false;
    auto head = answer_head(response, framing_);
    if (!head) {
      log_error("net", "an answer with status {} has a status or header that cannot be sent", response.status);
      response = problem(500, "internal", "the answer could not be sent");
      head = answer_head(response, framing_);
    }
    head_ = std::move(*head);
    response_ = std::move(response);
    const bool bodiless = is_head_ || !may_have_body(response_.status);
    body_ = bodiless || response_.source ? std::string_view() : body_of(response_);
    if (!bodiless && response_.source) {
      source_ = std::make_shared<const BodySource>(std::move(response_.source));
      chunked_ = !framing_.is_http_1_0;
    }
    written_ = 0;
    write_more();
  }

  void write_more() {
    start_timer(options_.idle_timeout);  // for any progress at all
    std::array<asio::const_buffer, 2> parts{asio::const_buffer(head_.data(), head_.size()),
                                            asio::const_buffer(body_.data(), body_.size())};
    parts[0] += written_;
    parts[1] += written_ - std::min(written_, head_.size());
    write_some(parts, [self = shared_from_this()](const error_code& error, size_t bytes) {
      if (self->phase_ != Phase::kWriting) return;
      if (error) return self->drop();
      self->written_ += bytes;
      if (self->written_ < self->head_.size() + self->body_.size()) return self->write_more();
      self->source_ ? self->ask_source() : self->on_answered();
    });
  }

  template <class Done>
  void write_some(const std::array<asio::const_buffer, 2>& parts, Done done) {
    if (tls_) return tls_->write_some(parts, std::move(done));
    plain_.async_write_some(parts, std::move(done));
  }

  // What is under way on the worker keeps neither this connection nor its socket.
  void ask_source() {
    stop_timer();
    auto core = core_.lock();
    if (!core) return drop();
    const auto ask = [weak = weak_from_this(), source = source_, loop = &core->loop] {
      auto piece = std::make_shared<Result<std::string>>(make_error(Errc::kIo, "the source of a body failed"));
      guarded("a body", [&] { *piece = (*source)(); });
      loop->post([weak, piece] {
        if (auto self = weak.lock()) self->on_piece(std::move(*piece));
      });
    };
    if (!options_.work) return ask();
    if (options_.work(ask)) return;
    timer_.expires_after(kBusyPause);
    timer_.async_wait([weak = weak_from_this(), turn = ++timer_turn_](const error_code& error) {
      auto self = weak.lock();
      if (!error && self && self->timer_turn_ == turn) self->ask_source();
    });
  }

  void on_piece(Result<std::string> piece) {
    if (phase_ != Phase::kWriting) return;
    if (!piece) {
      log_warn("net", "an answer is broken off: {}", piece.error().message());
      return drop();
    }
    response_.body = std::move(*piece);
    const bool last = response_.body.empty();
    if (last) source_ = nullptr;
    head_ = chunked_ ? fmt::format("{:x}\r\n", response_.body.size()) : std::string();
    if (chunked_) response_.body += "\r\n";
    body_ = response_.body;
    written_ = 0;
    if (last && !chunked_) return on_answered();
    write_more();
  }

  void on_answered() {
    response_ = {};
    body_ = {};
    if (framing_.keep_alive) return expect_request();
    phase_ = Phase::kLinger;
    start_timer(kMaxLinger);
    if (!tls_) return linger();
    tls_->shutdown([self = shared_from_this()](const error_code&, size_t) {
      if (self->phase_ == Phase::kLinger) self->linger();
    });
  }

  void linger() {
    error_code ignored;
    tcp().shutdown(asio::socket_base::shutdown_send, ignored);
    received_.clear();
    read_more();
  }

  void discard(size_t bytes) {
    received_.clear();
    lingered_ += bytes;
    if (lingered_ > kMaxLingerBytes) return drop();
    read_more();
  }

  std::weak_ptr<ServerCore> core_;
  const HttpServerOptions options_;
  const bool is_urgent_;                // beyond max_connections
  TcpSocket plain_;                     // until TLS takes it over
  std::unique_ptr<TlsConnection> tls_;  // null: plain HTTP
  SteadyTimer timer_;
  std::string remote_;
  Phase phase_ = Phase::kIdle;
  bool refused_ = false;
  bool is_misled_ = false;  // speaks plain HTTP where HTTPS is spoken
  uint64_t timer_turn_ = 0;
  uint64_t read_turn_ = 0;

  beast::flat_buffer received_;
  std::optional<Parser> parser_;
  size_t progress_ = 0;
  size_t body_limit_ = 0;
  bool needs_continue_ = false;

  AnswerFraming framing_;
  bool is_head_ = false;
  std::string head_;
  HttpResponse response_;
  std::string_view body_;
  std::shared_ptr<const BodySource> source_;  // of an answer that is still being made
  bool chunked_ = false;
  size_t written_ = 0;
  size_t lingered_ = 0;
};

PendingAnswer::~PendingAnswer() {
  auto connection = given_ ? nullptr : connection_.lock();
  if (connection) connection->answer(problem(500, "internal", "the request could not be served"));
}

void PendingAnswer::give(HttpResponse response) {
  if (std::exchange(given_, true)) return log_warn("net", "a second answer to one request was ignored");
  if (auto connection = connection_.lock()) connection->answer(std::move(response));
}

}  // namespace

void serve_http(std::shared_ptr<ServerCore> core, TcpSocket socket) {
  std::make_shared<Connection>(std::move(core), std::move(socket))->start();
}

void serve_urgent_http(std::shared_ptr<ServerCore> core, TcpSocket socket) {
  std::make_shared<Connection>(std::move(core), std::move(socket), Connection::Kind::kUrgent)->start();
}

void refuse_http(std::shared_ptr<ServerCore> core, TcpSocket socket) {
  std::make_shared<Connection>(std::move(core), std::move(socket))->refuse();
}

}  // namespace millrace
