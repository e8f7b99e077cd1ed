// SPDX-License-Identifier: Apache-2.0
// /api/printers: machines that are printers, and what people do about them.
#include <fmt/format.h>

#include "projections/job_catalog.h"
#include "projections/machine_state.h"
#include "web/edge/print_logger/older_json.h"
#include "web/edge/print_logger/older_request.h"
#include "web/edge/print_logger/print_logger_routes.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

using schema::MachineViewT;

constexpr RenamedField kPrinterFields[] = {{"name", "name"},
                                           {"moonraker_url", "moonraker_url"},
                                           {"location", "location"},
                                           {"moonraker_api_key", "api_key"},
                                           {"is_active", "enabled"},
                                           {"printer_type", "technology"},
                                           {"make", "make"},
                                           {"model", "model"},
                                           {"description", "description"},
                                           {"filament_diameter", "filament_diameter"},
                                           {"nozzle_diameter", "nozzle_diameter"},
                                           {"bed_x", "bed_x"},
                                           {"bed_y", "bed_y"},
                                           {"bed_z", "bed_z"},
                                           {"has_heated_bed", "heated_bed"},
                                           {"has_heated_chamber", "heated_chamber"},
                                           {"loaded_materials", "loaded_materials"}};
constexpr std::string_view kShownOnly[] = {"id", "last_seen", "created_at", "updated_at"};

bool is_active(const MachineViewT& machine) { return !machine.settings || machine.settings->enabled; }

HttpResponse printer_answer(const RouteContext& context, const MachineViewT& machine, int status = 200) {
  const auto number = older_number_of(*context.parts.store.reader(), OrdinalClass::kMachine, machine.id);
  if (!number) return number.error();
  JsonWriter json;
  write_older_printer(json, machine, *number);
  return json_answer(json, status);
}

// Shows the machine as it is after the change.
std::function<HttpResponse(const RouteContext&)> answer_with_printer(const std::string& id, int status) {
  return [id, status](const RouteContext& context) {
    const auto machine = find_machine(*context.parts.store.reader(), id);
    if (!machine) return in_older_words(api_problem_from(machine.error()));
    if (!*machine) return older_error(404, fmt::format("there is no printer '{}'", id));
    return printer_answer(context, **machine, status);
  };
}

// Our own routes know it by its id.
RouteRequest for_machine(const HttpRequest& http, const std::string& id, const std::string& actor) {
  return {http, {{"id", id}}, actor};
}

void write_printer_name(JsonWriter& json, uint64_t number, const MachineViewT& machine) {
  json.object().field("printer_id", number).field("printer_name", machine.name);
}

// A printer that its Moonraker's history could be had from.
OrRefusal<MachineViewT> reachable_printer(const RouteContext& context, const RouteRequest& request) {
  auto machine = older_printer_in(*context.parts.store.reader(), request);
  if (!machine) return machine.error();
  const bool has_url = machine->settings && !machine->settings->moonraker_url.empty();
  if (!has_url && !machine->link_up) {
    return older_error(400, fmt::format("printer '{}' has no Moonraker URL", machine->name));
  }
  if (!machine->link_up) {
    return older_error(
        502, fmt::format("printer '{}' is not connected ({}); its history is read as soon as it is", machine->name,
                         machine->disconnect_reason.empty() ? "not yet" : machine->disconnect_reason));
  }
  return machine;
}

// Of a POST that changes nothing: what it would bring in is there already.
WriteDecision unchanged(HttpResponse answer) {
  return EdgeWrite{{}, [answer = std::move(answer)](const RouteContext&) { return answer; }};
}

}  // namespace

HttpResponse answer_older_printers(const RouteContext& context, const RouteRequest& request) {
  const auto with_inactive = older_flag_in(request.http, "include_inactive");
  if (!with_inactive) return with_inactive.error();
  const auto reader = context.parts.store.reader();
  const auto machines = read_machines(*reader);
  if (!machines) return in_older_words(api_problem_from(machines.error()));
  std::map<uint64_t, const MachineViewT*> by_number;
  for (const auto& [id, machine] : *machines) {
    if (machine.removed || machine.kind != "printer") continue;
    if (!is_active(machine) && !with_inactive->value_or(false)) continue;
    const auto number = older_number_of(*reader, OrdinalClass::kMachine, id);
    if (!number) return number.error();
    if (*number != 0) by_number[*number] = &machine;
  }
  JsonWriter json;
  json.array();
  for (const auto& [number, machine] : by_number) write_older_printer(json, *machine, number);
  json.end();
  return json_answer(json);
}

