// SPDX-License-Identifier: Apache-2.0
// The only file that asks the system for randomness.
#include "bus/random.h"

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

}  // namespace millrace
