// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/key_json.h"

namespace millrace {
namespace {

void write_texts(JsonWriter& json, const std::vector<std::string>& texts) {
  json.array();
  for (const std::string& text : texts) json.value(text);
  json.end();
}

void write_time(JsonWriter& json, std::string_view name, WallTime time) {
  json.key(name);
  time == WallTime{} ? json.null() : json.value(to_rfc3339(time));
}

}  // namespace

void write_api_key(JsonWriter& json, const ApiKey& key, WallTime now, std::string_view secret) {
  json.object().field("id", key.id).field("name", key.name).field("prefix", key.prefix).key("scopes");
  write_texts(json, key.scopes);
  json.key("machines");
  key.machines.empty() ? static_cast<void>(json.null()) : write_texts(json, key.machines);
  write_time(json, "expires_at", key.expires_at);
  write_time(json, "created_at", key.created_at);
  write_time(json, "last_used_at", key.last_used_at);
  json.field("active", key.active).field("expired", key.expires_at != WallTime{} && key.expires_at <= now);
  json.text_or_null("description", key.description).key("requests_per_minute");
  key.requests_per_minute == 0 ? json.null() : json.value(key.requests_per_minute);
  if (!secret.empty()) json.field("key", secret);
  json.end();
}

std::string api_keys_json(const std::vector<ApiKey>& keys, WallTime now) {
  JsonWriter json;
  json.object().key("items").array();
  for (const ApiKey& key : keys) write_api_key(json, key, now);
  json.end().key("next_cursor").null().field("total", static_cast<uint64_t>(keys.size())).end();
  return json.take();
}

}  // namespace millrace
