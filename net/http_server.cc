// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "bus/logging.h"
#include "net/http_connection.h"
#include "net/io_loop_impl.h"
#include "net/tls_server.h"
#include "net/url.h"

namespace millrace {
namespace {

using Endpoint = asio::ip::tcp::endpoint;

constexpr std::chrono::milliseconds kAcceptPause{
    100};  // after a failure that would repeat at once, e.g. no descriptors

Result<asio::ip::address> parse_address(const std::string& host) {
  if (host == "localhost") return asio::ip::make_address("127.0.0.1");
  bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  error_code error;
  auto address = asio::ip::make_address(bracketed ? host.substr(1, host.size() - 2) : host, error);
  if (!error && (address.is_v6() || !bracketed)) return address;
  return make_error(Errc::kInvalidArgument,
                    fmt::format("cannot listen on \"{}\": expected an IPv4 or IPv6 address or localhost", host));
}

Error listen_error(const std::string& where, const error_code& error) {
  Errc code = Errc::kIo;
  if (error == asio::error::address_in_use) code = Errc::kConflict;
  if (error == boost::system::errc::address_not_available) code = Errc::kInvalidArgument;
  return make_error(code, fmt::format("cannot listen on {}: {}", where, error.message()));
}

ServerMetrics make_server_metrics(Metrics* metrics) {
  if (metrics == nullptr) return {};
  return {
      &metrics->gauge("millrace_http_connections", "HTTP and WebSocket connections that are open"),
      &metrics->counter("millrace_http_refused_connections_total", "Connections refused because there were too many"),
      &metrics->counter("millrace_http_rejected_requests_total",
                        "Requests that broke a rule of HTTP or a limit of the server")};
}

// One listening socket; replaced, not reused, so that a late completion of an old one cannot touch a new one.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  explicit Listener(std::shared_ptr<ServerCore> core)
      : core_(core), acceptor_(core->loop.impl().context.get_executor()), pause_(acceptor_.get_executor()) {}

  error_code open(const Endpoint& endpoint) {
    error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    return error;
  }

  uint16_t port() const { return port_; }

  void close() {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
  }

  void accept_next() {
    acceptor_.async_accept([self = shared_from_this()](const error_code& error, TcpSocket socket) {
      self->on_accepted(error, std::move(socket));
    });
  }

 private:
  void on_accepted(const error_code& error, TcpSocket socket) {
    auto core = core_.lock();
    if (!core || !acceptor_.is_open()) return;
    if (error && error != asio::error::connection_aborted) return wait_after(error);
    if (!error) admit(core, std::move(socket));
    accept_next();
  }

  static void admit(const std::shared_ptr<ServerCore>& core, TcpSocket socket) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    if (core->sessions.size() - core->refused - core->urgent.size() < core->options.max_connections) {
      serve_http(core, std::move(socket));
      return;
    }
    if (make_urgent_room(*core)) {
      serve_urgent_http(core, std::move(socket));
      return;
    }
    if (core->metrics.refused != nullptr) core->metrics.refused->add();
    // Over TLS the handshake would cost more than the connection that there is no room for.
    if (core->refused < ServerCore::kMaxRefused && !core->tls) refuse_http(core, std::move(socket));
  }

  static bool make_urgent_room(ServerCore& core) {
    if (core.urgent.size() < core.options.urgent_connections) return true;
    const auto waiting = core.urgent;  // a copy: one that gives way takes itself out
    return std::any_of(waiting.begin(), waiting.end(), [](ServerSession* session) { return session->give_way(); });
  }

  void wait_after(const error_code& error) {
    log_warn("net", "cannot accept a connection on port {}: {}", port_, error.message());
    pause_.expires_after(kAcceptPause);
    pause_.async_wait([self = shared_from_this()](const error_code&) {
      if (self->acceptor_.is_open()) self->accept_next();
    });
  }

