// SPDX-License-Identifier: Apache-2.0
// HMAC-SHA256 (RFC 2104, FIPS 180-4) by OpenSSL, and comparing secrets without telling by the time it takes.
#pragma once

#include <string_view>

#include "bus/sha256.h"

namespace millrace {

// Any thread.
Sha256 hmac_sha256(std::string_view key, std::string_view text);

// Takes as long for a difference in the first byte as for one in the last.  Lengths are no secret.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace millrace
