// SPDX-License-Identifier: Apache-2.0
// Keys as clients of 3d-print-logger know them: whole-number ids, and one privilege, which is what that system could
// do.
#include <charconv>

#include "web/edge/access/access_routes.h"
#include "web/edge/access/key_desk.h"
#include "web/edge/body_reader.h"
#include "web/edge/print_logger/older_errors.h"
#include "web/edge/print_logger/older_request.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

void write_older_time(JsonWriter& json, std::string_view name, WallTime time) {
  json.key(name);
  time == WallTime{} ? json.null() : json.value(to_rfc3339(time));
}

void write_older_key(JsonWriter& json, const ApiKey& key, std::string_view secret = {}) {
  json.object().field("id", key.number).field("key_prefix", key.prefix).field("name", key.name);
  json.field("is_active", key.active);
  write_older_time(json, "expires_at", key.expires_at);
  write_older_time(json, "last_used", key.last_used_at);
  write_older_time(json, "created_at", key.created_at);
  if (!secret.empty()) json.field("key", secret);
  json.end();
}

std::optional<ApiKey> key_of_path(const RouteContext& context, const RouteRequest& request) {
  const std::string& text = request.path.at("id");
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  for (ApiKey& key : context.parts.keys->keys().keys()) {
    if (key.number == number && key.active) return std::move(key);
  }
  return std::nullopt;
}

HttpResponse older_trouble(const Error& error) {
  if (error.code == Errc::kConflict) return older_error(409, error.context);
  if (error.code == Errc::kNotFound) return older_error(404, "API key not found");
  return older_error(503, error.context);
}

}  // namespace

HttpResponse answer_older_keys(const RouteContext& context, const RouteRequest&) {
  if (context.parts.keys == nullptr) return older_error(503, "this hub has no place to keep keys");
  JsonWriter json;
  json.array();
  for (const ApiKey& key : context.parts.keys->keys().keys()) {
    if (key.active) write_older_key(json, key);
  }
  json.end();
  return json_answer(json);
}

HttpResponse make_older_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return older_error(503, "this hub has no place to keep keys");
  ApiKeyFields fields;
  fields.scopes = names_of({Scope::kRead, Scope::kOperate, Scope::kAdminister});
  BodyReader body(request.http);
  body.require("name");
  fields.name = body.text("name", {.max_bytes = 100, .empty = false}).value_or("");
  fields.expires_at = body.time("expires_at").value_or(WallTime{});
  if (auto refused = body.problem()) return std::move(*refused);
  if (const auto wrong = wrong_fields(fields)) return older_invalid("body", wrong->field, wrong->expected);
  const auto made = context.parts.keys->create(fields, {request.actor});
  if (!made) return older_trouble(made.error());
  JsonWriter json;
  write_older_key(json, made->key, made->secret);
  return json_answer(json, 201);
}

HttpResponse revoke_older_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return older_error(503, "this hub has no place to keep keys");
  const auto key = key_of_path(context, request);
  if (!key) return older_error(404, "API key not found");
  if (key->id == request.caller.key_id) return older_error(400, "Cannot revoke the key that asks for it");
  const auto done = context.parts.keys->revoke(key->id, "by request", {request.actor});
  if (!done) return older_trouble(done.error());
  HttpResponse response;
  response.status = 204;
  response.content_type.clear();
  return response;
}

}  // namespace millrace
