// SPDX-License-Identifier: Apache-2.0
#include "net/tls_server.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

namespace millrace {
namespace {

// Mozilla's "intermediate" list without its DHE suites: everything that a browser of the last ten years speaks.
constexpr const char* kTls12Ciphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

Error file_error(const std::string& file, const std::string& what, const char* expected) {
  return make_error(Errc::kInvalidArgument, fmt::format("'{}': {}; expected {}", file, what, expected));
}

std::string stamp_of(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  return fmt::format("{}.{}.{}.{}", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

}  // namespace

Result<std::shared_ptr<TlsContext>> make_tls_server_context(const std::string& certificate, const std::string& key) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_cipher_list(native, kTls12Ciphers);
  error_code error;
  context->use_certificate_chain_file(certificate, error);
  if (error) return file_error(certificate, error.message(), "a PEM file with the certificate and those above it");
  context->use_private_key_file(key, TlsContext::pem, error);
  if (error) return file_error(key, error.message(), "the PEM file of the certificate's private key");
  if (SSL_CTX_check_private_key(native) != 1) {
    ERR_clear_error();
    return file_error(key, "is the key of another certificate", "that of the certificate");
  }
  return context;
}

std::string tls_files_stamp(const std::string& certificate, const std::string& key) {
  const std::string first = stamp_of(certificate);
  const std::string second = stamp_of(key);
  return first.empty() || second.empty() ? std::string() : first + "/" + second;
}

void TlsConnection::handshake(Done done) {
  stream_.async_handshake(asio::ssl::stream_base::server,
                          [done = std::move(done)](const error_code& error) { done(error, 0); });
}

void TlsConnection::read_some(asio::mutable_buffer into, Done done) { stream_.async_read_some(into, std::move(done)); }

void TlsConnection::write_some(const std::array<asio::const_buffer, 2>& buffers, Done done) {
  stream_.async_write_some(buffers[0].size() > 0 ? buffers[0] : buffers[1], std::move(done));
}

void TlsConnection::shutdown(Done done) {
  stream_.async_shutdown([done = std::move(done)](const error_code& error) { done(error, 0); });
}

}  // namespace millrace
