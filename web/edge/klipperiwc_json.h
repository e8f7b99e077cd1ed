// SPDX-License-Identifier: Apache-2.0
// A machine as clients of the older KlipperIWC expect it: its shapes and its four states, with times in UTC.
// The fields are those of its PrinterStatus, JobSummary and TemperatureReading.
#pragma once

#include <string>
#include <string_view>

#include "schemas/view_generated.h"
#include "web/edge/shown_json.h"

namespace millrace {

// "idle", "printing", "error" or "offline".  A pause is part of a print there.
std::string_view klipperiwc_state(const schema::MachineViewT& machine);

// {state, message, uptime_seconds, active_job, queued_jobs, temperatures}
void write_klipperiwc_status(JsonWriter& json, const schema::MachineViewT& machine, const ShownAt& at);
// The running job, then those that wait.
void write_klipperiwc_jobs(JsonWriter& json, const schema::MachineViewT& machine, const ShownAt& at);
void write_klipperiwc_temperatures(JsonWriter& json, const schema::MachineViewT& machine);

// One message of its WebSocket: {"type":"status","payload":{...}}
std::string klipperiwc_message(const schema::MachineViewT& machine, const ShownAt& at);

}  // namespace millrace
