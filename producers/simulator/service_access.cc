// SPDX-License-Identifier: Apache-2.0
// Who may talk to the simulated Moonraker, as the real one judges it when the host is not trusted: the upgrade to a
// WebSocket always succeeds, and each request on it is refused until the key was shown.
#include <fmt/format.h>

#include "producers/simulator/service.h"

namespace millrace {
namespace {

constexpr size_t kMaxTokens = 64;

}  // namespace

// By the header, or by a token that is then used up.
bool SimulatedService::knows_key(const HttpRequest& request) {
  if (request.header("x-api-key").value_or("") == options_.api_key) return true;
  const auto token = request.query_value("token");
  return token && tokens_.erase(std::string(*token)) > 0;
}

// The answer to an HTTP request that is about access, or is refused; nullopt for one that may go on.
std::optional<MoonrakerAnswer> SimulatedService::access(const HttpRequest& request) {
  if (options_.api_key.empty() || request.path == "/access/info") return std::nullopt;
  if (!knows_key(request)) return MoonrakerAnswer(MoonrakerError{401, "Unauthorized"});
  if (request.path != "/access/oneshot_token") return std::nullopt;
  if (tokens_.size() >= kMaxTokens) tokens_.clear();
  const std::string token = fmt::format("{:032x}", ++tokens_given_);
  tokens_.insert(token);
  return MoonrakerAnswer('"' + token + '"');
}

// False when the request was answered with a refusal.
bool SimulatedService::admits(const MoonrakerCall& call, const MoonrakerReply& reply) {
  if (call.connection == 0 || options_.api_key.empty() || admitted_.contains(call.connection)) return true;
  const bool identifies = call.method == "server.connection.identify";
  const auto key = text_member(call.params, "api_key");
  if (identifies && key == options_.api_key) {
    admitted_.insert(call.connection);
    return true;
  }
  reply(MoonrakerError{401, identifies && key ? "Invalid API Key" : "Unauthorized"});
  return false;
}

}  // namespace millrace
