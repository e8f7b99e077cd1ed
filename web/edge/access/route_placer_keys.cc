// SPDX-License-Identifier: Apache-2.0
// Keys as clients of KlipperPlace know them: permissions read, write and admin, which are the scopes read, operate, and
// administer with moderate; limits in requests per second; errors with a code in capitals.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/json_reader.h"
#include "web/edge/access/access.h"
#include "web/edge/access/access_routes.h"
#include "web/edge/access/key_desk.h"
#include "web/edge/body_reader.h"
#include "web/edge/print_logger/older_request.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr uint64_t kSecondsPerMinute = 60;
constexpr uint64_t kOlderDefault = 100;  // requests per second
constexpr int64_t kOlderMost = 10'000;
constexpr size_t kMaxPermissions = 3;

HttpResponse placer_error(int status, std::string_view code, std::string_view text) {
  JsonWriter json;
  json.object().field("status", "error").field("error_code", code).field("error_message", text).end();
  return json_answer(json, status);
}

std::vector<std::string> scopes_for(const std::vector<std::string>& permissions) {
  ScopeSet scopes;
  for (const std::string& permission : permissions) {
    if (permission == "read") scopes.add(Scope::kRead);
    if (permission == "write") scopes.add(Scope::kOperate);
    if (permission == "admin") {
      scopes.add(Scope::kModerate);
      scopes.add(Scope::kAdminister);
    }
  }
  return names_of(scopes);
}

void write_permissions(JsonWriter& json, const std::vector<std::string>& scopes) {
  const auto has = [&](Scope scope) { return std::find(scopes.begin(), scopes.end(), name_of(scope)) != scopes.end(); };
  json.key("permissions").array();
  if (has(Scope::kRead)) json.value("read");
  if (has(Scope::kOperate)) json.value("write");
  if (has(Scope::kAdminister)) json.value("admin");
  json.end();
}

void write_placer_time(JsonWriter& json, std::string_view name, WallTime time) {
  json.key(name);
  time == WallTime{} ? json.null() : json.value(to_rfc3339(time));
}

uint64_t per_second(const ApiKey& key) {
  return key.requests_per_minute == 0 ? 0 : std::max<uint64_t>(1, key.requests_per_minute / kSecondsPerMinute);
}

void write_placer_key(JsonWriter& json, const ApiKey& key) {
  json.object().field("key_id", key.id).field("name", key.name);
  write_permissions(json, key.scopes);
  json.key("rate_limit");
  per_second(key) == 0 ? json.null() : json.value(per_second(key));
  json.field("description", key.description).field("is_active", key.active);
  write_placer_time(json, "created_at", key.created_at);
  write_placer_time(json, "last_used", key.last_used_at);
  json.end();
}

HttpResponse no_placer_keys() { return placer_error(503, "INTERNAL_ERROR", "this hub has no place to keep keys"); }
HttpResponse no_such_key(const std::string& id) {
  return placer_error(404, "KEY_NOT_FOUND", fmt::format("there is no key '{}'", id.substr(0, 100)));
}

HttpResponse placer_trouble(const Error& error, const std::string& id) {
  if (error.code == Errc::kNotFound) return no_such_key(id);
  if (error.code == Errc::kConflict) return placer_error(409, "INVALID_REQUEST", error.context);
  if (error.code == Errc::kInvalidArgument) return placer_error(400, "INVALID_PARAMETER", error.context);
  return placer_error(503, "INTERNAL_ERROR", error.context);
}

void read_placer_fields(BodyReader& body, ApiKeyFields& fields) {
  if (body.has("name")) fields.name = body.text("name", {.max_bytes = 100, .empty = false}).value_or("");
  if (body.has("permissions")) {
    const auto permissions =
        body.texts("permissions", kMaxPermissions, {.max_bytes = 10}).value_or(std::vector<std::string>{});
    for (const std::string& permission : permissions) {
      constexpr std::array<std::string_view, 3> kKnown = {"read", "write", "admin"};
      if (std::find(kKnown.begin(), kKnown.end(), permission) == kKnown.end()) {
        body.refuse("permissions", fmt::format("'{}' given, expected some of read, write, admin", permission));
      }
    }
    fields.scopes = scopes_for(permissions);
  }
  if (body.has("rate_limit")) {
    fields.requests_per_minute =
        static_cast<uint64_t>(body.integer("rate_limit", 1, kOlderMost).value_or(kOlderDefault)) * kSecondsPerMinute;
  }
  if (body.has("description")) fields.description = body.text("description", {.max_bytes = 500}).value_or("");
  if (body.has("is_active")) fields.active = body.flag("is_active").value_or(true);
}

HttpResponse placer_key_answer(const ApiKey& key) {
  JsonWriter json;
  json.object().field("status", "success").key("key");
  write_placer_key(json, key);
  json.end();
  return json_answer(json);
}

