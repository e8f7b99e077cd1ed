// SPDX-License-Identifier: Apache-2.0
// The client's side of TLS: certificates are verified, names and addresses compared.  For net/ alone.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <string>

#include "bus/result.h"
#include "net/io_loop_impl.h"

namespace millrace {

using TlsContext = asio::ssl::context;
using TlsStream = asio::ssl::stream<TcpSocket>;

// TLS 1.2 or later.  `ca_file` holds the authorities to believe, in PEM; empty: the system's.  kInvalidArgument when it
// cannot be read.
Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string& ca_file);

// Before the handshake: whom it expects to meet, a name or an address.
void expect_peer(TlsStream& stream, const std::string& host);

// Why a handshake failed: OpenSSL's verdict about the certificate where that is the reason, else the error's own words.
std::string tls_failure(TlsStream& stream, const error_code& error);

}  // namespace millrace