HttpResponse answer_older_printer(const RouteContext& context, const RouteRequest& request) {
  const auto machine = older_printer_in(*context.parts.store.reader(), request);
  return machine ? printer_answer(context, *machine) : machine.error();
}

HttpResponse answer_older_status(const RouteContext& context, const RouteRequest& request) {
  const auto reader = context.parts.store.reader();
  const auto machine = older_printer_in(*reader, request);
  if (!machine) return machine.error();
  const auto number = older_number_of(*reader, OrdinalClass::kMachine, machine->id);
  if (!number) return number.error();
  JsonWriter json;
  write_older_status(json, *machine, *number);
  return json_answer(json);
}

WriteDecision decide_add_older_printer(const RouteContext& context, const RouteRequest& request) {
  const auto current = in_current_words(
      request.http,
      {.fields = kPrinterFields,
       .shown_only = kShownOnly,
       .defaults = {{"filament_diameter", "1.75"}, {"has_heated_bed", "false"}, {"has_heated_chamber", "false"}}});
  if (!current) return current.error();
  auto decision = decide_add_machine(context, {*current, {}, request.actor, request.caller});
  const std::string id = decision && !decision->events.empty() ? decision->events.front().machine : "";
  return older_decision(std::move(decision), kPrinterFields, answer_with_printer(id, 201));
}

WriteDecision decide_change_older_printer(const RouteContext& context, const RouteRequest& request) {
  const auto machine = older_printer_in(*context.parts.store.reader(), request);
  if (!machine) return machine.error();
  const auto current = in_current_words(request.http, {.fields = kPrinterFields, .shown_only = kShownOnly});
  if (!current) return current.error();
  return older_decision(decide_patch_machine(context, for_machine(*current, machine->id, request.actor)),
                        kPrinterFields, answer_with_printer(machine->id, 200));
}

WriteDecision decide_remove_older_printer(const RouteContext& context, const RouteRequest& request) {
  const auto machine = older_printer_in(*context.parts.store.reader(), request);
  if (!machine) return machine.error();
  return older_decision(decide_remove_machine(context, for_machine(request.http, machine->id, request.actor)), {});
}

// The adapter reads the history by itself on every connection, so all of it is there: each job counts as skipped.
WriteDecision decide_import_history(const RouteContext& context, const RouteRequest& request) {
  if (const auto limit = older_number_between(request.http, "limit", 1, 10'000, 1000); !limit) return limit.error();
  const auto machine = reachable_printer(context, request);
  if (!machine) return machine.error();
  const auto number = older_number_of(*context.parts.store.reader(), OrdinalClass::kMachine, machine->id);
  if (!number) return number.error();
  JobListQuery query;
  query.filter.machines = {machine->id};
  query.filter.hidden = HiddenJobs::kToo;
  query.limit = 1;
  const auto jobs = context.jobs->list(query);
  if (!jobs) return in_older_words(api_problem_from(jobs.error()));
  int errors = 0;
  for (const auto& condition : machine->conditions) errors += condition->condition == "history_unreadable" ? 1 : 0;
  JsonWriter json;
  write_printer_name(json, *number, *machine);
  json.field("imported", 0).field("updated", 0).field("skipped", jobs->total).field("errors", errors).end();
  return unchanged(json_answer(json));
}

// The adapter reads the file of each job when it begins; nothing is left to be read later.
WriteDecision decide_backfill_details(const RouteContext& context, const RouteRequest& request) {
  const auto machine = reachable_printer(context, request);
  if (!machine) return machine.error();
  const auto number = older_number_of(*context.parts.store.reader(), OrdinalClass::kMachine, machine->id);
  if (!number) return number.error();
  JsonWriter json;
  write_printer_name(json, *number, *machine);
  json.field("processed", 0).field("created", 0).field("errors", 0).end();
  return unchanged(json_answer(json));
}

}  // namespace millrace
