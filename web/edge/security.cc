// SPDX-License-Identifier: Apache-2.0
#include "web/edge/security.h"

#include <fmt/format.h>

#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr std::string_view kContentSecurityPolicy =
    "default-src 'self'; connect-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "localhost" of "localhost:8080", "::1" of "[::1]:8080".
std::string host_name(std::string_view host) {
  if (host.starts_with('[')) return lower(host.substr(1, host.find(']') - 1));
  return lower(host.substr(0, host.find(':')));
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" || host.starts_with("127.");
}

}  // namespace

void add_security_headers(HttpResponse& response, std::chrono::seconds hsts) {
  response.headers.emplace_back("Content-Security-Policy", kContentSecurityPolicy);
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("X-Frame-Options", "DENY");
  response.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
  response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  if (hsts.count() > 0) {
    response.headers.emplace_back("Strict-Transport-Security", "max-age=" + std::to_string(hsts.count()));
  }
}

std::optional<HttpResponse> refuse_host(const HttpRequest& request, std::string_view listen_host) {
  const auto host = request.header("host");
  if (!host || !is_loopback(listen_host)) return std::nullopt;
  const std::string name = host_name(*host);
  if (name == "localhost" || name == "127.0.0.1" || name == "::1" || name == host_name(listen_host))
    return std::nullopt;
  return api_problem(
      421, "host_not_allowed",
      fmt::format("Host '{}' is not served here: expected localhost, 127.0.0.1 or [::1]", host->substr(0, 100)));
}

std::optional<HttpResponse> refuse_origin(const HttpRequest& request) {
  const auto origin = request.header("origin");
  if (!origin) return std::nullopt;
  const std::string host = lower(request.header("host").value_or(""));
  const std::string given = lower(*origin);
  if (!host.empty() && (given == "http://" + host || given == "https://" + host)) return std::nullopt;
  return api_problem(403, "origin_not_allowed",
                     fmt::format("Origin '{}' is not the host '{}' that it talks to", origin->substr(0, 100), host));
}

}  // namespace millrace
