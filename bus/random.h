// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace millrace {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t next() = 0;
  // Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  // Uniform in [low, high).
  double between(double low, double high) { return low + (high - low) * unit(); }
};

// SplitMix64: the same numbers for the same seed on every machine.
// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : state_(seed) {}
  uint64_t next() override;

 private:
  uint64_t state_;
};

// A seed from the system's entropy.
uint64_t random_seed();

// Every number from the system's entropy: for keys and whatever else nobody may guess.  Any thread.
class SystemRandom final : public Random {
 public:
  uint64_t next() override;
};

// `size` bytes of `random`.
std::string random_bytes(Random& random, size_t size);

}  // namespace millrace
