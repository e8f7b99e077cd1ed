// SPDX-License-Identifier: Apache-2.0
// Who may talk to the simulated Moonraker, as the real one judges it when the host is not trusted: the upgrade to a
// WebSocket always succeeds, and each request on it is refused until a key or a login was shown.
#include <fmt/format.h>

#include "bus/json_writer.h"
#include "producers/simulator/service.h"

namespace millrace {
namespace {

constexpr size_t kMaxTokens = 64;
constexpr size_t kMaxBody = 4096;
constexpr std::string_view kBearer = "Bearer ";

std::string text_in_body(const std::string& body, std::string_view name) {
  JsonReader reader(kMaxBody, 4);
  const auto json = reader.parse(body);
  return json ? std::string(text_member(*json, name).value_or("")) : std::string();
}

}  // namespace

// Null: nothing.  In the words of Moonraker.
const char* SimulatedService::what_is_wrong_with_login(std::string_view token) const {
  const auto login = logins_.find(token);
  if (login == logins_.end()) return "Failed to decode JWT: Invalid JWT";
  return login->second <= clock_.monotonic() ? "JWT Expired" : nullptr;
}

// By the header of a key or a login, or by a token that is then used up.
bool SimulatedService::knows_key(const HttpRequest& request) {
  const std::string_view key = request.header("x-api-key").value_or("");
  if (!key.empty() && key == options_.api_key) return true;
  const std::string_view authorization = request.header("authorization").value_or("");
  if (authorization.starts_with(kBearer)) {
    return what_is_wrong_with_login(authorization.substr(kBearer.size())) == nullptr;
  }
  const auto token = request.query_value("token");
  return token && tokens_.erase(std::string(*token)) > 0;
}

// Three parts with dots between them, as a JSON Web Token has; what is in them is nobody's business but Moonraker's.
std::string SimulatedService::new_token() {
  const uint64_t number = ++tokens_given_;
  return fmt::format("eyJhbGciOiJFZERTQSJ9.{:016x}.{:016x}", number, number * 0x9e3779b97f4a7c15);
}

std::string SimulatedService::open_login() {
  if (logins_.size() >= kMaxTokens) logins_.clear();
  const auto lifetime = std::chrono::duration_cast<Micros>(std::chrono::duration<double>(options_.login_lifetime_s));
  std::string token = new_token();
  logins_[token] = clock_.monotonic() + lifetime;
  return token;
}

MoonrakerAnswer SimulatedService::log_in(const std::string& body) {
  const std::string username = text_in_body(body, "username");
  if (username != options_.username || options_.username.empty()) {
    return MoonrakerError{400, fmt::format("Unregistered User: {}", username)};
  }
  if (text_in_body(body, "password") != options_.password) return MoonrakerError{400, "Invalid Password"};
  if (refresh_tokens_.size() >= kMaxTokens) refresh_tokens_.clear();
  const std::string refresh = *refresh_tokens_.insert(new_token()).first;
  JsonWriter json;
  json.object().field("username", username).field("token", open_login()).field("refresh_token", refresh);
  json.field("action", "user_logged_in").field("source", "moonraker").end();
  return json.take();
}

MoonrakerAnswer SimulatedService::refresh_login(const std::string& body) {
  if (!refresh_tokens_.contains(text_in_body(body, "refresh_token"))) {
    return MoonrakerError{401, "Invalid Refresh Token"};
  }
  JsonWriter json;
  json.object().field("username", options_.username).field("token", open_login());
  json.field("source", "moonraker").field("action", "user_jwt_refresh").end();
  return json.take();
}

// The answer to an HTTP request that is about access, or is refused; nullopt for one that may go on.
std::optional<MoonrakerAnswer> SimulatedService::access(const HttpRequest& request) {
  if (trusts_everybody() || request.path == "/access/info") return std::nullopt;
  if (request.method == "POST" && request.path == "/access/login") return log_in(request.body);
  if (request.method == "POST" && request.path == "/access/refresh_jwt") return refresh_login(request.body);
  if (!knows_key(request)) return MoonrakerAnswer(MoonrakerError{401, "Unauthorized"});
  if (request.path != "/access/oneshot_token") return std::nullopt;
  if (tokens_.size() >= kMaxTokens) tokens_.clear();
  const std::string token = fmt::format("{:032x}", ++tokens_given_);
  tokens_.insert(token);
  return MoonrakerAnswer('"' + token + '"');
}

// False when the request was answered with a refusal.
bool SimulatedService::admits(const MoonrakerCall& call, const MoonrakerReply& reply) {
  if (call.connection == 0 || trusts_everybody() || admitted_.contains(call.connection)) return true;
  const char* wrong = "Unauthorized";
  if (call.method == "server.connection.identify") {
    if (const auto token = text_member(call.params, "access_token")) {
      wrong = what_is_wrong_with_login(*token);
    } else if (const auto key = text_member(call.params, "api_key")) {
      wrong = key == options_.api_key && !key->empty() ? nullptr : "Invalid API Key";
    }
  }
  if (wrong == nullptr) {
    admitted_.insert(call.connection);
    return true;
  }
  reply(MoonrakerError{401, wrong});
  return false;
}

}  // namespace millrace
