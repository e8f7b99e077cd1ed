// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "web/edge/access/access.h"
#include "web/edge/access/access_routes.h"
#include "web/edge/access/key_desk.h"
#include "web/edge/access/key_json.h"
#include "web/edge/body_reader.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr size_t kMaxScopes = 5;
constexpr size_t kMaxMachines = 100;
constexpr int64_t kMostPerMinute = 600'000;

HttpResponse no_keys() { return api_problem(503, "keys_unavailable", "this hub has no place to keep keys"); }

HttpResponse key_problem(const Error& error, std::string_view id) {
  switch (error.code) {
    case Errc::kNotFound:
      return api_problem(404, "key_not_found",
                         fmt::format("there is no key '{}'; GET /api/v1/keys lists them", id.substr(0, 100)));
    case Errc::kConflict:
      return api_problem(409, error.context.starts_with(kLastAdministrator) ? "last_administrator" : "name_taken",
                         error.context);
    case Errc::kInvalidArgument:
      return api_problem(400, "invalid_field", "field " + error.context);
    case Errc::kTooLarge:
      return api_problem(507, "keys_full", error.context);
    default:
      return api_problem(503, "keys_unavailable", error.context);
  }
}

HttpResponse key_answer(const RouteContext& context, const ApiKey& key, int status, std::string_view secret = {},
                        bool recorded = true) {
  JsonWriter json;
  write_api_key(json, key, context.parts.clock.wall(), secret);
  HttpResponse response;
  response.status = status;
  response.body = json.take();
  response.headers.emplace_back("Cache-Control", "no-store");
  // It is done all the same: taking a right away waits for no log.
  if (!recorded) response.headers.emplace_back("Warning", R"(199 millrace "done, and not recorded in the log")");
  return response;
}

// The fields that the body names, over those that there are.
void read_fields(BodyReader& body, const RouteContext& context, ApiKeyFields& fields) {
  if (body.has("name")) fields.name = body.text("name", {.max_bytes = 100, .empty = false}).value_or("");
  if (body.has("scopes"))
    fields.scopes = body.texts("scopes", kMaxScopes, {.max_bytes = 20}).value_or(std::vector<std::string>{});
  if (body.has("machines")) {
    fields.machines = body.texts("machines", kMaxMachines, {.max_bytes = 64}).value_or(std::vector<std::string>{});
  }
  if (body.has("expires_at")) {
    fields.expires_at = body.time("expires_at").value_or(WallTime{});
    const bool past = fields.expires_at != WallTime{} && fields.expires_at <= context.parts.clock.wall();
    if (past) body.refuse("expires_at", "expected a time to come, or null for never");
  }
  if (body.has("active")) fields.active = body.flag("active").value_or(true);
  if (body.has("description")) fields.description = body.text("description", {.max_bytes = 500}).value_or("");
  if (body.has("requests_per_minute")) {
    fields.requests_per_minute =
        static_cast<uint64_t>(body.integer("requests_per_minute", 1, kMostPerMinute).value_or(0));
  }
}

void check_fields(BodyReader& body, const ApiKeyFields& fields) {
  if (const auto wrong = wrong_fields(fields)) body.refuse(wrong->field, wrong->expected);
}

}  // namespace

HttpResponse answer_keys(const RouteContext& context, const RouteRequest&) {
  if (context.parts.keys == nullptr) return no_keys();
  HttpResponse response;
  response.body = api_keys_json(context.parts.keys->keys().keys(), context.parts.clock.wall());
  return response;
}

HttpResponse answer_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_keys();
  const std::string& id = request.path.at("id");
  const auto key = context.parts.keys->keys().find(id);
  return key ? key_answer(context, *key, 200) : key_problem(make_error(Errc::kNotFound, ""), id);
}

HttpResponse make_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_keys();
  ApiKeyFields fields;
  BodyReader body(request.http);
  body.require("name");
  body.require("scopes");
  read_fields(body, context, fields);
  if (auto refused = body.problem()) return std::move(*refused);
  check_fields(body, fields);
  if (request.caller.how == Caller::How::kLocal && fields.machines.empty()) {
    const auto scopes = parse_scopes(fields.scopes);
    if (scopes && !scopes->has(Scope::kAdminister)) {
      body.refuse("scopes", "expected administer too: this is the first key, and nobody could make another");
    }
  }
  if (auto refused = body.problem()) return std::move(*refused);
  const auto made = context.parts.keys->create(fields, {request.actor});
  if (!made) return key_problem(made.error(), "");
  HttpResponse response = key_answer(context, made->key, 201, made->secret);
  response.headers.emplace_back("Location", "/api/v1/keys/" + made->key.id);
  return response;
}

HttpResponse change_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_keys();
  const std::string& id = request.path.at("id");
  const auto key = context.parts.keys->keys().find(id);
  if (!key) return key_problem(make_error(Errc::kNotFound, ""), id);
  ApiKeyFields fields = fields_of(*key);
  BodyReader body(request.http);
  read_fields(body, context, fields);
  check_fields(body, fields);
  if (auto refused = body.problem()) return std::move(*refused);
  const auto changed = context.parts.keys->change(id, fields, {request.actor});
  return changed ? key_answer(context, changed->key, 200) : key_problem(changed.error(), id);
}

HttpResponse rotate_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_keys();
  const std::string& id = request.path.at("id");
  const auto made = context.parts.keys->rotate(id, {request.actor});
  return made ? key_answer(context, made->key, 200, made->secret, made->recorded) : key_problem(made.error(), id);
}

HttpResponse revoke_key(const RouteContext& context, const RouteRequest& request) {
  if (context.parts.keys == nullptr) return no_keys();
  const std::string& id = request.path.at("id");
  const auto done = context.parts.keys->revoke(id, "by request", {request.actor});
  if (!done) return key_problem(done.error(), id);
  HttpResponse response = key_answer(context, done->key, 204, {}, done->recorded);
  response.content_type.clear();
  response.body.clear();
  return response;
}

HttpResponse answer_session(const RouteContext& context, const RouteRequest& request) {
  return context.access->show_session(request.caller);
}

HttpResponse open_session(const RouteContext& context, const RouteRequest& request) {
  return context.access->open_session(request.http);
}

HttpResponse close_session(const RouteContext& context, const RouteRequest& request) {
  return context.access->close_session(request.http, request.caller);
}

HttpResponse make_socket_token(const RouteContext& context, const RouteRequest& request) {
  return context.access->make_socket_token(request.caller);
}

}  // namespace millrace
