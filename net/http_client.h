// SPDX-License-Identifier: Apache-2.0
// A blocking HTTP request, for tools and tests.  Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "bus/result.h"
#include "net/http_types.h"

namespace millrace {

struct HttpClientRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::chrono::milliseconds timeout{10'000};
  size_t max_body_bytes = 64u << 20;
  std::string ca_file;                           // PEM, for https; empty: the system's authorities
  const std::atomic<bool>* cancelled = nullptr;  // once true, the request ends within a second: kUnavailable
};

// "Sat, 21 Nov 2026 20:23:00 GMT", as in Last-Modified; nullopt for anything else.
std::optional<WallTime> parse_http_date(std::string_view text);

// kUnavailable when nobody answers, kTimeout, kTooLarge.  Any status is a value.
Result<HttpResponse> http_request(const HttpClientRequest& request);

}  // namespace millrace
