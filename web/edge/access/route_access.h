// SPDX-License-Identifier: Apache-2.0
// What a row of the table of routes says about access, with what it leaves unsaid filled in.  Pure.
#pragma once

#include <string_view>

#include "web/edge/access/caller.h"

namespace millrace {

struct Route;

// Paths that end so stop machines: any valid key may, whatever its scopes and machines, and nothing counts them.
inline constexpr std::string_view kEmergencyStopEnd = "/emergency_stop";
bool is_emergency_stop(const Route& route);

Needs needs_of(const Route& route);
std::string_view name_of(Needs needs);  // "nothing", "any key", else the scope
RateClass rate_of(const Route& route);
// By the pattern: "/api/v1/machines/{id}" and below are about a machine, "/api/v1/jobs/{id}" about a job's, a route
// with the parameter `machine` about the one that it says, and every other about the whole shop.
Concerns concerns_of(const Route& route);

// For the rows of the table:  needs(Needs::kOperate, {"POST", ...}).
Route needs(Needs what, Route route);
Route with_access(RouteAccess access, Route route);

}  // namespace millrace
