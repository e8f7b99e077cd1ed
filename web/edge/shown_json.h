// SPDX-License-Identifier: Apache-2.0
// Machines and jobs as the API shows them: snake_case, RFC 3339 in UTC, seconds, millimetres, degrees Celsius.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "bus/clock.h"
#include "bus/json_writer.h"
#include "schemas/view_generated.h"

namespace millrace {

// The moment of showing: whether values are stale depends on it.
struct ShownAt {
  WallTime now{};
  std::chrono::seconds stale_after{60};
};

// What holds for a machine's safety, as the machine's object carries it.
struct MachineSafetyState {
  schema::SafetyViewT view;
  std::map<std::string, schema::AlarmViewT> alarms;  // that stand, by their ids
};

bool is_stale(const schema::MachineViewT& machine, const ShownAt& at);
// Since the machine's values were last seen to hold; nullopt: never, or what told of it is no longer kept.
std::optional<Micros> age_of_values(const schema::MachineViewT& machine, const ShownAt& at);
// The categories of safety/value_age.h whose values are stale, and those of which nothing is known: a bit each.
uint32_t stale_categories(const schema::MachineViewT& machine, const ShownAt& at);
// `safety` is null where nothing was said of it.
void write_machine(JsonWriter& json, const schema::MachineViewT& machine, const MachineSafetyState* safety,
                   const ShownAt& at);
// The members alarms, emergency, limits and plate_clear.
void write_safety_of_machine(JsonWriter& json, const MachineSafetyState* safety, const ShownAt& at);

// nullptr: the object has no such field.  Points into the object.
const double* value_of(const schema::ObservedObjectT& object, std::string_view field);

// With `detail` also what is large: metadata and auxiliary data.
void write_job(JsonWriter& json, const schema::JobViewT& job, const schema::JobDetailT* detail = nullptr);

// null for 0.
void write_time(JsonWriter& json, std::string_view name, int64_t unix_us);

}  // namespace millrace
