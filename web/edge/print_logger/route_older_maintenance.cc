// SPDX-License-Identifier: Apache-2.0
// /api/maintenance: the records of all printers, newest date first.
#include <fmt/format.h>

#include <algorithm>

#include "projections/machine_state.h"
#include "projections/maintenance.h"
#include "web/edge/print_logger/older_json.h"
#include "web/edge/print_logger/older_request.h"
#include "web/edge/print_logger/print_logger_routes.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

using schema::MaintenanceRecordViewT;

constexpr size_t kReadAtOnce = 500;

constexpr RenamedField kRecordFields[] = {{"date", "date"},         {"done", "done"},
                                          {"category", "category"}, {"description", "description"},
                                          {"cost", "cost"},         {"notes", "notes"}};
constexpr std::string_view kShownOnly[] = {"id", "printer_id", "created_at", "updated_at"};

// Times without an offset, and null for what is text with us.
std::optional<std::string> value_in_our_words(std::string_view name, const Json& value) {
  if (name == "notes" && value.is_null()) return R"("")";
  if (name != "date") return std::nullopt;
  const auto text = as_text(value);
  const auto time = text ? parse_older_time(*text) : std::nullopt;
  if (!time) return std::nullopt;
  return fmt::format("\"{}\"", to_rfc3339(*time));
}

std::string key_of(const std::string& machine, const std::string& record) { return machine + "/" + record; }

// People enter records one by one, so all of one machine are few.
Result<void> read_records(const ViewReader& reader, const std::string& machine, std::optional<bool> done,
                          std::vector<MaintenanceRecordViewT>& records) {
  RecordQuery query;
  query.machine = machine;
  query.done = done;
  query.limit = kReadAtOnce;
  do {
    auto page = list_records(reader, query);
    if (!page) return page.error();
    std::move(page->records.begin(), page->records.end(), std::back_inserter(records));
    query.after = page->next;
  } while (!query.after.empty());
  return {};
}

std::optional<HttpResponse> write_numbered(JsonWriter& json, const ViewReader& reader,
                                           const MaintenanceRecordViewT& record) {
  const auto number = older_number_of(reader, OrdinalClass::kMaintenanceRecord, key_of(record.machine, record.id));
  const auto printer = older_number_of(reader, OrdinalClass::kMachine, record.machine);
  if (!number) return number.error();
  if (!printer) return printer.error();
  write_older_record(json, record, *number, *printer);
  return std::nullopt;
}

HttpResponse record_answer(const RouteContext& context, const std::string& machine, const std::string& id, int status) {
  const auto reader = context.parts.store.reader();
  const auto record = find_record(*reader, machine, id);
  if (!record) return in_older_words(api_problem_from(record.error()));
  JsonWriter json;
  if (auto failed = write_numbered(json, *reader, *record)) return std::move(*failed);
  return json_answer(json, status);
}

OrRefusal<MaintenanceRecordViewT> record_of_path(const RouteContext& context, const RouteRequest& request) {
  const auto reader = context.parts.store.reader();
  const auto id = older_id_in(*reader, request, OrdinalClass::kMaintenanceRecord);
  if (!id) return id.error();
  const size_t slash = id->find('/');
  auto record = find_record(*reader, id->substr(0, slash), id->substr(slash + 1));
  if (record) return std::move(*record);
  if (record.error().code != Errc::kNotFound) return in_older_words(api_problem_from(record.error()));
  return older_error(404, fmt::format("there is no maintenance record with the id {}", request.path.at("id")));
}

RouteRequest for_record(const HttpRequest& http, const MaintenanceRecordViewT& record, const std::string& actor) {
  return {http, {{"id", record.machine}, {"record", record.id}}, actor};
}

// The machine that the body names by its number.
OrRefusal<std::string> machine_of_body(const ViewReader& reader, const HttpRequest& request) {
  JsonReader json;
  const auto body = json.parse(request.body.empty() ? "{}" : request.body);
  if (!body) return older_invalid("body", "", body.error().context);
  const auto number = integer_member(*body, "printer_id");
  if (!number || *number < 0) return older_invalid("body", "printer_id", "field 'printer_id': expected a whole number");
  const auto id = id_of_ordinal(reader, OrdinalClass::kMachine, static_cast<uint64_t>(*number));
  if (!id) return in_older_words(api_problem_from(id.error()));
  const auto machines = read_machines(reader);
  if (!machines) return in_older_words(api_problem_from(machines.error()));
  const auto found = machines->find(id->value_or(""));
  if (found != machines->end() && !found->second.removed && found->second.kind == "printer") return **id;
  return older_error(404, fmt::format("there is no printer with the id {}", *number));
}

