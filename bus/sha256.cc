// SPDX-License-Identifier: Apache-2.0
#include "bus/sha256.h"

#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>

namespace millrace {

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

Sha256 Sha256Digester::digest(std::string_view bytes) {
  Sha256 hash{};
  if (EVP_DigestInit_ex(impl_->context, impl_->algorithm, nullptr) != 1 ||
      EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(impl_->context, hash.data(), nullptr) != 1) {
    std::fputs("SHA-256 is not available in this OpenSSL\n", stderr);
    std::abort();
  }
  return hash;
}

}  // namespace millrace
