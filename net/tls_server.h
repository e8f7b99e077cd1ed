// SPDX-License-Identifier: Apache-2.0
// The server's side of TLS.  For net/ alone.  Its completions are std::functions, so that OpenSSL's operations are
// instantiated once, in tls_server.cc.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "bus/result.h"
#include "net/io_loop_impl.h"
#include "net/tls_client.h"

namespace millrace {

// TLS 1.2 or later, forward secret.  kInvalidArgument when a file cannot be read, is no PEM, or the key is another
// certificate's.
Result<std::shared_ptr<TlsContext>> make_tls_server_context(const std::string& certificate, const std::string& key);

// What tells one state of both files from another; "" while one is missing.
std::string tls_files_stamp(const std::string& certificate, const std::string& key);

// A TLS record begins so; a request line begins with a letter.
inline constexpr unsigned char kTlsHandshakeByte = 0x16;

// One connection.  At most one read and one write at a time; the owner lives until their completions have run.
class TlsConnection {
 public:
  using Done = std::function<void(const error_code&, size_t)>;

  TlsConnection(TcpSocket socket, std::shared_ptr<TlsContext> context)
      : context_(std::move(context)), stream_(std::move(socket), *context_) {}

  void handshake(Done done);
  void read_some(asio::mutable_buffer into, Done done);
  // Takes what one record holds of the first buffer that has something.
  void write_some(const std::array<asio::const_buffer, 2>& buffers, Done done);
  // Says that nothing more will come, and waits for the client to say so too.
  void shutdown(Done done);

  TcpSocket& tcp() { return stream_.next_layer(); }
  // For a WebSocket, which goes on with it.
  TlsStream take() { return std::move(stream_); }
  std::shared_ptr<TlsContext> context() const { return context_; }

 private:
  const std::shared_ptr<TlsContext> context_;  // outlives the stream
  TlsStream stream_;
};

}  // namespace millrace
