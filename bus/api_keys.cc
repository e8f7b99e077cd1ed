// SPDX-License-Identifier: Apache-2.0
#include "bus/api_keys.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "bus/base64.h"
#include "bus/file_io.h"
#include "bus/file_lock.h"
#include "bus/hmac.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr size_t kMaxFile = 8u << 20;
constexpr size_t kMaxDepth = 8;
constexpr int kOwnerOnly = 0600;
constexpr size_t kSecretBytes = 32;  // 256 bits, 43 characters of base64url
constexpr size_t kSaltBytes = 16;
constexpr size_t kIdBytes = 8;
constexpr std::chrono::minutes kUsesInterval{1};

std::string hex_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string hash_of(std::string_view salt, std::string_view secret) {
  Sha256Digester digester;
  digester.begin();
  digester.add(salt);
  digester.add(secret);
  return hex_of(digester.end());
}

// What tells one state of the file from another without reading it; "" when it is not there.
std::string stamp_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) return {};
  return fmt::format("{}.{}.{}.{}", status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

std::vector<std::string> texts_of(const Json& json, std::string_view name) {
  std::vector<std::string> texts;
  const auto list = member(json, name);
  simdjson::dom::array items;
  if (!list || list->get_array().get(items) != simdjson::SUCCESS) return texts;
  for (const Json item : items) {
    if (const auto text = as_text(item)) texts.emplace_back(*text);
  }
  return texts;
}

// nullopt when what makes it a key is missing.
std::optional<ApiKey> key_of(const Json& json) {
  const auto text = [&](std::string_view name) { return std::string(text_member(json, name).value_or("")); };
  const auto number = [&](std::string_view name) { return integer_member(json, name).value_or(0); };
  ApiKey key;
  key.id = text("id");
  key.number = static_cast<uint64_t>(number("number"));
  key.name = text("name");
  key.prefix = text("prefix");
  key.salt = text("salt");
  key.hash = text("hash");
  key.generation = static_cast<uint64_t>(number("generation"));
  key.scopes = texts_of(json, "scopes");
  key.machines = texts_of(json, "machines");
  key.expires_at = from_unix_us(number("expires_us"));
  key.created_at = from_unix_us(number("created_us"));
  key.last_used_at = from_unix_us(number("last_used_us"));
  key.active = flag_member(json, "active").value_or(false);
  key.description = text("description");
  key.requests_per_minute = static_cast<uint64_t>(number("requests_per_minute"));
  const bool whole = !key.id.empty() && !key.name.empty() && key.prefix.size() == kApiKeyPrefix &&
                     key.salt.size() == 2 * kSaltBytes && key.hash.size() == 2 * sizeof(Sha256) &&
                     member(json, "machines") && member(json, "expires_us");
  return whole ? std::optional(std::move(key)) : std::nullopt;
}

void write_texts(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts) {
  json.key(name).array();
  for (const std::string& text : texts) json.value(text);
  json.end();
}

void write_key(JsonWriter& json, const ApiKey& key) {
  json.object().field("id", key.id).field("number", key.number).field("name", key.name);
  json.field("prefix", key.prefix).field("salt", key.salt).field("hash", key.hash);
  json.field("generation", key.generation);
  write_texts(json, "scopes", key.scopes);
  write_texts(json, "machines", key.machines);
  json.field("expires_us", to_unix_us(key.expires_at)).field("created_us", to_unix_us(key.created_at));
  json.field("last_used_us", to_unix_us(key.last_used_at)).field("active", key.active);
  json.field("description", key.description).field("requests_per_minute", key.requests_per_minute).end();
}

void take_fields(ApiKey& key, const ApiKeyFields& fields) {
  key.name = fields.name;
  key.scopes = fields.scopes;
  key.machines = fields.machines;
  key.expires_at = fields.expires_at;
  key.active = fields.active;
  key.description = fields.description;
  key.requests_per_minute = fields.requests_per_minute;
}

Error no_key(std::string_view id) {
  return make_error(Errc::kNotFound, fmt::format("there is no key '{}'", id.substr(0, 100)));
}

template <class Keys>
Result<void> name_is_free(const Keys& keys, const std::string& name, const std::string& but) {
  for (const auto& [id, key] : keys) {
    if (id == but || key.name != name) continue;
    return make_error(Errc::kConflict, fmt::format("key '{}' has the name '{}'; choose another", id, name));
  }
  return {};
}

template <class Keys>
std::vector<ApiKey> by_number(const Keys& keys) {
  std::vector<ApiKey> list;
  for (const auto& [_, key] : keys) list.push_back(key);
  std::sort(list.begin(), list.end(), [](const ApiKey& a, const ApiKey& b) { return a.number < b.number; });
  return list;
}

}  // namespace

