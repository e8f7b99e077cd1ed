// SPDX-License-Identifier: Apache-2.0
#include "web/edge/maintenance_json.h"

#include <fmt/format.h>

#include "projections/machine_state.h"
#include "web/edge/problem.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

// A calendar interval alone has a date.
int64_t due_us(const TaskStanding& standing) {
  constexpr double kDayUs = 86'400e6;
  if (!standing.task.every_days) return 0;
  return to_unix_us(standing.since) + static_cast<int64_t>(*standing.task.every_days * kDayUs);
}

HttpResponse json_response(JsonWriter& json) {
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace

void write_record(JsonWriter& json, const schema::MaintenanceRecordViewT& record) {
  json.object().field("id", record.id).field("machine", record.machine);
  json.text_or_null("task_id", record.task_id);
  write_time(json, "date", record.date_us);
  json.field("done", record.done).field("category", record.category).field("description", record.description);
  json.field("cost", record.cost).field("notes", record.notes);
  write_time(json, "recorded_at", record.recorded_us);
  json.text_or_null("actor", record.actor);
  json.end();
}

void write_task(JsonWriter& json, const TaskStanding& standing) {
  const schema::MaintenanceTaskViewT& task = standing.task;
  json.object().field("id", task.id).field("machine", task.machine).field("title", task.title);
  json.field("category", task.category).field("description", task.description);
  json.field("every_hours", task.every_hours).field("every_filament_m", task.every_filament_m);
  json.field("every_starts", task.every_starts).field("every_days", task.every_days);
  write_time(json, "defined_at", task.defined_us);
  write_time(json, "since", to_unix_us(standing.since));
  json.text_or_null("done_by", standing.done_by);
  json.key("used").object().field("hours", standing.used.hours).field("filament_m", standing.used.filament_m);
  json.field("starts", standing.used.starts).field("days", standing.used.days).end();
  json.field("share", standing.share).field("due", standing.due);
  write_time(json, "due_at", due_us(standing));
  write_time(json, "due_since", standing.due && task.told_due ? task.told_us : 0);
  json.end();
}

void write_odometer(JsonWriter& json, const std::string& machine, const Odometer& odometer) {
  json.object().field("machine", machine).field("hours", odometer.total.hours);
  json.field("filament_m", odometer.total.filament_m).field("starts", odometer.total.starts);
  json.field("connected_hours", odometer.connected_hours);
  write_time(json, "first_print_at", to_unix_us(odometer.first_print));
  json.end();
}

HttpResponse record_response(const schema::MaintenanceRecordViewT& record) {
  JsonWriter json;
  write_record(json, record);
  return json_response(json);
}

HttpResponse task_response(const TaskStanding& standing) {
  JsonWriter json;
  write_task(json, standing);
  return json_response(json);
}

boost::system::result<std::string, HttpResponse> machine_of_path(const RouteContext& context,
                                                                 const RouteRequest& request) {
  std::string id = request.path.at("id");
  const auto known = context.parts.store.reader()->get(kMachineStateView, id);
  if (!known) return api_problem_from(known.error());
  if (*known) return id;
  return machine_not_found(id);
}

HttpResponse missing_or_failed(const Error& error, std::string_view code) {
  return error.code == Errc::kNotFound ? api_problem(404, code, error.context) : api_problem_from(error);
}

std::vector<std::string_view> maintenance_categories() {
  return {kMaintenanceCategories.begin(), kMaintenanceCategories.end()};
}

}  // namespace millrace
