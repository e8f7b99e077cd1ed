// SPDX-License-Identifier: Apache-2.0
// What has to be done to machines from time to time, and what is due.
#include <fmt/format.h>

#include <algorithm>

#include "web/edge/maintenance_json.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

using schema::MaintenanceTaskViewT;

constexpr size_t kMaxTasks = 200;  // of one machine
constexpr double kLeast = 0.001;
constexpr double kMost = 1e9;
constexpr std::string_view kNoTask = "maintenance_task_not_found";

schema::MaintenanceTaskDefinedT event_of(const MaintenanceTaskViewT& task) {
  schema::MaintenanceTaskDefinedT event;
  event.task_id = task.id;
  event.title = task.title;
  event.category = task.category;
  event.description = task.description;
  event.every_hours = task.every_hours;
  event.every_filament_m = task.every_filament_m;
  event.every_starts = task.every_starts;
  event.every_days = task.every_days;
  return event;
}

void take_interval(BodyReader& body, std::string_view name, std::optional<double>& interval) {
  if (body.is_null(name)) interval.reset();
  if (const auto given = body.number(name, kLeast, kMost)) interval = given;
}

// What the body says of the task; the rest stays.
void take_fields(BodyReader& body, MaintenanceTaskViewT& task) {
  if (const auto text = body.text("title", {.max_bytes = 100, .empty = false})) task.title = *text;
  if (const auto category = body.word("category", maintenance_categories())) task.category = *category;
  if (const auto text = body.text("description", kDescriptionRule)) task.description = *text;
  take_interval(body, "every_hours", task.every_hours);
  take_interval(body, "every_filament_m", task.every_filament_m);
  take_interval(body, "every_days", task.every_days);
  if (body.is_null("every_starts")) task.every_starts.reset();
  if (const auto given = body.integer("every_starts", 1, static_cast<int64_t>(kMost))) task.every_starts = given;
  if (!task.every_hours && !task.every_filament_m && !task.every_starts && !task.every_days) {
    body.refuse("every_hours",
                "no interval: expected at least one of every_hours, every_filament_m, every_starts, "
                "every_days");
  }
}

HttpResponse answer_with(const RouteContext& context, const std::string& machine, const std::string& id) {
  const auto tasks = read_tasks(*context.parts.store.reader(), machine, context.parts.clock.wall());
  if (!tasks) return api_problem_from(tasks.error());
  for (const TaskStanding& standing : *tasks) {
    if (standing.task.id == id) return task_response(standing);
  }
  return api_problem(404, kNoTask, fmt::format("machine '{}' has no maintenance task '{}'", machine, id));
}

EdgeWrite write_of(const RouteContext& context, const RouteRequest& request, const MaintenanceTaskViewT& task) {
  EdgeWrite write;
  write.events.push_back(draft_of(event_of(task), task.machine, context.parts.clock.wall()));
  write.events.back().actor = request.actor;
  write.answer = [machine = task.machine, id = task.id](const RouteContext& after) {
    return answer_with(after, machine, id);
  };
  return write;
}

HttpResponse list_response(const std::vector<TaskStanding>& standings, size_t limit) {
  JsonWriter json;
  json.object().key("items").array();
  for (size_t i = 0; i < std::min(limit, standings.size()); ++i) write_task(json, standings[i]);
  json.end().key("next_cursor").null().field("total", static_cast<uint64_t>(standings.size())).end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace

HttpResponse answer_maintenance(const RouteContext& context, const RouteRequest& request) {
  const auto limit = limit_in(request.http);
  if (!limit) return api_problem_from(limit.error());
  auto tasks = read_tasks(*context.parts.store.reader(), "", context.parts.clock.wall());
  if (!tasks) return api_problem_from(tasks.error());
  std::stable_sort(tasks->begin(), tasks->end(), [](const TaskStanding& a, const TaskStanding& b) {
    return a.share.value_or(0) > b.share.value_or(0);
  });
  return list_response(*tasks, *limit);
}

HttpResponse answer_maintenance_tasks(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const auto tasks = read_tasks(*context.parts.store.reader(), *machine, context.parts.clock.wall());
  return tasks ? list_response(*tasks, tasks->size()) : api_problem_from(tasks.error());
}

WriteDecision decide_add_maintenance_task(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const auto reader = context.parts.store.reader();
  const auto odometer = read_odometer(*reader, *machine, context.parts.clock.wall());
  if (!odometer) return api_problem_from(odometer.error());
  const auto tasks = read_tasks(*reader, *machine, context.parts.clock.wall());
  if (!tasks) return api_problem_from(tasks.error());
  if (tasks->size() >= kMaxTasks) {
    return api_problem(409, "too_many_tasks",
                       fmt::format("machine '{}' has {} tasks, and may have no more", *machine, tasks->size()));
  }
  MaintenanceTaskViewT task;
  task.machine = *machine;
  task.id = fmt::format("t{}", odometer->last_task + 1);
  task.category = "other";
  BodyReader body(request.http);
  body.require("title");
  take_fields(body, task);
  if (auto refused = body.problem()) return std::move(*refused);
  return write_of(context, request, task);
}

WriteDecision decide_change_maintenance_task(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  auto task = find_task(*context.parts.store.reader(), *machine, request.path.at("task"));
  if (!task) return missing_or_failed(task.error(), kNoTask);
  BodyReader body(request.http);
  take_fields(body, *task);
  if (auto refused = body.problem()) return std::move(*refused);
  return write_of(context, request, *task);
}

WriteDecision decide_remove_maintenance_task(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const std::string& id = request.path.at("task");
  const auto task = find_task(*context.parts.store.reader(), *machine, id);
  if (!task) return missing_or_failed(task.error(), kNoTask);
  schema::MaintenanceTaskRemovedT event;
  event.task_id = task->id;
  EdgeWrite write;
  write.events.push_back(draft_of(std::move(event), *machine, context.parts.clock.wall()));
  write.events.back().actor = request.actor;
  write.answer = [before = answer_with(context, *machine, id)](const RouteContext&) { return before; };
  return write;
}

}  // namespace millrace
