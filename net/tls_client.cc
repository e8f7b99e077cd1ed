// SPDX-License-Identifier: Apache-2.0
#include "net/tls_client.h"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/ip/address.hpp>

namespace millrace {

Result<std::shared_ptr<TlsContext>> make_tls_context(const std::string& ca_file) {
  auto context = std::make_shared<TlsContext>(TlsContext::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  context->set_verify_mode(asio::ssl::verify_peer);
  error_code error;
  if (ca_file.empty()) {
    context->set_default_verify_paths(error);
  } else {
    context->load_verify_file(ca_file, error);
  }
  if (!error) return context;
  return make_error(Errc::kInvalidArgument, fmt::format("certificates of '{}': {}; expected a readable PEM file",
                                                        ca_file.empty() ? "the system" : ca_file, error.message()));
}

void expect_peer(TlsStream& stream, const std::string& host) {
  SSL* ssl = stream.native_handle();
  error_code error;
  asio::ip::make_address(host, error);
  if (error) {
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set1_host(ssl, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  }
}

std::string tls_failure(TlsStream& stream, const error_code& error) {
  const long verdict = SSL_get_verify_result(stream.native_handle());
  if (verdict == X509_V_OK) return fmt::format("TLS: {}", error.message());
  return fmt::format("TLS: the certificate is not accepted: {}", X509_verify_cert_error_string(verdict));
}

}  // namespace millrace
