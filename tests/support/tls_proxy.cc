// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tls_proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>

#include "bus/child_process.h"

namespace millrace::testing {
namespace {

constexpr int kPollMs = 50;

int loopback_socket(uint16_t port, bool listens) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const int made = listens ? ::bind(socket, generic, sizeof address) : ::connect(socket, generic, sizeof address);
  if (made == 0 && listens) ::listen(socket, 16);
  if (made == 0) return socket;
  ::close(socket);
  return -1;
}

void run(const std::filesystem::path& directory, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "openssl");
  auto child = ChildProcess::start(arguments, directory / "openssl.log").value();
  ASSERT_EQ(child.wait(), 0) << "openssl " << arguments.at(1);
}

}  // namespace

TestCertificates::TestCertificates(const std::filesystem::path& directory, const std::string& name)
    : authority(directory / "authority.pem"), certificate(directory / "server.pem"), key(directory / "server.key") {
  const std::string ca_key = directory / "authority.key";
  const std::string request = directory / "server.csr";
  const std::string extensions = directory / "server.ext";
  const bool is_address = name.find_first_not_of("0123456789.") == std::string::npos;
  std::ofstream(extensions) << "subjectAltName=" << (is_address ? "IP:" : "DNS:") << name << "\n";
  run(directory, {"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", "/CN=Test authority", "-keyout", ca_key, "-out", authority.string()});
  run(directory, {"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                  "-keyout", key.string(), "-out", request});
  run(directory, {"x509", "-req", "-in", request, "-CA", authority.string(), "-CAkey", ca_key, "-CAcreateserial",
                  "-days", "2", "-extfile", extensions, "-out", certificate.string()});
}

struct TlsProxy::Context {
  SSL_CTX* tls = SSL_CTX_new(TLS_server_method());
  ~Context() { SSL_CTX_free(tls); }
};

TlsProxy::TlsProxy(const TestCertificates& certificates, uint16_t backend_port)
    : context_(std::make_unique<Context>()), backend_port_(backend_port), listener_(loopback_socket(0, true)) {
  SSL_CTX_use_certificate_file(context_->tls, certificates.certificate.c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_use_PrivateKey_file(context_->tls, certificates.key.c_str(), SSL_FILETYPE_PEM);
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept(); });
}

TlsProxy::~TlsProxy() {
  stopping_ = true;
  acceptor_.join();
  for (std::thread& connection : connections_) connection.join();
  ::close(listener_);
}

void TlsProxy::accept() {
  while (!stopping_) {
    pollfd waits{listener_, POLLIN, 0};
    if (::poll(&waits, 1, kPollMs) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) connections_.emplace_back([this, client] { serve(client); });
  }
}

void TlsProxy::serve(int client) {
  // OpenSSL writes without MSG_NOSIGNAL: a client that has gone must not end the test.
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  SSL* tls = SSL_new(context_->tls);
  SSL_set_fd(tls, client);
  const int backend = SSL_accept(tls) == 1 ? loopback_socket(backend_port_, false) : -1;
  std::array<char, 16'384> bytes{};
  bool open = backend >= 0;
  while (open && !stopping_) {
    pollfd waits[] = {{client, POLLIN, 0}, {backend, POLLIN, 0}};
    if (SSL_pending(tls) == 0 && ::poll(waits, 2, kPollMs) <= 0) continue;
    if (SSL_pending(tls) > 0 || (waits[0].revents & (POLLIN | POLLHUP)) != 0) {
      const int got = SSL_read(tls, bytes.data(), bytes.size());
      open = got > 0 && ::send(backend, bytes.data(), static_cast<size_t>(got), MSG_NOSIGNAL) == got;
    }
    if (open && (waits[1].revents & (POLLIN | POLLHUP)) != 0) {
      const auto got = ::recv(backend, bytes.data(), bytes.size(), 0);
      open = got > 0 && SSL_write(tls, bytes.data(), static_cast<int>(got)) == got;
    }
  }
  if (backend >= 0) ::close(backend);
  SSL_shutdown(tls);
  SSL_free(tls);
  ::close(client);
}

}  // namespace millrace::testing
