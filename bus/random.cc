// SPDX-License-Identifier: Apache-2.0
// The only file that asks the system for randomness.
#include "bus/random.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace millrace {

uint64_t SeededRandom::next() {
  state_ += 0x9E3779B97F4A7C15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

uint64_t random_seed() {
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

uint64_t SystemRandom::next() {
  uint64_t number = 0;
  // Up to 256 bytes come whole (getrandom(2)); without entropy no secret may be made at all.
  if (::getrandom(&number, sizeof number, 0) != sizeof number) {
    std::fputs("the system gives no random numbers\n", stderr);
    std::abort();
  }
  return number;
}

std::string random_bytes(Random& random, size_t size) {
  std::string bytes;
  while (bytes.size() < size) {
    const uint64_t number = random.next();
    bytes.append(reinterpret_cast<const char*>(&number), std::min(sizeof number, size - bytes.size()));
  }
  return bytes;
}

}  // namespace millrace
