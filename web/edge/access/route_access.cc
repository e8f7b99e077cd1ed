// SPDX-License-Identifier: Apache-2.0
#include "web/edge/access/route_access.h"

#include <algorithm>

#include "web/edge/routes.h"

namespace millrace {
namespace {

bool is_at_or_below(std::string_view pattern, std::string_view top) {
  return pattern.starts_with(top) && (pattern.size() == top.size() || pattern[top.size()] == '/');
}

}  // namespace

bool is_emergency_stop(const Route& route) {
  return route.method == "POST" && route.pattern.ends_with(kEmergencyStopEnd);
}

Needs needs_of(const Route& route) {
  if (is_emergency_stop(route)) return Needs::kAnyKey;
  if (route.access.needs != Needs::kByMethod) return route.access.needs;
  if (is_at_or_below(route.pattern, "/health")) return Needs::kNothing;
  return route.method == "GET" ? Needs::kRead : Needs::kAdminister;
}

std::string_view name_of(Needs needs) {
  switch (needs) {
    case Needs::kNothing:
      return "nothing";
    case Needs::kAnyKey:
      return "any key";
    case Needs::kRead:
      return name_of(Scope::kRead);
    case Needs::kOperate:
      return name_of(Scope::kOperate);
    case Needs::kGcode:
      return name_of(Scope::kGcode);
    case Needs::kModerate:
      return name_of(Scope::kModerate);
    default:
      return name_of(Scope::kAdminister);
  }
}

RateClass rate_of(const Route& route) {
  return is_emergency_stop(route) || is_at_or_below(route.pattern, "/health") ? RateClass::kExempt : route.access.rate;
}

Concerns concerns_of(const Route& route) {
  if (is_emergency_stop(route)) return Concerns::kNothing;
  if (route.access.concerns != Concerns::kByPattern) return route.access.concerns;
  if (is_at_or_below(route.pattern, "/health")) return Concerns::kNothing;
  if (is_at_or_below(route.pattern, "/api/v1/machines/{id}")) return Concerns::kMachine;
  if (is_at_or_below(route.pattern, "/api/v1/jobs/{id}")) return Concerns::kJob;
  const bool says_machine = std::any_of(route.parameters.begin(), route.parameters.end(),
                                        [](const Parameter& parameter) { return parameter.name == "machine"; });
  return says_machine ? Concerns::kQuery : Concerns::kShop;
}

Route needs(Needs what, Route route) {
  route.access.needs = what;
  return route;
}

Route with_access(RouteAccess access, Route route) {
  route.access = access;
  return route;
}

}  // namespace millrace