  std::weak_ptr<ServerCore> core_;
  TcpAcceptor acceptor_;
  SteadyTimer pause_;
  uint16_t port_ = 0;
};

}  // namespace

void ServerCore::add(std::shared_ptr<ServerSession> session) {
  ServerSession* key = session.get();
  sessions.emplace(key, std::move(session));
  if (metrics.connections != nullptr) metrics.connections->set(static_cast<double>(sessions.size()));
}

bool ServerCore::remove(ServerSession* session) {
  if (sessions.erase(session) == 0) return false;
  if (metrics.connections != nullptr) metrics.connections->set(static_cast<double>(sessions.size()));
  return true;
}

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
  std::shared_ptr<ServerCore> core;
  std::shared_ptr<Listener> listener;
  std::unique_ptr<LoopTimer> tls_timer;
  std::string tls_stamp;  // of the files that core->tls is of

  bool is_https() const { return !core->options.tls_certificate.empty() || !core->options.tls_key.empty(); }

  Result<void> load_tls() {
    const HttpServerOptions& options = core->options;
    tls_stamp = tls_files_stamp(options.tls_certificate, options.tls_key);
    auto context = make_tls_server_context(options.tls_certificate, options.tls_key);
    if (!context) return context.error();
    core->tls = std::move(*context);
    tls_timer = std::make_unique<LoopTimer>(core->loop);
    look_at_tls_files_later();
    return {};
  }

  void look_at_tls_files_later() {
    tls_timer->start(core->options.tls_check, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->look_at_tls_files();
    });
  }

  // Where a disk may be waited for.  A pair that cannot be used, as between two copies, is tried again next time, and
  // the one before serves on.
  void look_at_tls_files() {
    look_at_tls_files_later();
    const auto look = [weak = weak_from_this(), loop = &core->loop, certificate = core->options.tls_certificate,
                       key = core->options.tls_key, before = tls_stamp] {
      const std::string stamp = tls_files_stamp(certificate, key);
      if (stamp == before) return;
      auto context = make_tls_server_context(certificate, key);
      if (!context) return log_error("net", "the certificate before is used on: {}", context.error().message());
      loop->post([weak, stamp, made = std::move(*context)] {
        const auto self = weak.lock();
        if (!self) return;
        self->core->tls = made;
        self->tls_stamp = stamp;
        log_info("net", "'{}' was read again: new connections get this certificate",
                 self->core->options.tls_certificate);
      });
    };
    if (!core->options.work) return look();
    (void)core->options.work(look);
  }
};

HttpServer::HttpServer(IoLoop& loop, HttpService& service, const HttpServerOptions& options)
    : impl_(std::make_shared<Impl>()) {
  impl_->core = std::make_shared<ServerCore>(
      ServerCore{loop, &service, options, {}, 0, {}, make_server_metrics(options.metrics), nullptr});
}

HttpServer::~HttpServer() {
  impl_->core->service = nullptr;
  stop();
}

Result<void> HttpServer::listen(const std::string& host, uint16_t port) {
  if (impl_->listener) return make_error(Errc::kInvalidArgument, "the server listens already");
  auto address = parse_address(host);
  if (!address) return address.error();
  if (impl_->is_https()) {
    if (auto loaded = impl_->load_tls(); !loaded) return loaded;
  }
  auto listener = std::make_shared<Listener>(impl_->core);
  if (auto error = listener->open({*address, port})) {
    return listen_error(host_and_port(address->to_string(), port), error);
  }
  listener->accept_next();
  impl_->listener = std::move(listener);
  return {};
}

uint16_t HttpServer::port() const { return impl_->listener ? impl_->listener->port() : 0; }

void HttpServer::stop() {
  if (auto listener = std::exchange(impl_->listener, nullptr)) listener->close();
  impl_->tls_timer = nullptr;
  auto sessions = impl_->core->sessions;  // a copy: a session that ends takes itself out
  for (auto& [_, session] : sessions) session->drop();
}

}  // namespace millrace
