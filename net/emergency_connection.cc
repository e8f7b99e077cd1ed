// SPDX-License-Identifier: Apache-2.0
#include "net/emergency_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

#include "net/url.h"

namespace millrace {
namespace {

namespace http = boost::beast::http;

constexpr uint32_t kMaxHeader = 64u << 10;

}  // namespace

EmergencyConnection::EmergencyConnection(const LoopExecutor& executor, std::shared_ptr<TlsContext> tls,
                                         std::string host)
    : plain_(executor), context_(std::move(tls)), host_(std::move(host)) {}

void EmergencyConnection::open(Endpoints endpoints, OnOpen on_open) {
  endpoints_ = std::move(endpoints);
  std::reverse(endpoints_.begin(), endpoints_.end());  // they are taken from the back
  on_open_ = std::move(on_open);
  connect_next();
}

bool EmergencyConnection::ask(std::string request, OnSent on_sent, OnAnswer on_answer) {
  if (!is_open() || waiting_.size() >= kMaxUnanswered) return false;
  waiting_.push_back(std::move(on_answer));
  outgoing_.push_back({std::move(request), std::move(on_sent)});
  write_next();
  return true;
}

void EmergencyConnection::close() {
  closed_ = true;
  on_open_ = nullptr;
  on_ended = nullptr;
  waiting_.clear();
  error_code ignored;
  tls_ ? tls_->next_layer().close(ignored) : plain_.close(ignored);
}

void EmergencyConnection::connect_next() {
  if (endpoints_.empty()) return fail("no address");
  const Endpoint endpoint = endpoints_.back();
  endpoints_.pop_back();
  error_code ignored;
  plain_.close(ignored);
  plain_.async_connect(endpoint, [self = shared_from_this(), endpoint](const error_code& error) {
    self->on_connected(error, endpoint);
  });
}

void EmergencyConnection::on_connected(const error_code& error, const Endpoint& endpoint) {
  if (closed_) return;
  if (error && !endpoints_.empty()) return connect_next();
  if (error) {
    return fail(fmt::format("{}: {}", host_and_port(endpoint.address().to_string(), endpoint.port()), error.message()));
  }
  error_code ignored;
  plain_.set_option(asio::ip::tcp::no_delay(true), ignored);
  if (!context_) return opened();
  tls_.emplace(std::move(plain_), *context_);
  expect_peer(*tls_, host_);
  tls_->async_handshake(asio::ssl::stream_base::client, [self = shared_from_this()](const error_code& failure) {
    if (self->closed_) return;
    if (failure) return self->fail(tls_failure(*self->tls_, failure));
    self->opened();
  });
}

void EmergencyConnection::opened() {
  open_ = true;
  read_next();
  if (const auto on_open = std::exchange(on_open_, nullptr)) on_open("");
}

void EmergencyConnection::write_next() {
  if (writing_ || outgoing_.empty() || closed_) return;
  writing_ = true;
  tls_ ? write_on(*tls_) : write_on(plain_);
}

template <class Stream>
void EmergencyConnection::write_on(Stream& stream) {
  asio::async_write(stream, asio::buffer(outgoing_.front().bytes),
                    [self = shared_from_this()](const error_code& error, size_t) { self->on_written(error); });
}

void EmergencyConnection::on_written(const error_code& error) {
  if (closed_) return;
  writing_ = false;
  const OnSent on_sent = std::move(outgoing_.front().on_sent);
  outgoing_.pop_front();
  if (error) return fail(error.message());
  if (on_sent) on_sent();
  write_next();
}

// Also while nothing was asked, so that an end of the connection is noticed when it comes.
void EmergencyConnection::read_next() {
  parser_.emplace();
  parser_->body_limit(kMaxMoonrakerReply);
  parser_->header_limit(kMaxHeader);
  tls_ ? read_on(*tls_) : read_on(plain_);
}

template <class Stream>
void EmergencyConnection::read_on(Stream& stream) {
  http::async_read(stream, buffer_, *parser_,
                   [self = shared_from_this()](const error_code& error, size_t) { self->on_read(error); });
}

void EmergencyConnection::on_read(const error_code& error) {
  if (closed_) return;
  if (error == http::error::end_of_stream) return fail("Moonraker closed the connection");
  if (error) return fail(error.message());
  if (waiting_.empty()) return fail("an answer that nobody asked for");
  MoonrakerReply answer;
  answer.status = static_cast<int>(parser_->get().result_int());
  answer.keep_alive = parser_->keep_alive();
  answer.body = std::move(parser_->get().body());
  const OnAnswer on_answer = std::move(waiting_.front());
  waiting_.pop_front();
  const bool goes_on = answer.keep_alive;
  on_answer(Result<MoonrakerReply>(std::move(answer)));
  if (closed_) return;
  if (!goes_on) return fail("Moonraker closed the connection");
  read_next();
}

void EmergencyConnection::fail(const std::string& why) {
  const auto on_open = std::exchange(on_open_, nullptr);
  const auto ended = std::exchange(on_ended, nullptr);
  const auto waiting = std::exchange(waiting_, {});
  const bool was_open = std::exchange(open_, false);
  close();
  const Result<MoonrakerReply> failure(make_error(Errc::kUnavailable, why));
  for (const OnAnswer& on_answer : waiting) on_answer(failure);
  if (on_open) on_open(why);
  if (was_open && ended) ended(why);
}

}  // namespace millrace
