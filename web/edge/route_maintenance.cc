// SPDX-License-Identifier: Apache-2.0
// What was done to a machine, and its odometer.
#include <fmt/format.h>

#include <algorithm>

#include "web/edge/maintenance_json.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

using schema::MaintenanceRecordViewT;

constexpr double kMaxCost = 1e12;
constexpr std::string_view kNoRecord = "maintenance_record_not_found";
// Clocks of browsers and of the hub differ a little.
constexpr std::chrono::minutes kNearlyNow{5};

Result<std::optional<bool>> flag_in(const HttpRequest& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::optional<bool>();
  if (*text == "true" || *text == "false") return std::optional(*text == "true");
  return make_error(Errc::kInvalidArgument, fmt::format("{}='{}': expected true or false", name, text->substr(0, 100)));
}

Result<RecordQuery> query_in(const RouteContext& context, const HttpRequest& request, const std::string& machine) {
  const auto limit = limit_in(request);
  const auto done = flag_in(request, "done");
  const auto from = time_in(request, "from");
  const auto to = time_in(request, "to");
  const auto after = place_in(request, context.parts.log.incarnation());
  if (!limit) return limit.error();
  if (!done) return done.error();
  if (!from) return from.error();
  if (!to) return to.error();
  if (!after) return after.error();
  RecordQuery query;
  query.machine = machine;
  query.done = *done;
  query.category = text_in(request, "category");
  query.task_id = text_in(request, "task_id");
  query.from = *from;
  query.to = *to;
  query.after = *after;
  query.limit = *limit;
  const auto categories = maintenance_categories();
  if (query.category.empty() || std::ranges::find(categories, query.category) != categories.end()) return query;
  return make_error(Errc::kInvalidArgument, fmt::format("category='{}': expected {}", query.category.substr(0, 100),
                                                        fmt::join(categories, ", ")));
}

schema::MaintenanceRecordedT event_of(const MaintenanceRecordViewT& record) {
  schema::MaintenanceRecordedT event;
  event.record_id = record.id;
  event.task_id = record.task_id;
  event.date_us = record.date_us;
  event.done = record.done;
  event.category = record.category;
  event.description = record.description;
  event.cost = record.cost;
  event.notes = record.notes;
  return event;
}

// The machine's task that the record is to belong to; notes it when there is none of that name.
void take_task(const ViewReader& reader, BodyReader& body, MaintenanceRecordViewT& record) {
  if (body.is_null("task_id")) record.task_id.clear();
  const auto id = body.text("task_id", {.max_bytes = 64});
  if (!id) return;
  record.task_id = *id;
  if (id->empty()) return;
  const auto task = find_task(reader, record.machine, *id);
  if (!task) return body.refuse("task_id", task.error().context);
  if (record.category.empty()) record.category = task->category;
}

// What the body says of the record; the rest stays.
void take_fields(const RouteContext& context, BodyReader& body, MaintenanceRecordViewT& record) {
  const WallTime now = context.parts.clock.wall();
  take_task(*context.parts.store.reader(), body, record);
  if (const auto category = body.word("category", maintenance_categories())) record.category = *category;
  if (const auto text = body.text("description", kDescriptionRule)) record.description = *text;
  if (const auto text = body.text("notes", {.max_bytes = 2000, .lines = true})) record.notes = *text;
  if (body.is_null("cost")) record.cost.reset();
  if (const auto cost = body.number("cost", 0, kMaxCost)) record.cost = cost;
  const auto date = body.time("date");
  const auto done = body.flag("done");
  if (date) record.date_us = to_unix_us(*date);
  const bool is_ahead = from_unix_us(record.date_us) > now + kNearlyNow;
  if (done) record.done = *done;
  if (!record.done || !is_ahead) return;
  // What was planned for later and is done now, is done now.
  if (date || !done) {
    body.refuse("date", fmt::format("{} lies ahead: expected a past date, or done false",
                                    to_rfc3339(from_unix_us(record.date_us))));
  } else {
    record.date_us = to_unix_us(now);
  }
}

EdgeWrite write_of(const RouteContext& context, const RouteRequest& request, const MaintenanceRecordViewT& record) {
  EdgeWrite write;
  write.events.push_back(draft_of(event_of(record), record.machine, context.parts.clock.wall()));
  write.events.back().actor = request.actor;
  write.answer = [machine = record.machine, id = record.id](const RouteContext& after) {
    const auto shown = find_record(*after.parts.store.reader(), machine, id);
    return shown ? record_response(*shown) : missing_or_failed(shown.error(), kNoRecord);
  };
  return write;
}

}  // namespace

HttpResponse answer_odometer(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const auto odometer = read_odometer(*context.parts.store.reader(), *machine, context.parts.clock.wall());
  if (!odometer) return api_problem_from(odometer.error());
  JsonWriter json;
  write_odometer(json, *machine, *odometer);
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_maintenance_records(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const auto query = query_in(context, request.http, *machine);
  if (!query) return api_problem_from(query.error());
  const auto page = list_records(*context.parts.store.reader(), *query);
  if (!page) return api_problem_from(page.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const MaintenanceRecordViewT& record : page->records) write_record(json, record);
  json.end().key("next_cursor");
  page->next.empty() ? json.null() : json.value(make_cursor(context.parts.log.incarnation(), page->next));
  json.key("total").null().end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

WriteDecision decide_add_maintenance_record(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const auto odometer = read_odometer(*context.parts.store.reader(), *machine, context.parts.clock.wall());
  if (!odometer) return api_problem_from(odometer.error());
  MaintenanceRecordViewT record;
  record.machine = *machine;
  record.id = fmt::format("m{}", odometer->last_record + 1);
  const WallTime now = context.parts.clock.wall();
  BodyReader body(request.http);
  record.date_us = to_unix_us(now);
  const auto date = body.time("date");
  record.done = !date || *date <= now + kNearlyNow;
  take_fields(context, body, record);
  if (record.category.empty()) body.require("category");
  if (auto refused = body.problem()) return std::move(*refused);
  return write_of(context, request, record);
}

WriteDecision decide_change_maintenance_record(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const auto held = find_record(*context.parts.store.reader(), *machine, request.path.at("record"));
  if (!held) return missing_or_failed(held.error(), kNoRecord);
  MaintenanceRecordViewT record = *held;
  BodyReader body(request.http);
  take_fields(context, body, record);
  if (auto refused = body.problem()) return std::move(*refused);
  return write_of(context, request, record);
}

WriteDecision decide_remove_maintenance_record(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_path(context, request);
  if (!machine) return machine.error();
  const auto held = find_record(*context.parts.store.reader(), *machine, request.path.at("record"));
  if (!held) return missing_or_failed(held.error(), kNoRecord);
  schema::MaintenanceRecordRemovedT event;
  event.record_id = held->id;
  EdgeWrite write;
  write.events.push_back(draft_of(std::move(event), *machine, context.parts.clock.wall()));
  write.events.back().actor = request.actor;
  write.answer = [record = *held](const RouteContext&) { return record_response(record); };
  return write;
}

}  // namespace millrace