struct RenamedCode {
  std::string_view ours;
  std::string_view theirs;
};
constexpr std::array<RenamedCode, 11> kCodes = {{{"key_missing", "AUTHORIZATION_REQUIRED"},
                                                 {"key_invalid", "INVALID_API_KEY"},
                                                 {"key_expired", "INVALID_API_KEY"},
                                                 {"session_ended", "AUTHORIZATION_REQUIRED"},
                                                 {"address_blocked", "IP_BLOCKED"},
                                                 {"rate_limited", "RATE_LIMIT_EXCEEDED"},
                                                 {"scope_missing", "PERMISSION_DENIED"},
                                                 {"machine_not_allowed", "PERMISSION_DENIED"},
                                                 {"origin_required", "PERMISSION_DENIED"},
                                                 {"origin_not_allowed", "PERMISSION_DENIED"},
                                                 {"internal", "INTERNAL_ERROR"}}};

}  // namespace

bool is_placer_surface(std::string_view path) { return path.starts_with("/api/v1/auth/"); }

HttpResponse in_placer_words(HttpResponse response) {
  if (response.content_type != "application/problem+json") return response;
  JsonReader reader;
  const auto problem = reader.parse(response.body);
  const std::string_view code = problem ? text_member(*problem, "code").value_or("") : "";
  const auto* known =
      std::find_if(kCodes.begin(), kCodes.end(), [&](const RenamedCode& renamed) { return renamed.ours == code; });
  const std::string_view theirs = known == kCodes.end() ? "INVALID_REQUEST" : known->theirs;
  HttpResponse answer =
      placer_error(response.status, theirs, problem ? text_member(*problem, "detail").value_or("") : "");
  answer.headers = std::move(response.headers);
  return answer;
}

HttpResponse answer_placer_keys(const RouteContext& context, const RouteRequest&) {
  if (context.parts.keys == nullptr) return no_placer_keys();
  JsonWriter json;
  json.object().field("status", "success").key("keys").array();
  for (const ApiKey& key : context.parts.keys->keys().keys()) write_placer_key(json, key);
  json.end().end();
  return json_answer(json);
}

HttpResponse answer_placer_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_placer_keys();
  const auto key = context.parts.keys->keys().find(request.path.at("id"));
  return key ? placer_key_answer(*key) : no_such_key(request.path.at("id"));
}

HttpResponse make_placer_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_placer_keys();
  ApiKeyFields fields;
  fields.scopes = scopes_for({"read"});
  fields.requests_per_minute = kOlderDefault * kSecondsPerMinute;
  BodyReader body(request.http);
  body.require("name");
  read_placer_fields(body, fields);
  if (auto refused = body.problem()) return std::move(*refused);
  const auto made = context.parts.keys->create(fields, {request.actor});
  if (!made) return placer_trouble(made.error(), "");
  JsonWriter json;
  json.object().field("status", "success").field("key_id", made->key.id).field("api_key", made->secret);
  json.field("name", made->key.name);
  write_permissions(json, made->key.scopes);
  json.field("rate_limit", per_second(made->key)).end();
  return json_answer(json, 201);
}

HttpResponse change_placer_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_placer_keys();
  const std::string& id = request.path.at("id");
  const auto key = context.parts.keys->keys().find(id);
  if (!key) return no_such_key(id);
  ApiKeyFields fields = fields_of(*key);
  BodyReader body(request.http);
  read_placer_fields(body, fields);
  if (auto refused = body.problem()) return std::move(*refused);
  const auto changed = context.parts.keys->change(id, fields, {request.actor});
  return changed ? placer_key_answer(changed->key) : placer_trouble(changed.error(), id);
}

HttpResponse revoke_placer_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_placer_keys();
  const std::string& id = request.path.at("id");
  const auto done = context.parts.keys->revoke(id, "by request", {request.actor});
  return done ? placer_key_answer(done->key) : placer_trouble(done.error(), id);
}

HttpResponse answer_placer_status(const RouteContext& context, const RouteRequest& request) {
  const Caller& caller = request.caller;
  const auto key = context.parts.keys == nullptr ? std::nullopt : context.parts.keys->keys().find(caller.key_id);
  const RateLimits::Standing standing = context.access->standing_of(caller);
  JsonWriter json;
  json.object().field("authenticated", key.has_value()).text_or_null("key_id", caller.key_id);
  json.field("key_name", caller.actor);
  write_permissions(json, names_of(caller.scopes));
  json.key("rate_limit").object().field("limit", standing.limit).field("remaining", standing.remaining);
  json.field("reset", static_cast<int64_t>(standing.full_in.count())).end();
  write_placer_time(json, "last_used", key ? key->last_used_at : WallTime{});
  write_placer_time(json, "created_at", key ? key->created_at : WallTime{});
  json.field("is_active", !key || key->active).end();
  return json_answer(json);
}

}  // namespace millrace
