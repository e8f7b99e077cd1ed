// SPDX-License-Identifier: Apache-2.0
#include "net/url.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace millrace {
namespace {

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

uint16_t default_port(std::string_view scheme) { return scheme == "https" || scheme == "wss" ? 443 : 80; }

bool is_known_scheme(std::string_view scheme) {
  return scheme == "http" || scheme == "ws" || scheme == "https" || scheme == "wss";
}

bool is_host(std::string_view host, bool bracketed) {
  if (host.empty() || host.size() > 253) return false;
  return std::all_of(host.begin(), host.end(), [&](unsigned char c) {
    if (bracketed) return hex_digit(static_cast<char>(c)).has_value() || c == ':' || c == '.';
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == '_';
  });
}

std::optional<uint16_t> parse_port(std::string_view text) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// Fills host and port from "name:80", "name" or "[::1]:80".
bool split_authority(std::string_view authority, Url& url) {
  bool bracketed = authority.starts_with('[');
  size_t host_end = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && host_end == std::string_view::npos) return false;
  url.host = authority.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end);
  std::string_view rest;
  if (host_end != std::string_view::npos) rest = authority.substr(host_end + (bracketed ? 1 : 0));
  if (!is_host(url.host, bracketed)) return false;
  if (rest.empty()) return true;
  auto port = rest.front() == ':' ? parse_port(rest.substr(1)) : std::nullopt;
  if (!port) return false;
  url.port = *port;
  return true;
}

bool has_parent_segment(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('/', begin), path.size());
    if (path.substr(begin, end - begin) == "..") return true;
    begin = end + 1;
  }
  return false;
}

Result<void> parse_query(std::string_view text, std::vector<std::pair<std::string, std::string>>& query) {
  for (size_t begin = 0; begin <= text.size();) {
    size_t end = std::min(text.find('&', begin), text.size());
    std::string_view pair = text.substr(begin, end - begin);
    begin = end + 1;
    if (pair.empty()) continue;
    size_t equals = std::min(pair.find('='), pair.size());
    auto name = percent_decode(pair.substr(0, equals), Plus::kSpace);
    if (!name) return name.error();
    auto value = percent_decode(equals < pair.size() ? pair.substr(equals + 1) : "", Plus::kSpace);
    if (!value) return value.error();
    query.emplace_back(std::move(*name), std::move(*value));
  }
  return {};
}

}  // namespace

std::string percent_encode_path(std::string_view path) {
  constexpr std::string_view kPlain = "-._~/";
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : path) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alphanumeric || kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

std::string host_and_port(std::string_view host, uint16_t port) {
  bool is_ipv6 = host.find(':') != std::string_view::npos;
  return is_ipv6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string Url::authority() const {
  if (port != default_port(scheme)) return host_and_port(host, port);
  return host.find(':') != std::string::npos ? "[" + host + "]" : host;
}

Result<Url> parse_url(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return make_error(Errc::kInvalidArgument, fmt::format("URL of {} bytes: {}", text.size(), why));
  };
  bool printable = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
  if (!printable) return bad("it contains a space, a control character or a byte above 0x7e");
  size_t colon = text.find("://");
  if (colon == std::string_view::npos) return bad("expected http://host:port/path");
  Url url;
  url.scheme = lower(text.substr(0, colon));
  if (!is_known_scheme(url.scheme)) return bad("the scheme must be http, ws, https or wss");
  if (text.find('#') != std::string_view::npos) return bad("a fragment cannot be sent");
  std::string_view rest = text.substr(colon + 3);
  size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  std::string_view authority = rest.substr(0, authority_end);
  if (authority.find('@') != std::string_view::npos) return bad("a user name in a URL is not supported");
  url.port = default_port(url.scheme);
  if (!split_authority(authority, url)) return bad("the host or the port is not valid");
  url.target = rest.substr(authority_end);
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

Result<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      auto high = i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
      auto low = i + 2 < text.size() ? hex_digit(text[i + 2]) : std::nullopt;
      if (!high || !low) return make_error(Errc::kMalformed, "'%' without two hexadecimal digits");
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    } else if (c == '+' && plus == Plus::kSpace) {
      c = ' ';
    }
    if (c == '\0') return make_error(Errc::kMalformed, "a zero byte");
    out.push_back(c);
  }
  return out;
}

Result<RequestTarget> parse_request_target(std::string_view target) {
  if (!target.starts_with('/')) {
    // The absolute form, which a client uses towards a proxy and every server has to understand.
    size_t colon = target.find("://");
    if (colon == std::string_view::npos) return make_error(Errc::kMalformed, "the target does not begin with '/'");
    target.remove_prefix(std::min(target.find_first_of("/?", colon + 3), target.size()));
  }
  if (target.find('#') != std::string_view::npos) return make_error(Errc::kMalformed, "a fragment in the target");
  size_t question = std::min(target.find('?'), target.size());
  RequestTarget out;
  auto path = percent_decode(target.substr(0, question), Plus::kLiteral);
  if (!path) return path.error();
  out.path = path->empty() ? "/" : std::move(*path);
  if (has_parent_segment(out.path)) return make_error(Errc::kMalformed, "a '..' segment in the path");
  if (question < target.size()) {
    if (auto parsed = parse_query(target.substr(question + 1), out.query); !parsed) return parsed.error();
  }
  return out;
}

}  // namespace millrace
