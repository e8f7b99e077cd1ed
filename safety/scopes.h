// SPDX-License-Identifier: Apache-2.0
// What a key or a session may do.  No scope contains another: who may both read and operate holds both.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/result.h"

namespace millrace {

enum class CommandKind : uint8_t;

enum class Scope : uint8_t {
  kRead,        // see
  kOperate,     // the commands of docs/commands.md, except those of kGcode
  kGcode,       // G-code and macros: what cannot always be judged beforehand
  kModerate,    // judge what others uploaded
  kAdminister,  // limits, rules, keys, machines, and G-code that restarts or configures
};

std::string_view name_of(Scope scope);  // "operate"
std::optional<Scope> scope_from(std::string_view name);

class ScopeSet {
 public:
  constexpr ScopeSet() = default;
  constexpr ScopeSet(std::initializer_list<Scope> scopes) {
    for (const Scope scope : scopes) add(scope);
  }
  static constexpr ScopeSet all() {
    return {Scope::kRead, Scope::kOperate, Scope::kGcode, Scope::kModerate, Scope::kAdminister};
  }

  constexpr void add(Scope scope) { bits_ = static_cast<uint8_t>(bits_ | bit(scope)); }
  constexpr bool has(Scope scope) const { return (bits_ & bit(scope)) != 0; }
  constexpr bool has_all(ScopeSet other) const { return (bits_ & other.bits_) == other.bits_; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr bool operator==(const ScopeSet&) const = default;

 private:
  static constexpr uint8_t bit(Scope scope) { return static_cast<uint8_t>(1u << static_cast<unsigned>(scope)); }

  uint8_t bits_ = 0;
};

// Names in any order, repeated or not.  kInvalidArgument names the first that is none, and those there are.
Result<ScopeSet> parse_scopes(const std::vector<std::string>& names);
// In the order of the enum.
std::vector<std::string> names_of(ScopeSet scopes);

// What the command needs; nullopt: any valid key will do (emergency_stop).
std::optional<Scope> scope_for(CommandKind kind);
// Whether a holder of `scopes` may ask for it.
bool may_ask(ScopeSet scopes, CommandKind kind);

}  // namespace millrace
