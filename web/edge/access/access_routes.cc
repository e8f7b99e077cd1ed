// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/access_routes.h"

#include "web/edge/access/route_access.h"
#include "web/edge/schema_parts.h"

namespace millrace {
namespace {

using Respond = HttpResponse (*)(const RouteContext&, const RouteRequest&);

// About keys, which are about every machine: a key of some machines alone must not make one for others.
constexpr RouteAccess kOfKeys{Needs::kAdminister, RateClass::kOrdinary, Concerns::kShop};
constexpr RouteAccess kOfOneself{Needs::kAnyKey, RateClass::kOrdinary, Concerns::kNothing};

Route row(std::string_view method, std::string_view pattern, std::string_view operation, std::string_view summary,
          RunsOn runs_on, std::string_view answer, Respond respond, std::string_view body = {}) {
  Route route{method, pattern, operation, summary, runs_on, false, {}, answer, respond};
  route.body = body;
  return route;
}

Route of_keys(std::string_view method, std::string_view pattern, std::string_view operation, std::string_view summary,
              std::string_view answer, Respond respond, std::string_view body = {}) {
  return with_access(kOfKeys, row(method, pattern, operation, summary, RunsOn::kWorker, answer, respond, body));
}

constexpr std::string_view kScopes =
    R"({"type":"array","items":{"enum":["read","operate","gcode","moderate","administer"]}})";
constexpr std::string_view kMachines = R"({"type":["array","null"],"items":{"type":"string"}})";

std::string key_schema() {
  return object_of({{"id", "text"},
                    {"name", "text"},
                    {"prefix", "text"},
                    {"scopes", kScopes},
                    {"machines", kMachines},
                    {"expires_at", "time?"},
                    {"created_at", "time?"},
                    {"last_used_at", "time?"},
                    {"active", "flag"},
                    {"expired", "flag"},
                    {"description", "text?"},
                    {"requests_per_minute", "integer?"},
                    {"key", "text"}});
}

// The key itself is there only where it was just made.
std::string without_required_key(std::string schema) {
  const std::string last = R"(,"key"])";
  const size_t at = schema.rfind(last);
  if (at != std::string::npos) schema.replace(at, last.size(), "]");
  return schema;
}

constexpr std::string_view kKeyFields =
    R"({"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":100},)"
    R"("scopes":{"type":"array","items":{"enum":["read","operate","gcode","moderate","administer"]}},)"
    R"("machines":{"type":["array","null"],"items":{"type":"string"}},)"
    R"("expires_at":{"type":["string","null"],"format":"date-time"},"active":{"type":"boolean"},)"
    R"("description":{"type":["string","null"],"maxLength":500},)"
    R"("requests_per_minute":{"type":["integer","null"],"minimum":1,"maximum":600000}}})";

constexpr std::string_view kPermissions = R"({"type":"array","items":{"enum":["read","write","admin"]}})";

std::string placer_key_schema() {
  return object_of({{"key_id", "text"},
                    {"name", "text"},
                    {"permissions", kPermissions},
                    {"rate_limit", "integer?"},
                    {"description", "text"},
                    {"is_active", "flag"},
                    {"created_at", "time?"},
                    {"last_used", "time?"}});
}

}  // namespace

std::vector<Route> access_routes() {
  return {
      with_access(kOfOneself, row("GET", "/api/v1/session", "session", "Who asks, and what they may", RunsOn::kLoop,
                                  "Session", answer_session)),
      with_access({Needs::kNothing, RateClass::kOrdinary, Concerns::kNothing},
                  row("POST", "/api/v1/session", "openSession", "Lets a browser in by a key: 201 with its cookie",
                      RunsOn::kLoop, "Session", open_session, "SessionKey")),
      with_access(kOfOneself, row("DELETE", "/api/v1/session", "closeSession", "Ends a browser's session; 204",
                                  RunsOn::kLoop, "", close_session)),
      with_access(kOfOneself, row("POST", "/api/v1/session/token", "makeSocketToken",
                                  "A token that opens one WebSocket by ?token= within 30 s; 201", RunsOn::kLoop,
                                  "SocketToken", make_socket_token)),
      of_keys("GET", "/api/v1/keys", "keys", "Every key, without its text", "ApiKeyList", answer_keys),
      of_keys("POST", "/api/v1/keys", "makeKey", "A new key; 201, and the only time that its text is shown", "ApiKey",
              make_key, "ApiKeyFields"),
      of_keys("GET", "/api/v1/keys/{id}", "key", "One key", "ApiKey", answer_key),
      of_keys("PATCH", "/api/v1/keys/{id}", "changeKey", "Changes what is named; null takes a limit away", "ApiKey",
              change_key, "ApiKeyFields"),
      of_keys("DELETE", "/api/v1/keys/{id}", "revokeKey", "Revokes it and ends its sessions; 204", "", revoke_key),
      of_keys("POST", "/api/v1/keys/{id}/rotate", "rotateKey",
              "Another text, shown once; the old one and its sessions end", "ApiKey", rotate_key),

      of_keys("GET", "/api/v1/auth/keys", "placerKeys", "KlipperPlace: every key", "PlacerKeyList", answer_placer_keys),
      of_keys("POST", "/api/v1/auth/keys", "makePlacerKey", "KlipperPlace: a new key; 201", "PlacerNewKey",
              make_placer_key, "PlacerKeyFields"),
      of_keys("GET", "/api/v1/auth/keys/{id}", "placerKey", "KlipperPlace: one key", "PlacerKeyAnswer",
              answer_placer_key),
      of_keys("PUT", "/api/v1/auth/keys/{id}", "changePlacerKey", "KlipperPlace: changes what is named",
              "PlacerKeyAnswer", change_placer_key, "PlacerKeyFields"),
      of_keys("DELETE", "/api/v1/auth/keys/{id}", "revokePlacerKey", "KlipperPlace: revokes it", "PlacerKeyAnswer",
              revoke_placer_key),
      with_access(kOfOneself, row("GET", "/api/v1/auth/status", "placerStatus", "KlipperPlace: who asks", RunsOn::kLoop,
                                  "PlacerStatus", answer_placer_status)),

      of_keys("GET", "/api/admin/api-keys", "olderKeys", "3d-print-logger: the active keys", "OlderKeys",
              answer_older_keys),
      of_keys("POST", "/api/admin/api-keys", "makeOlderKey", "3d-print-logger: a new key; 201", "OlderKey",
              make_older_key, "OlderKeyFields"),
      of_keys("DELETE", "/api/admin/api-keys/{id}", "revokeOlderKey", "3d-print-logger: revokes another key; 204", "",
              revoke_older_key),
  };
}

std::vector<std::pair<std::string_view, std::string>> access_schemas() {
  const auto array_of = [](std::string_view schema) {
    return R"({"type":"array","items":{"$ref":"#/components/schemas/)" + std::string(schema) + R"("}})";
  };
  const std::string keys = array_of("ApiKey");
  const std::string placer_keys = array_of("PlacerKey");
  return {
      {"Session", object_of({{"how", R"({"enum":["local","key","session","token","nobody"]})"},
                             {"actor", "text"},
                             {"key_id", "text?"},
                             {"scopes", kScopes},
                             {"machines", kMachines}})},
      {"SessionKey", R"({"type":"object","required":["key"],"properties":{"key":{"type":"string","writeOnly":true}}})"},
      {"SocketToken", object_of({{"token", "text"}, {"expires_in_s", "integer"}})},
      {"ApiKey", without_required_key(key_schema())},
      {"ApiKeyList", object_of({{"items", keys}, {"next_cursor", "text?"}, {"total", "integer"}})},
      {"ApiKeyFields", std::string(kKeyFields)},
      {"PlacerKey", placer_key_schema()},
      {"PlacerKeyList", object_of({{"status", "text"}, {"keys", placer_keys}})},
      {"PlacerKeyAnswer", object_of({{"status", "text"}, {"key", R"({"$ref":"#/components/schemas/PlacerKey"})"}})},
      {"PlacerNewKey", object_of({{"status", "text"},
                                  {"key_id", "text"},
                                  {"api_key", "text"},
                                  {"name", "text"},
                                  {"permissions", kPermissions},
                                  {"rate_limit", "integer"}})},
      {"PlacerKeyFields", R"({"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":100},)"
                          R"("permissions":{"type":"array","items":{"enum":["read","write","admin"]}},)"
                          R"("rate_limit":{"type":"integer","minimum":1,"maximum":10000},)"
                          R"("description":{"type":"string","maxLength":500},"is_active":{"type":"boolean"}}})"},
      {"PlacerStatus",
       object_of({{"authenticated", "flag"},
                  {"key_id", "text?"},
                  {"key_name", "text"},
                  {"permissions", kPermissions},
                  {"rate_limit", object_of({{"limit", "integer"}, {"remaining", "integer"}, {"reset", "integer"}})},
                  {"last_used", "time?"},
                  {"created_at", "time?"},
                  {"is_active", "flag"}})},
      {"OlderKey", without_required_key(object_of({{"id", "integer"},
                                                   {"key_prefix", "text"},
                                                   {"name", "text"},
                                                   {"is_active", "flag"},
                                                   {"expires_at", "time?"},
                                                   {"last_used", "time?"},
                                                   {"created_at", "time?"},
                                                   {"key", "text"}}))},
      {"OlderKeys", array_of("OlderKey")},
      {"OlderKeyFields", R"({"type":"object","required":["name"],"properties":{"name":{"type":"string","minLength":1,)"
                         R"("maxLength":100},"expires_at":{"type":["string","null"],"format":"date-time"}}})"},
  };
}

}  // namespace millrace
