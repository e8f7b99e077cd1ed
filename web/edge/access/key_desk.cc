// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/key_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/ids.h"
#include "bus/logging.h"
#include "safety/scopes.h"

namespace millrace {
namespace {

constexpr size_t kMaxName = 100;
constexpr size_t kMaxDescription = 500;
constexpr size_t kMaxMachines = 100;
constexpr uint64_t kMostPerMinute = 600'000;
// What events say of others than keys' holders.
constexpr std::array<std::string_view, 6> kNotForKeys = {"local", "hub", "mqtt", "adapter", "system", "nobody"};

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool may_administer(const ApiKey& key, WallTime now) {
  return key.active && key.machines.empty() && (key.expires_at == WallTime{} || key.expires_at > now) &&
         std::find(key.scopes.begin(), key.scopes.end(), name_of(Scope::kAdminister)) != key.scopes.end();
}

}  // namespace

std::optional<WrongField> wrong_fields(const ApiKeyFields& fields) {
  const std::string& name = fields.name;
  if (name.empty() || name.size() > kMaxName || has_control(name) || name.front() == ' ' || name.back() == ' ') {
    return WrongField{"name", "expected 1 to 100 bytes without control characters"};
  }
  if (std::find(kNotForKeys.begin(), kNotForKeys.end(), name) != kNotForKeys.end()) {
    return WrongField{"name", fmt::format("'{}' is what events call another sender; choose another", name)};
  }
  if (fields.scopes.empty()) return WrongField{"scopes", "expected at least one"};
  if (const auto scopes = parse_scopes(fields.scopes); !scopes) return WrongField{"scopes", scopes.error().context};
  if (fields.machines.size() > kMaxMachines) return WrongField{"machines", "expected at most 100; none means all"};
  for (const std::string& machine : fields.machines) {
    if (!is_valid_machine_id(machine)) return WrongField{"machines", fmt::format("'{}' is no machine's id", machine)};
  }
  if (fields.description.size() > kMaxDescription || has_control(fields.description)) {
    return WrongField{"description", "expected at most 500 bytes without control characters"};
  }
  if (fields.requests_per_minute > kMostPerMinute) {
    return WrongField{"requests_per_minute", "expected 1 to 600000, or nothing"};
  }
  return std::nullopt;
}

Result<void> KeyDesk::append(EventDraft draft, const KeyChanger& by) {
  draft.actor = by.actor;
  std::vector<EventDraft> events;
  events.push_back(std::move(draft));
  auto position = append_(std::move(events));
  if (!position) return position.error();
  return {};
}

ApiKeys::Rule KeyDesk::rule_of(const KeyChanger& by) const {
  if (by.may_lock_out) return nullptr;
  return [now = clock_.wall()](const std::vector<ApiKey>& after) -> Result<void> {
    const bool somebody =
        std::any_of(after.begin(), after.end(), [&](const ApiKey& key) { return may_administer(key, now); });
    if (somebody) return {};
    return make_error(
        Errc::kConflict,
        fmt::format("{}: make another first, or use `millrace keys` on the hub's computer", kLastAdministrator));
  };
}

Result<KeyDesk::Made> KeyDesk::create(const ApiKeyFields& fields, const KeyChanger& by) {
  std::lock_guard lock(mutex_);
  if (const auto wrong = wrong_fields(fields)) {
    return make_error(Errc::kInvalidArgument, fmt::format("{}: {}", wrong->field, wrong->expected));
  }
  auto made = keys_.create(fields);
  if (!made) return made.error();
  schema::KeyCreatedT event;
  event.key_id = made->key.id;
  event.name = made->key.name;
  event.prefix = made->key.prefix;
  event.scopes = made->key.scopes;
  event.machines = made->key.machines;
  event.expires_us = to_unix_us(made->key.expires_at);
  event.description = made->key.description;
  if (auto appended = append(draft_of(std::move(event), "", clock_.wall(), clock_.wall()), by); !appended) {
    if (auto undone = keys_.revoke(made->key.id); !undone) {
      log_error("access", "key {} stays, unused and unrecorded: {}", made->key.id, undone.error().message());
    }
    return appended.error();
  }
  return Made{std::move(made->key), std::move(made->secret), true};
}

Result<KeyDesk::Made> KeyDesk::rotate(const std::string& id, const KeyChanger& by) {
  std::lock_guard lock(mutex_);
  auto made = keys_.rotate(id);
  if (!made) return made.error();
  schema::KeyRotatedT event;
  event.key_id = id;
  event.prefix = made->key.prefix;
  const auto appended = append(draft_of(std::move(event), "", clock_.wall(), clock_.wall()), by);
  if (!appended) log_error("access", "rotation of key {} is not recorded: {}", id, appended.error().message());
  return Made{std::move(made->key), std::move(made->secret), appended.has_value()};
}

Result<KeyDesk::Done> KeyDesk::change(const std::string& id, const ApiKeyFields& fields, const KeyChanger& by) {
  std::lock_guard lock(mutex_);
  if (const auto wrong = wrong_fields(fields)) {
    return make_error(Errc::kInvalidArgument, fmt::format("{}: {}", wrong->field, wrong->expected));
  }
  const auto before = keys_.find(id);
  auto changed = keys_.change(id, fields, rule_of(by));
  if (!changed) return changed.error();
  schema::KeyChangedT event;
  event.key_id = id;
  event.name = changed->name;
  event.scopes = changed->scopes;
  event.machines = changed->machines;
  event.expires_us = to_unix_us(changed->expires_at);
  event.description = changed->description;
  event.active = changed->active;
  if (auto appended = append(draft_of(std::move(event), "", clock_.wall(), clock_.wall()), by); !appended) {
    if (!before || !keys_.change(id, fields_of(*before))) log_error("access", "key {} is changed and unrecorded", id);
    return appended.error();
  }
  return Done{std::move(*changed), true};
}

Result<KeyDesk::Done> KeyDesk::revoke(const std::string& id, const std::string& reason, const KeyChanger& by) {
  std::lock_guard lock(mutex_);
  auto revoked = keys_.revoke(id, rule_of(by));
  if (!revoked) return revoked.error();
  schema::KeyRevokedT event;
  event.key_id = id;
  event.reason = reason;
  const auto appended = append(draft_of(std::move(event), "", clock_.wall(), clock_.wall()), by);
  if (!appended) log_error("access", "revocation of key {} is not recorded: {}", id, appended.error().message());
  return Done{std::move(*revoked), appended.has_value()};
}

}  // namespace millrace
