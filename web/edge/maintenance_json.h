// SPDX-License-Identifier: Apache-2.0
// Maintenance as the API shows and reads it.
#pragma once

#include <optional>
#include <string>

#include "bus/json_writer.h"
#include "projections/maintenance.h"
#include "web/edge/body_reader.h"
#include "web/edge/routes.h"

namespace millrace {

void write_record(JsonWriter& json, const schema::MaintenanceRecordViewT& record);
void write_task(JsonWriter& json, const TaskStanding& standing);
void write_odometer(JsonWriter& json, const std::string& machine, const Odometer& odometer);

HttpResponse record_response(const schema::MaintenanceRecordViewT& record);
HttpResponse task_response(const TaskStanding& standing);

// The machine in the path; an answer 404 `machine_not_found` when nobody knows it.
boost::system::result<std::string, HttpResponse> machine_of_path(const RouteContext& context,
                                                                 const RouteRequest& request);
// 404 with `code` for kNotFound.
HttpResponse missing_or_failed(const Error& error, std::string_view code);

// The words of kMaintenanceCategories.
std::vector<std::string_view> maintenance_categories();

inline constexpr TextRule kDescriptionRule{.max_bytes = 500, .lines = true};

}  // namespace millrace
