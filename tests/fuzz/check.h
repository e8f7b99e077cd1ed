// SPDX-License-Identifier: Apache-2.0
// What a fuzzer expects of the code, besides that it survives.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace millrace::fuzz {

inline void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view as_text(const unsigned char* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace millrace::fuzz