std::optional<HttpResponse> missing_field(const HttpRequest& request) {
  JsonReader json;
  const auto body = json.parse(request.body);
  for (const std::string_view name : {"date", "category", "description"}) {
    if (body && !member(*body, name)) return older_invalid("body", name, fmt::format("field '{}': is missing", name));
  }
  return std::nullopt;
}

}  // namespace

HttpResponse answer_older_records(const RouteContext& context, const RouteRequest& request) {
  const auto page = older_page_in(request.http);
  const auto printer = older_number_in(request.http, "printer_id");
  const auto done = older_flag_in(request.http, "done");
  if (!page) return page.error();
  if (!printer) return printer.error();
  if (!done) return done.error();
  const auto reader = context.parts.store.reader();
  const auto machines = read_machines(*reader);
  if (!machines) return in_older_words(api_problem_from(machines.error()));
  std::vector<MaintenanceRecordViewT> records;
  for (const auto& [id, machine] : *machines) {
    if (*printer) {
      const auto number = older_number_of(*reader, OrdinalClass::kMachine, id);
      if (!number) return number.error();
      if (*number != **printer) continue;
    }
    if (auto read = read_records(*reader, id, *done, records); !read) {
      return in_older_words(api_problem_from(read.error()));
    }
  }
  std::stable_sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.date_us > b.date_us; });
  JsonWriter json;
  json.object().key("items").array();
  for (size_t i = page->offset; i < std::min(records.size(), page->offset + page->limit); ++i) {
    if (auto failed = write_numbered(json, *reader, records[i])) return std::move(*failed);
  }
  json.end();
  end_older_page(json, *page, records.size());
  return json_answer(json);
}

HttpResponse answer_older_record(const RouteContext& context, const RouteRequest& request) {
  const auto record = record_of_path(context, request);
  return record ? record_answer(context, record->machine, record->id, 200) : record.error();
}

WriteDecision decide_add_older_record(const RouteContext& context, const RouteRequest& request) {
  const auto machine = machine_of_body(*context.parts.store.reader(), request.http);
  if (!machine) return machine.error();
  if (auto refused = missing_field(request.http)) return std::move(*refused);
  const auto current = in_current_words(request.http, {.fields = kRecordFields,
                                                       .shown_only = kShownOnly,
                                                       .value = value_in_our_words,
                                                       .defaults = {{"done", "false"}}});
  if (!current) return current.error();
  auto decision = decide_add_maintenance_record(context, {*current, {{"id", *machine}}, request.actor, request.caller});
  const auto* event =
      decision && !decision->events.empty() ? decision->events.front().payload.AsMaintenanceRecorded() : nullptr;
  const std::string id = event == nullptr ? "" : event->record_id;
  return older_decision(std::move(decision), kRecordFields, [machine = *machine, id](const RouteContext& after) {
    return record_answer(after, machine, id, 201);
  });
}

WriteDecision decide_change_older_record(const RouteContext& context, const RouteRequest& request) {
  const auto record = record_of_path(context, request);
  if (!record) return record.error();
  const auto current =
      in_current_words(request.http, {.fields = kRecordFields, .shown_only = kShownOnly, .value = value_in_our_words});
  if (!current) return current.error();
  return older_decision(decide_change_maintenance_record(context, for_record(*current, *record, request.actor)),
                        kRecordFields, [machine = record->machine, id = record->id](const RouteContext& after) {
                          return record_answer(after, machine, id, 200);
                        });
}

WriteDecision decide_remove_older_record(const RouteContext& context, const RouteRequest& request) {
  const auto record = record_of_path(context, request);
  if (!record) return record.error();
  return older_decision(decide_remove_maintenance_record(context, for_record(request.http, *record, request.actor)),
                        {});
}

}  // namespace millrace
