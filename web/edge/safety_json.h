// SPDX-License-Identifier: Apache-2.0
// Limits, rules and alarms as the API shows them.
#pragma once

#include <optional>
#include <string>

#include "bus/json_writer.h"
#include "projections/safety_state.h"
#include "safety/monitor_rules.h"
#include "web/edge/routes.h"
#include "web/edge/shown_json.h"

namespace millrace {

// An alarm's id holds '/', which a path cannot: in paths the first two of them are '~'.
std::string alarm_ref(std::string_view id);
std::string alarm_id_of_ref(std::string_view ref);

void write_alarm(JsonWriter& json, const schema::AlarmViewT& alarm, int64_t now_us);
// What people set, what the adapter works by, and whether these are the same.
void write_machine_limits(JsonWriter& json, const schema::SafetyViewT& view);
// Those that the adapter works by; true where nobody set any.
bool limits_hold(const schema::SafetyViewT& view);
// A rule with its default and how it is set: for `machine`, for all, or not at all.
void write_rule(JsonWriter& json, const MonitorRuleRow& row, const std::vector<schema::SafetyRuleViewT>& rules,
                std::string_view machine);

// Of every machine of which something was said; of one, empty where nothing was.
Result<std::map<std::string, MachineSafetyState>> read_safety_states(const ViewReader& reader);
Result<MachineSafetyState> read_safety_state(const ViewReader& reader, const std::string& machine);

// A machine that is or was there; an answer 404 `machine_not_found` otherwise.
boost::system::result<std::string, HttpResponse> known_machine(const RouteContext& context, const std::string& id);

}  // namespace millrace
