// SPDX-License-Identifier: Apache-2.0
#include "bus/sha256.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>

namespace millrace {
namespace {

void must(int outcome) {
  if (outcome == 1) return;
  std::fputs("SHA-256 is not available in this OpenSSL\n", stderr);
  std::abort();
}

}  // namespace

std::string hex_of(const Sha256& hash) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : hash) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

struct Sha256Digester::Impl {
  EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() {
    EVP_MD_CTX_free(context);
    EVP_MD_free(algorithm);
  }
};

Sha256Digester::Sha256Digester() : impl_(std::make_unique<Impl>()) {}
Sha256Digester::~Sha256Digester() = default;

void Sha256Digester::begin() { must(EVP_DigestInit_ex(impl_->context, impl_->algorithm, nullptr)); }

void Sha256Digester::add(std::string_view bytes) { must(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size())); }

Sha256 Sha256Digester::end() {
  Sha256 hash{};
  must(EVP_DigestFinal_ex(impl_->context, hash.data(), nullptr));
  return hash;
}

Sha256 Sha256Digester::digest(std::string_view bytes) {
  begin();
  add(bytes);
  return end();
}

}  // namespace millrace