ApiKeyFields fields_of(const ApiKey& key) {
  return {key.name, key.scopes, key.machines, key.expires_at, key.active, key.description, key.requests_per_minute};
}

bool looks_like_api_key(std::string_view text) {
  return text.size() == kApiKeyChars && text.starts_with(kApiKeyBegin) &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
         });
}

ApiKeys::ApiKeys(std::filesystem::path file, const Clock& clock, Random& random)
    : file_(std::move(file)), clock_(clock), random_(random), uses_saved_at_(clock.monotonic()) {}

// A file that cannot be understood whole lets nobody in: half of it might be the wrong half.
Result<ApiKeys::Content> ApiKeys::parse(const std::filesystem::path& file, const std::string& text) {
  JsonReader reader(kMaxFile, kMaxDepth);
  const auto json = reader.parse(text);
  const auto list = json ? member(*json, "keys") : std::nullopt;
  simdjson::dom::array entries;
  if (!list || list->get_array().get(entries) != simdjson::SUCCESS) {
    return make_error(Errc::kMalformed, fmt::format("'{}': expected {{\"keys\": [...]}}", file.string()));
  }
  Content content;
  content.next_number = static_cast<uint64_t>(integer_member(*json, "next_number").value_or(1));
  for (const Json entry : entries) {
    auto key = key_of(entry);
    if (!key) {
      return make_error(Errc::kMalformed, fmt::format("'{}': entry {} of its keys is not whole; restore the file, or "
                                                      "remove the entry",
                                                      file.string(), content.keys.size() + 1));
    }
    content.next_number = std::max(content.next_number, key->number + 1);
    content.keys[key->id] = std::move(*key);
  }
  return content;
}

std::string ApiKeys::encode(const Content& content) {
  JsonWriter json;
  json.object().field("next_number", content.next_number).key("keys").array();
  for (const ApiKey& key : by_number(content.keys)) write_key(json, key);
  json.end().end();
  return json.take() + "\n";
}

Result<ApiKeys::Content> ApiKeys::load() const {
  const auto text = read_file(file_);
  if (!text && text.error().code == Errc::kNotFound) return Content{};
  if (!text) return text.error();
  return parse(file_, *text);
}

void ApiKeys::take(Content content) {
  std::lock_guard lock(mutex_);
  by_prefix_.clear();
  for (const auto& [id, key] : content.keys) by_prefix_.emplace(key.prefix, id);
  content_ = std::make_shared<const Content>(std::move(content));
}

Result<void> ApiKeys::refresh() {
  std::lock_guard file_lock(file_mutex_);
  const std::string stamp = stamp_of(file_);
  {
    std::lock_guard lock(mutex_);
    if (stamp == stamp_) return {};
  }
  auto content = load();
  if (!content) return content.error();
  take(std::move(*content));
  std::lock_guard lock(mutex_);
  stamp_ = stamp;
  return {};
}

Result<void> ApiKeys::write(const Change& change) {
  std::lock_guard file_lock(file_mutex_);
  const FileLock lock(file_);
  if (!lock.held()) return system_error("lock", file_);
  auto content = load();
  if (!content) return content.error();
  if (auto changed = change(*content); !changed) return changed;
  if (auto written = write_file_durably(file_, encode(*content), kOwnerOnly); !written) return written;
  take(std::move(*content));
  const std::string stamp = stamp_of(file_);
  std::lock_guard guard(mutex_);
  stamp_ = stamp;
  return {};
}

std::string ApiKeys::renew_text(ApiKey& key) {
  std::string secret = std::string(kApiKeyBegin) + base64url(random_bytes(random_, kSecretBytes));
  key.prefix = secret.substr(0, kApiKeyPrefix);
  key.salt = hex_bytes(random_bytes(random_, kSaltBytes));
  key.hash = hash_of(key.salt, secret);
  return secret;
}

