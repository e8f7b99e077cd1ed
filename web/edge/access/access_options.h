// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

#include "web/edge/access/address_block.h"
#include "web/edge/access/rate_limits.h"
#include "web/edge/access/session_book.h"

namespace millrace {

struct AccessOptions {
  RateLimitOptions limits;
  AddressBlockOptions block;
  SessionOptions sessions;
  std::filesystem::path sessions_file;  // empty: sessions do not survive the process
  bool tls = false;                     // cookies are for HTTPS alone
};

}  // namespace millrace
