// SPDX-License-Identifier: Apache-2.0
// Taking URLs and request targets apart.  Pure functions on hostile input.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bus/result.h"

namespace millrace {

// "http://[::1]:7125/websocket?a=1" -> {"http", "::1", 7125, "/websocket?a=1"}.
struct Url {
  std::string scheme;  // lower case
  std::string host;    // a name or an address, IPv6 without its brackets
  uint16_t port = 0;
  std::string target;  // path and query as they were written, at least "/"

  std::string authority() const;  // for the Host header: without the scheme's own port, IPv6 in brackets
};

// http, ws, https and wss.  kInvalidArgument for other schemes, for user names and passwords (they would end up in
// logs), for fragments, and for anything that could not be sent in a request line.
Result<Url> parse_url(std::string_view text);

struct RequestTarget {
  std::string path;  // decoded, begins with '/'
  std::vector<std::pair<std::string, std::string>> query;
};

// "/a%20b?c=d+e" or "http://host/a%20b?c=d+e" -> {"/a b", {{"c", "d e"}}}.  '+' is a space in the query only.
// kMalformed for an invalid escape, NUL, a ".." segment (also an escaped one) or anything without a path.
Result<RequestTarget> parse_request_target(std::string_view target);

enum class Plus { kLiteral, kSpace };

// kMalformed for '%' without two hexadecimal digits and for an escaped or plain NUL.
Result<std::string> percent_decode(std::string_view text, Plus plus);

// A path for a URL: all but letters, digits, "-._~" and "/" becomes %XX, byte by byte.
std::string percent_encode_path(std::string_view path);

// "host:port", IPv6 in brackets.
std::string host_and_port(std::string_view host, uint16_t port);

}  // namespace millrace
