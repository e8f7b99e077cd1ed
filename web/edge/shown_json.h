// SPDX-License-Identifier: Apache-2.0
// Machines and jobs as the API shows them: snake_case, RFC 3339 in UTC, seconds, millimetres, degrees Celsius.
#pragma once

#include <chrono>
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

bool is_stale(const schema::MachineViewT& machine, const ShownAt& at);
void write_machine(JsonWriter& json, const schema::MachineViewT& machine, const ShownAt& at);

// nullptr: the object has no such field.  Points into the object.
const double* value_of(const schema::ObservedObjectT& object, std::string_view field);

// With `detail` also what is large: metadata and auxiliary data.
void write_job(JsonWriter& json, const schema::JobViewT& job, const schema::JobDetailT* detail = nullptr);

// null for 0.
void write_time(JsonWriter& json, std::string_view name, int64_t unix_us);

}  // namespace millrace