Result<ApiKeys::Made> ApiKeys::create(const ApiKeyFields& fields) {
  Made made;
  const auto written = write([&](Content& content) -> Result<void> {
    if (content.keys.size() >= kMaxApiKeys) {
      return make_error(Errc::kTooLarge,
                        fmt::format("there are {} keys, the most there can be; revoke one", kMaxApiKeys));
    }
    if (auto is_free = name_is_free(content.keys, fields.name, ""); !is_free) return is_free;
    made.key.id = "key-" + hex_bytes(random_bytes(random_, kIdBytes));
    made.key.number = content.next_number++;
    made.key.created_at = clock_.wall();
    take_fields(made.key, fields);
    made.secret = renew_text(made.key);
    content.keys[made.key.id] = made.key;
    return {};
  });
  if (!written) return written.error();
  return made;
}

Result<ApiKeys::Made> ApiKeys::rotate(const std::string& id) {
  Made made;
  const auto written = write([&](Content& content) -> Result<void> {
    const auto found = content.keys.find(id);
    if (found == content.keys.end()) return no_key(id);
    ++found->second.generation;
    made.secret = renew_text(found->second);
    made.key = found->second;
    return {};
  });
  if (!written) return written.error();
  return made;
}

Result<ApiKey> ApiKeys::change(const std::string& id, const ApiKeyFields& fields, const Rule& allowed) {
  ApiKey changed;
  const auto written = write([&](Content& content) -> Result<void> {
    const auto found = content.keys.find(id);
    if (found == content.keys.end()) return no_key(id);
    if (auto is_free = name_is_free(content.keys, fields.name, id); !is_free) return is_free;
    take_fields(found->second, fields);
    changed = found->second;
    return allowed ? allowed(by_number(content.keys)) : Result<void>{};
  });
  if (!written) return written.error();
  return changed;
}

Result<ApiKey> ApiKeys::revoke(const std::string& id, const Rule& allowed) {
  ApiKey revoked;
  const auto written = write([&](Content& content) -> Result<void> {
    const auto found = content.keys.find(id);
    if (found == content.keys.end()) return no_key(id);
    revoked = std::move(found->second);
    content.keys.erase(found);
    return allowed ? allowed(by_number(content.keys)) : Result<void>{};
  });
  if (!written) return written.error();
  return revoked;
}

std::vector<ApiKey> ApiKeys::keys() const {
  std::lock_guard lock(mutex_);
  std::vector<ApiKey> list = by_number(content_->keys);
  for (ApiKey& key : list) {
    const auto used = uses_.find(key.id);
    if (used != uses_.end()) key.last_used_at = std::max(key.last_used_at, used->second);
  }
  return list;
}

std::optional<ApiKey> ApiKeys::find(std::string_view id) const {
  std::lock_guard lock(mutex_);
  const auto found = content_->keys.find(std::string(id));
  if (found == content_->keys.end()) return std::nullopt;
  ApiKey key = found->second;
  const auto used = uses_.find(key.id);
  if (used != uses_.end()) key.last_used_at = std::max(key.last_used_at, used->second);
  return key;
}

bool ApiKeys::empty() const {
  std::lock_guard lock(mutex_);
  return content_->keys.empty();
}

ApiKeys::Found ApiKeys::verify(std::string_view secret) {
  if (!looks_like_api_key(secret)) return {};
  std::lock_guard lock(mutex_);
  const auto [first, last] = by_prefix_.equal_range(secret.substr(0, kApiKeyPrefix));
  for (auto candidate = first; candidate != last; ++candidate) {
    const ApiKey& key = content_->keys.at(candidate->second);
    if (!same_secret(hash_of(key.salt, secret), key.hash)) continue;
    if (!key.active) return {Verdict::kInactive, key};
    const WallTime now = clock_.wall();
    if (key.expires_at != WallTime{} && key.expires_at <= now) return {Verdict::kExpired, key};
    uses_[key.id] = now;
    return {Verdict::kGood, key};
  }
  return {};
}

Result<void> ApiKeys::save_uses() {
  std::map<std::string, WallTime> uses;
  {
    std::lock_guard lock(mutex_);
    if (uses_.empty() || clock_.monotonic() - uses_saved_at_ < kUsesInterval) return {};
    uses_saved_at_ = clock_.monotonic();
    uses = std::exchange(uses_, {});
  }
  return write([&](Content& content) -> Result<void> {
    for (const auto& [id, at] : uses) {
      const auto found = content.keys.find(id);
      if (found != content.keys.end()) found->second.last_used_at = std::max(found->second.last_used_at, at);
    }
    return {};
  });
}

}  // namespace millrace
