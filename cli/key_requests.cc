// SPDX-License-Identifier: Apache-2.0
#include "cli/key_requests.h"

#include <fmt/format.h>

#include "bus/json_writer.h"
#include "safety/scopes.h"
#include "web/edge/access/caller.h"
#include "web/edge/access/key_json.h"

namespace millrace {
namespace {

KeyChanger somebody_here() { return {std::string(kLocalActor), true}; }

Result<std::vector<std::string>> texts_in_request(const Json& request, std::string_view name) {
  std::vector<std::string> texts;
  const auto list = member(request, name);
  if (!list) return texts;
  simdjson::dom::array items;
  if (list->get_array().get(items) != simdjson::SUCCESS) {
    return make_error(Errc::kInvalidArgument, fmt::format("{}: expected a list of texts", name));
  }
  for (const Json item : items) {
    const auto text = as_text(item);
    if (!text) return make_error(Errc::kInvalidArgument, fmt::format("{}: expected a list of texts", name));
    texts.emplace_back(*text);
  }
  return texts;
}

// By id, name, or the beginning of the text, as far as that says which.
Result<ApiKey> key_meant(const ApiKeys& keys, std::string_view text) {
  std::vector<ApiKey> meant;
  for (ApiKey& key : keys.keys()) {
    if (key.id == text || key.name == text) return std::move(key);
    if (!text.empty() && key.prefix == text.substr(0, kApiKeyPrefix)) meant.push_back(std::move(key));
  }
  if (meant.size() == 1) return std::move(meant.front());
  return make_error(Errc::kNotFound, fmt::format("there is no key '{}': expected an id, a name or the first {} "
                                                 "characters of one, as `millrace keys list` shows them",
                                                 text.substr(0, 100), kApiKeyPrefix));
}

// The key's object with one member more.
std::string with_recorded(const ApiKey& key, WallTime now, std::string_view secret, bool recorded) {
  JsonWriter json;
  write_api_key(json, key, now, secret);
  std::string text = json.take();
  text.pop_back();
  return text + (recorded ? R"(,"recorded":true})" : R"(,"recorded":false})");
}

Result<ApiKeyFields> fields_in(const Json& request, bool is_first) {
  ApiKeyFields fields;
  fields.name = text_member(request, "name").value_or("");
  fields.description = text_member(request, "description").value_or("");
  fields.expires_at = from_unix_us(integer_member(request, "expires_us").value_or(0));
  fields.requests_per_minute = static_cast<uint64_t>(integer_member(request, "requests_per_minute").value_or(0));
  auto scopes = texts_in_request(request, "scopes");
  if (!scopes) return scopes.error();
  auto machines = texts_in_request(request, "machines");
  if (!machines) return machines.error();
  fields.machines = std::move(*machines);
  fields.scopes = std::move(*scopes);
  if (fields.scopes.empty()) {
    fields.scopes = names_of(is_first ? ScopeSet::all() : ScopeSet{Scope::kRead, Scope::kOperate});
  }
  return fields;
}

Result<std::string> create(const Json& request, KeyDesk& desk, const Clock& clock) {
  const auto fields = fields_in(request, desk.keys().empty());
  if (!fields) return fields.error();
  const auto made = desk.create(*fields, somebody_here());
  if (!made) return made.error();
  return with_recorded(made->key, clock.wall(), made->secret, made->recorded);
}

}  // namespace

Result<std::string> answer_key_request(const Json& request, KeyDesk& desk, const Clock& clock) {
  if (auto read = desk.keys().refresh(); !read) return read.error();
  const auto verb = text_member(request, "verb").value_or("");
  if (verb == "list") return api_keys_json(desk.keys().keys(), clock.wall());
  if (verb == "create") return create(request, desk, clock);
  if (verb != "rotate" && verb != "revoke") {
    return make_error(Errc::kInvalidArgument,
                      fmt::format("verb '{}': expected list, create, rotate or revoke; this hub may be older", verb));
  }
  const auto key = key_meant(desk.keys(), text_member(request, "key").value_or(""));
  if (!key) return key.error();
  if (verb == "rotate") {
    const auto made = desk.rotate(key->id, somebody_here());
    if (!made) return made.error();
    return with_recorded(made->key, clock.wall(), made->secret, made->recorded);
  }
  const auto done = desk.revoke(key->id, "by millrace keys", somebody_here());
  if (!done) return done.error();
  return with_recorded(done->key, clock.wall(), {}, done->recorded);
}

}  // namespace millrace
