// SPDX-License-Identifier: Apache-2.0
#include "projections/view_store.h"

namespace millrace {

KeyRange KeyRange::prefix(std::string_view prefix) {
  // The end is the prefix with its last byte that is not 0xFF counted up by one.
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xFF) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return {std::string(prefix), std::move(end)};
}

}  // namespace millrace
