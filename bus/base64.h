// SPDX-License-Identifier: Apache-2.0
// Bytes as text: RFC 4648.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

// Section 4, with padding: "" for no bytes; "TQ==" for "M".
std::string base64(std::string_view bytes);
// Section 5, without padding, for URLs, headers and file names: "TQ" for "M".
std::string base64url(std::string_view bytes);

}  // namespace millrace
