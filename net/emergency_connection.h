// SPDX-License-Identifier: Apache-2.0
// One connection to a Moonraker, plain or over TLS, on which requests may be sent while others are unanswered; answers
// come in their order.  For net/ alone.
//
// Loop's thread only.  Lives as long as an operation of its is under way; nothing is called after close().
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bus/result.h"
#include "net/io_loop_impl.h"
#include "net/moonraker_reply.h"
#include "net/tls_client.h"

namespace millrace {

class EmergencyConnection : public std::enable_shared_from_this<EmergencyConnection> {
 public:
  using Endpoint = asio::ip::tcp::endpoint;
  using Endpoints = std::vector<Endpoint>;
  using OnOpen = std::function<void(const std::string& failure)>;  // "": it is open
  using OnSent = std::function<void()>;                            // the kernel has all of its bytes
  using OnAnswer = std::function<void(const Result<MoonrakerReply>&)>;

  static constexpr size_t kMaxUnanswered = 32;

  // Over TLS with a context, to a peer that proves to be `host`.
  EmergencyConnection(const LoopExecutor& executor, std::shared_ptr<TlsContext> tls, std::string host);

  // Called once when an open connection ends by itself.
  std::function<void(const std::string& why)> on_ended;

  // Tries one endpoint after the other.
  void open(Endpoints endpoints, OnOpen on_open);
  bool is_open() const { return open_ && !closed_; }
  // Hands what the socket has room for to the kernel before it returns.  False when it cannot be sent; nothing is
  // called then.
  bool ask(std::string request, OnSent on_sent, OnAnswer on_answer);
  void close();

 private:
  struct Outgoing {
    std::string bytes;
    OnSent on_sent;
  };

  void connect_next();
  void on_connected(const boost::system::error_code& error, const Endpoint& endpoint);
  void opened();
  void write_next();
  template <class Stream>
  void write_on(Stream& stream);
  void on_written(const boost::system::error_code& error);
  void read_next();
  template <class Stream>
  void read_on(Stream& stream);
  void on_read(const boost::system::error_code& error);
  void fail(const std::string& why);

  TcpSocket plain_;
  const std::shared_ptr<TlsContext> context_;  // outlives the stream over it
  const std::string host_;
  std::optional<TlsStream> tls_;
  Endpoints endpoints_;
  OnOpen on_open_;
  std::deque<Outgoing> outgoing_;
  std::deque<OnAnswer> waiting_;
  std::optional<boost::beast::http::response_parser<boost::beast::http::string_body>> parser_;
  boost::beast::flat_buffer buffer_;
  bool writing_ = false;
  bool open_ = false;
  bool closed_ = false;
};

}  // namespace millrace
