// SPDX-License-Identifier: Apache-2.0
#include "bus/hmac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdio>
#include <cstdlib>

namespace millrace {

Sha256 hmac_sha256(std::string_view key, std::string_view text) {
  Sha256 code{};
  unsigned int size = 0;
  const auto* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                          reinterpret_cast<const unsigned char*>(text.data()), text.size(), code.data(), &size);
  if (made == nullptr || size != code.size()) {
    std::fputs("HMAC-SHA256 is not available in this OpenSSL\n", stderr);
    std::abort();
  }
  return code;
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace millrace
