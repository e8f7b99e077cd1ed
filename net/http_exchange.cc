// SPDX-License-Identifier: Apache-2.0
#include "net/http_exchange.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "net/tls_client.h"
#include "net/url.h"

namespace millrace {
namespace {

namespace http = boost::beast::http;
using Endpoint = asio::ip::tcp::endpoint;
using Step = HttpExchangeTrace::Index;
using Outcome = HttpExchangeTrace::Outcome;

constexpr size_t kMaxEndpoints = 8;  // of one name
constexpr uint32_t kMaxHeaderBytes = 64u << 10;

bool is_one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

}  // namespace

class HttpExchange::Run : public std::enable_shared_from_this<HttpExchange::Run> {
 public:
  Run(IoLoop& loop, const Clock& clock, HttpExchangeRequest request, Done done)
      : clock_(clock),
        executor_(loop.impl().context.get_executor()),
        request_(std::move(request)),
        done_(std::move(done)),
        resolver_(executor_),
        plain_(executor_),
        timer_(executor_) {}

  void start() {
    if (auto ready = prepare(); !ready) {
      asio::post(executor_, [self = shared_from_this(), error = ready.error()] { self->finish(error); });
      return;
    }
    timer_.expires_after(request_.timeout);
    timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      auto self = weak.lock();
      if (!error && self) self->on_timeout();
    });
    error_code error;
    const auto address = asio::ip::make_address(url_.host, error);
    if (!error) {
      endpoints_ = {Endpoint(address, url_.port)};
      enter(Step::kResolve);
      leave(Outcome::kOk, address.to_string());
      return connect_next();
    }
    enter(Step::kResolve);
    resolver_.async_resolve(url_.host, std::to_string(url_.port),
                            [self = shared_from_this()](const error_code& failure, const auto& results) {
                              self->on_resolved(failure, results);
                            });
  }

  void cancel() {
    done_ = nullptr;
    close();
  }

 private:
  Result<void> prepare() {
    auto url = parse_url(request_.url);
    if (!url) return url.error();
    url_ = std::move(*url);
    if (url_.scheme != "http" && url_.scheme != "https") {
      return make_error(Errc::kInvalidArgument, "the URL must begin with http:// or https://");
    }
    message_.method_string(request_.method);
    if (message_.method() == http::verb::unknown) {
      return make_error(Errc::kInvalidArgument, "the method must be one of HTTP's");
    }
    message_.version(11);
    message_.target(url_.target);
    message_.set(http::field::host, url_.authority());
    message_.set(http::field::connection, "close");
    message_.set(http::field::user_agent, "millrace");
    for (const auto& [name, value] : request_.headers) {
      if (!is_token(name) || !is_one_line(value)) {
        return make_error(Errc::kInvalidArgument, fmt::format("the header {} cannot be sent", name));
      }
      message_.set(name, value);
    }
    message_.body() = request_.body;
    if (!request_.body.empty() || request_.method == "POST") message_.prepare_payload();
    parser_.body_limit(request_.max_body_bytes);
    parser_.header_limit(kMaxHeaderBytes);
    if (url_.scheme == "http") return {};
    auto context = make_tls_context(request_.ca_file);
    if (!context) return context.error();
    context_ = std::move(*context);
    return {};
  }

  void on_resolved(const error_code& error, const asio::ip::tcp::resolver::results_type& results) {
    if (!done_) return;
    if (error) return fail(Errc::kUnavailable, fmt::format("{}: {}", url_.host, error.message()));
    for (const auto& entry : results) {
      if (endpoints_.size() < kMaxEndpoints) endpoints_.push_back(entry.endpoint());
    }
    if (endpoints_.empty()) return fail(Errc::kUnavailable, fmt::format("{}: no address", url_.host));
    leave(Outcome::kOk, endpoints_.front().address().to_string());
    std::reverse(endpoints_.begin(), endpoints_.end());  // they are taken from the back
    connect_next();
  }

  void connect_next() {
    if (step_ != Step::kConnect) enter(Step::kConnect);
    const Endpoint endpoint = endpoints_.back();
    endpoints_.pop_back();
    error_code ignored;
    plain_.close(ignored);  // async_connect opens it again for the family of the next address
    plain_.async_connect(endpoint, [self = shared_from_this(), endpoint](const error_code& error) {
      self->on_connected(error, endpoint);
    });
  }

  void on_connected(const error_code& error, const Endpoint& endpoint) {
    if (!done_) return;
    if (error && !endpoints_.empty()) return connect_next();
    const std::string where = host_and_port(endpoint.address().to_string(), endpoint.port());
    if (error) return fail(Errc::kUnavailable, fmt::format("{}: {}", where, error.message()));
    leave(Outcome::kOk, where);
    error_code ignored;
    plain_.set_option(asio::ip::tcp::no_delay(true), ignored);
    if (!context_) return exchange(plain_);
    enter(Step::kTls);
    tls_.emplace(std::move(plain_), *context_);
    expect_peer(*tls_, url_.host);
    tls_->async_handshake(asio::ssl::stream_base::client,
                          [self = shared_from_this()](const error_code& failure) { self->on_tls(failure); });
  }

  void on_tls(const error_code& error) {
    if (!done_) return;
    if (error) return fail(Errc::kUnavailable, tls_failure(*tls_, error));
    leave(Outcome::kOk, SSL_get_version(tls_->native_handle()));
    exchange(*tls_);
  }

  template <class Stream>
  void exchange(Stream& stream) {
    enter(Step::kAnswer);
    http::async_write(stream, message_, [self = shared_from_this(), &stream](const error_code& error, size_t) {
      if (!self->done_) return;
      if (error) return self->fail(Errc::kUnavailable, error.message());
      http::async_read(stream, self->buffer_, self->parser_,
                       [self](const error_code& failure, size_t) { self->on_answer(failure); });
    });
  }

  void on_answer(const error_code& error) {
    if (!done_) return;
    if (error == http::error::body_limit || error == http::error::header_limit) {
      return fail(Errc::kTooLarge, fmt::format("the answer is larger than {} bytes", request_.max_body_bytes));
    }
    if (error && error.category() == http::make_error_code(http::error::bad_version).category()) {
      return fail(error == http::error::end_of_stream ? Errc::kUnavailable : Errc::kMalformed,
                  fmt::format("the answer is not HTTP: {}", error.message()));
    }
    if (error) return fail(Errc::kUnavailable, error.message());
    HttpResponse response;
    response.status = static_cast<int>(parser_.get().result_int());
    response.content_type.clear();
    for (const auto& field : parser_.get()) {
      std::string name(field.name_string().data(), field.name_string().size());
      for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      std::string value(field.value().data(), field.value().size());
      if (name == "content-type") response.content_type = value;
      response.headers.emplace_back(std::move(name), std::move(value));
    }
    response.body = std::move(parser_.get().body());
    leave(Outcome::kOk, std::to_string(response.status));
    finish(std::move(response));
  }

  void on_timeout() {
    if (done_) fail(Errc::kTimeout, fmt::format("nothing within {} ms", request_.timeout.count()));
  }

  void enter(Step step) {
    step_ = step;
    step_began_ = clock_.monotonic();
  }

  void leave(Outcome outcome, std::string detail) {
    const auto took = clock_.monotonic() - step_began_;
    trace_.steps.at(step_) = {outcome, std::chrono::duration_cast<std::chrono::microseconds>(took), std::move(detail)};
  }

  void fail(Errc code, const std::string& why) {
    leave(Outcome::kFailed, why);
    finish(make_error(code, why));
  }

  void finish(Result<HttpResponse> result) {
    const auto done = std::exchange(done_, nullptr);
    close();
    if (done) done(std::move(result), trace_);
  }

  void close() {
    timer_.cancel();
    resolver_.cancel();
    error_code ignored;
    tls_ ? tls_->next_layer().close(ignored) : plain_.close(ignored);
  }

  const Clock& clock_;
  LoopExecutor executor_;
  const HttpExchangeRequest request_;
  Done done_;
  Url url_;
  TcpResolver resolver_;
  TcpSocket plain_;
  SteadyTimer timer_;
  std::shared_ptr<TlsContext> context_;  // outlives the stream
  std::optional<TlsStream> tls_;
  std::vector<Endpoint> endpoints_;
  http::request<http::string_body> message_;
  http::response_parser<http::string_body> parser_;
  boost::beast::flat_buffer buffer_;
  HttpExchangeTrace trace_;
  Step step_ = Step::kResolve;
  MonotonicTime step_began_{};
};

HttpExchange::HttpExchange(IoLoop& loop, const Clock& clock) : loop_(loop), clock_(clock) {}
HttpExchange::~HttpExchange() { cancel(); }

void HttpExchange::start(HttpExchangeRequest request, Done done) {
  cancel();
  run_ = std::make_shared<Run>(loop_, clock_, std::move(request), std::move(done));
  const auto run = run_;
  run->start();
}

void HttpExchange::cancel() {
  if (const auto run = std::exchange(run_, nullptr)) run->cancel();
}

}  // namespace millrace
