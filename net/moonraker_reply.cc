// SPDX-License-Identifier: Apache-2.0
#include "net/moonraker_reply.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/json_reader.h"

namespace millrace {
namespace {

constexpr size_t kMaxSaid = 500;  // bytes of the machine's words that are handed on
constexpr size_t kMaxToken = 4096;

bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= kMaxToken && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
  });
}

std::string last_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return std::string(text.substr(text.rfind('\n') + 1));
}

}  // namespace

// Moonraker's words of an error: a message of several lines comes as "Unknown", the text is in the traceback then.
std::string words_of(const MoonrakerReply& reply) {
  JsonReader reader(kMaxMoonrakerReply, 16);
  const auto json = reader.parse(reply.body);
  const auto error = json ? member(*json, "error") : std::nullopt;
  std::string said(error ? text_member(*error, "message").value_or("") : "");
  if (error && (said.empty() || said == "Unknown")) {
    if (const auto trace = text_member(*error, "traceback")) said = last_line(*trace);
  }
  return fmt::format("{}{}{}", reply.status, said.empty() ? "" : ": ", said.substr(0, kMaxSaid));
}

JudgedReply judge_stop(const MoonrakerReply& reply) {
  if (reply.status != 200) return {false, words_of(reply)};
  JsonReader reader(kMaxMoonrakerReply, 16);
  const auto json = reader.parse(reply.body);
  if (json && text_member(*json, "result") == "ok") return {true, "ok"};
  return {false, "200, but not \"ok\": " + reply.body.substr(0, kMaxSaid)};
}

std::optional<std::string> token_in(const MoonrakerReply& reply) {
  if (reply.status != 200) return std::nullopt;
  JsonReader reader(kMaxMoonrakerReply, 16);
  const auto json = reader.parse(reply.body);
  const auto result = json ? member(*json, "result") : std::nullopt;
  const auto token = result ? text_member(*result, "token") : std::nullopt;
  if (!token || !is_token(*token)) return std::nullopt;
  return std::string(*token);
}

Result<MoonrakerAddress> moonraker_address(const std::string& text) {
  auto url = parse_url(text);
  if (!url) return url.error();
  MoonrakerAddress address{std::move(*url), "", false};
  address.tls = address.url.scheme == "https" || address.url.scheme == "wss";
  // The Host header leaves out the scheme's own port, which is the same for ws and http.
  address.url.scheme = address.tls ? "https" : "http";
  std::string_view path = address.url.target;
  path = path.substr(0, path.find('?'));
  const auto without_slashes = [&] {
    while (path.ends_with('/')) path.remove_suffix(1);
  };
  without_slashes();
  constexpr std::string_view kSocket = "/websocket";
  if (path.ends_with(kSocket)) path.remove_suffix(kSocket.size());
  without_slashes();
  address.base = path;
  return address;
}

}  // namespace millrace
