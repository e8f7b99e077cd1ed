// SPDX-License-Identifier: Apache-2.0
#include "safety/scopes.h"

#include <fmt/format.h>

#include <array>

#include "safety/command.h"
#include "safety/names.h"

namespace millrace {
namespace {

constexpr std::array kScopes = {Scope::kRead, Scope::kOperate, Scope::kGcode, Scope::kModerate, Scope::kAdminister};

}  // namespace

std::string_view name_of(Scope scope) {
  switch (scope) {
    case Scope::kRead:
      return "read";
    case Scope::kOperate:
      return "operate";
    case Scope::kGcode:
      return "gcode";
    case Scope::kModerate:
      return "moderate";
    case Scope::kAdminister:
      return "administer";
  }
  return "unknown";
}

std::optional<Scope> scope_from(std::string_view name) {
  for (const Scope scope : kScopes) {
    if (name_of(scope) == name) return scope;
  }
  return std::nullopt;
}

Result<ScopeSet> parse_scopes(const std::vector<std::string>& names) {
  ScopeSet scopes;
  for (const std::string& name : names) {
    const auto scope = scope_from(name);
    if (!scope) {
      return make_error(
          Errc::kInvalidArgument,
          fmt::format("scope is '{}': expected read, operate, gcode, moderate or administer", shown(name)));
    }
    scopes.add(*scope);
  }
  return scopes;
}

std::vector<std::string> names_of(ScopeSet scopes) {
  std::vector<std::string> names;
  for (const Scope scope : kScopes) {
    if (scopes.has(scope)) names.emplace_back(name_of(scope));
  }
  return names;
}

std::optional<Scope> scope_for(CommandKind kind) {
  switch (kind) {
    case CommandKind::kEmergencyStop:
      return std::nullopt;
    case CommandKind::kGcode:
    case CommandKind::kMacro:
      return Scope::kGcode;
    default:
      return Scope::kOperate;
  }
}

bool may_ask(ScopeSet scopes, CommandKind kind) {
  const auto needed = scope_for(kind);
  return !needed || scopes.has(*needed);
}

}  // namespace millrace
