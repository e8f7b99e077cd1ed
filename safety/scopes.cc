// SPDX-License-Identifier: Apache-2.0
#include "safety/scopes.h"

#include <fmt/format.h>

#include <array>

namespace millrace {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"read", "operate", "gcode", "moderate", "administer"};

}  // namespace

std::string_view name_of(Scope scope) { return kNames.at(static_cast<size_t>(scope)); }

std::optional<Scope> scope_from(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Scope>(i);
  }
  return std::nullopt;
}

Result<ScopeSet> parse_scopes(const std::vector<std::string>& names) {
  ScopeSet scopes;
  for (const std::string& name : names) {
    const auto scope = scope_from(name);
    if (!scope) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("'{}' is no scope; there are {}", name.substr(0, 100), fmt::join(kNames, ", ")));
    }
    scopes.add(*scope);
  }
  return scopes;
}

std::vector<std::string> names_of(ScopeSet scopes) {
  std::vector<std::string> names;
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (scopes.has(static_cast<Scope>(i))) names.emplace_back(kNames[i]);
  }
  return names;
}

}  // namespace millrace
