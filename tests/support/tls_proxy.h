// SPDX-License-Identifier: Apache-2.0
// A TLS server for tests that hands what it decrypts to a plain port, with certificates made for the occasion.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace millrace::testing {

// An authority of the test's own and a certificate of it for `name`, made by the openssl command in `directory`.
struct TestCertificates {
  TestCertificates(const std::filesystem::path& directory, const std::string& name);
  std::filesystem::path authority;    // what a client should believe
  std::filesystem::path certificate;  // of the server
  std::filesystem::path key;
};

// Serves until it is destroyed, each connection in a thread of its own.
class TlsProxy {
 public:
  TlsProxy(const TestCertificates& certificates, uint16_t backend_port);
  ~TlsProxy();
  uint16_t port() const { return port_; }

 private:
  void accept();
  void serve(int client);

  struct Context;
  std::unique_ptr<Context> context_;
  const uint16_t backend_port_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

}  // namespace millrace::testing
