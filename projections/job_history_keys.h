// SPDX-License-Identifier: Apache-2.0
// The keys of the view job_history, and of jobs in other views that keep prints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::job_keys {

inline constexpr std::string_view kJobPrefix = "j/";
inline std::string job(std::string_view id) { return std::string(kJobPrefix) + std::string(id); }
inline std::string detail(std::string_view id) { return "d/" + std::string(id); }

inline std::string big_endian_of(uint64_t number) {
  std::string key(8, '\0');
  for (size_t i = 0; i < 8; ++i) key[i] = static_cast<char>(number >> (56 - 8 * i));
  return key;
}

inline constexpr std::string_view kOrderPrefix = "t/";
// Later starts have smaller keys, so that an ascending scan is newest first.
inline std::string order(int64_t order_us, std::string_view id) {
  const uint64_t ascending = static_cast<uint64_t>(order_us) ^ (uint64_t{1} << 63);
  return std::string(kOrderPrefix) + big_endian_of(~ascending) + std::string(id);
}

// The time in such a key.
inline int64_t order_us_in(std::string_view key) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number = number << 8 | static_cast<uint8_t>(key[kOrderPrefix.size() + i]);
  return static_cast<int64_t>(~number ^ (uint64_t{1} << 63));
}

inline std::string row(std::string_view machine, int64_t start_us) {
  return "r/" + std::string(machine) + "/" + std::to_string(start_us);
}

inline constexpr std::string_view kReasons = "s/reasons";

}  // namespace millrace::job_keys
