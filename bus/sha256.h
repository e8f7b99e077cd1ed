// SPDX-License-Identifier: Apache-2.0
// SHA-256 by OpenSSL, with the algorithm fetched once: a fetch per digest doubles the cost of short inputs.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace millrace {

using Sha256 = std::array<unsigned char, 32>;

std::string hex_of(const Sha256& hash);  // 64 digits, lower case

// One thread.
class Sha256Digester {
 public:
  Sha256Digester();
  ~Sha256Digester();
  Sha256 digest(std::string_view bytes);
  // The same in parts: begin(), any number of add(), end().
  void begin();
  void add(std::string_view bytes);
  Sha256 end();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
