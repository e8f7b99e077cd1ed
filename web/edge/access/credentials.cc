// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/credentials.h"

#include <fmt/format.h>

#include "web/edge/access/address_block.h"
#include "web/edge/security.h"

namespace millrace {
namespace {

constexpr std::string_view kBearer = "bearer ";
constexpr std::string_view kProtocolKey = "key.";
constexpr size_t kMaxCookies = 8;

std::string_view cookie_name(bool tls) { return tls ? "__Host-millrace_session" : "millrace_session"; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Each part between the separators, until `each` is content.
template <class Each>
void for_parts(std::string_view text, char separator, const Each& each) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    each(trimmed(text.substr(0, end)));
    text.remove_prefix(std::min(text.size(), end + 1));
  }
}

bool begins_with_bearer(std::string_view text) {
  if (text.size() < kBearer.size()) return false;
  for (size_t i = 0; i < kBearer.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] - 'A' + 'a') : text[i];
    if (c != kBearer[i]) return false;
  }
  return true;
}

}  // namespace

std::string key_in(const HttpRequest& request) {
  if (const auto key = request.header("x-api-key")) return std::string(trimmed(*key));
  const auto authorization = request.header("authorization");
  if (authorization && begins_with_bearer(*authorization)) {
    return std::string(trimmed(authorization->substr(kBearer.size())));
  }
  std::string key;
  for_parts(request.header("sec-websocket-protocol").value_or(""), ',', [&](std::string_view part) {
    if (key.empty() && part.starts_with(kProtocolKey)) key = part.substr(kProtocolKey.size());
  });
  return key;
}

std::vector<std::string> session_cookies_in(const HttpRequest& request, bool tls) {
  std::vector<std::string> cookies;
  for (const auto& [name, value] : request.headers) {
    if (name != "cookie") continue;
    for_parts(value, ';', [&](std::string_view part) {
      const std::string_view wanted = cookie_name(tls);
      const bool ours = part.size() > wanted.size() && part.starts_with(wanted) && part[wanted.size()] == '=';
      if (ours && cookies.size() < kMaxCookies) cookies.emplace_back(part.substr(wanted.size() + 1));
    });
  }
  return cookies;
}

bool is_forwarded(const HttpRequest& request) {
  return request.header("forwarded") || request.header("x-forwarded-for") || request.header("x-real-ip");
}

bool is_proven_same_origin(const HttpRequest& request) {
  if (const auto site = request.header("sec-fetch-site")) return *site == "same-origin";
  return request.header("origin") && !refuse_origin(request);
}

bool offers_socket_protocol(const HttpRequest& request) {
  bool offered = false;
  for_parts(request.header("sec-websocket-protocol").value_or(""), ',',
            [&](std::string_view part) { offered = offered || part == kSocketProtocol; });
  return offered;
}

std::string address_of(std::string_view remote) {
  std::string_view address = remote.substr(0, remote.rfind(':'));
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  return std::string(address);
}

bool is_this_computer(std::string_view address) {
  const std::string block = block_of(address);
  return block == "::1" || block.starts_with("127.");
}

std::string session_cookie(std::string_view value, std::chrono::seconds lifetime, bool tls) {
  return fmt::format("{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{}", cookie_name(tls), value,
                     lifetime.count(), tls ? "; Secure" : "");
}

std::string no_session_cookie(bool tls) { return session_cookie("", std::chrono::seconds(0), tls); }

}  // namespace millrace
