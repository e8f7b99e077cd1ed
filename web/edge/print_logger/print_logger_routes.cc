// SPDX-License-Identifier: Apache-2.0
#include "web/edge/print_logger/print_logger_routes.h"

#include "web/edge/access/route_access.h"
#include "web/edge/schema_parts.h"

namespace millrace {
namespace {

constexpr bool kOfViews = true;
constexpr std::string_view kFlag = R"({"type":"boolean","default":false})";

// Its lists name printers by number, so a key of some machines alone cannot be held to them here.
constexpr RouteAccess kOfTheShop{Needs::kByMethod, RateClass::kOrdinary, Concerns::kShop};

using Answer = HttpResponse (*)(const RouteContext&, const RouteRequest&);
using Decide = WriteDecision (*)(const RouteContext&, const RouteRequest&);

Route read_route(std::string_view pattern, std::string_view operation, std::string_view summary,
                 std::string_view answer, Answer respond, std::vector<Parameter> parameters = {}) {
  return with_access(kOfTheShop, {"GET", pattern, operation, summary, RunsOn::kWorker, kOfViews, std::move(parameters),
                                  answer, respond});
}

Route write_route(std::string_view method, std::string_view pattern, std::string_view operation,
                  std::string_view summary, std::string_view answer, Decide decide, std::string_view body = {}) {
  Route route{method, pattern, operation, summary, RunsOn::kWrite, false, {}, answer, nullptr, decide, body};
  // Printers are what machines are here, and it takes the same to add or change one.
  route.access = kOfTheShop;
  route.access.needs = pattern.starts_with("/api/printers") ? Needs::kAdminister : Needs::kOperate;
  return route;
}

// limit and offset, then what the list filters by.
std::vector<Parameter> page_parameters(std::vector<Parameter> others = {}) {
  const auto& all = older_job_parameters();
  others.insert(others.begin(), all.begin(), all.begin() + 2);
  return others;
}

std::vector<Parameter> jobs_parameters() {
  std::vector<Parameter> parameters = older_job_parameters();
  parameters.push_back({"machine", R"({"type":"string"})", "KlipperIWC: of this machine; the first one otherwise"});
  return parameters;
}

std::string array_of(std::string_view schema) {
  return R"({"type":"array","items":{"$ref":"#/components/schemas/)" + std::string(schema) + R"("}})";
}

std::string page_of(std::string_view schema) {
  const std::string items = array_of(schema);
  return object_of(
      {{"items", items}, {"total", "integer"}, {"limit", "integer"}, {"offset", "integer"}, {"has_more", "flag"}});
}

constexpr std::string_view kWords = R"({"type":["array","null"]})";
constexpr std::string_view kStatus = R"({"enum":["printing","paused","completed","cancelled","error"]})";

std::string printer_schema() {
  return object_of({{"id", "integer"},
                    {"name", "text"},
                    {"moonraker_url", "text"},
                    {"location", "text?"},
                    {"is_active", "flag"},
                    {"last_seen", "time?"},
                    {"printer_type", R"({"enum":["FDM","Resin","SLS",null]})"},
                    {"make", "text?"},
                    {"model", "text?"},
                    {"description", "text?"},
                    {"filament_diameter", "number?"},
                    {"nozzle_diameter", "number?"},
                    {"bed_x", "number?"},
                    {"bed_y", "number?"},
                    {"bed_z", "number?"},
                    {"has_heated_bed", "flag"},
                    {"has_heated_chamber", "flag"},
                    {"loaded_materials", kWords},
                    {"created_at", "time"},
                    {"updated_at", "time"}});
}

std::string job_schema() {
  return object_of({{"id", "integer"},
                    {"printer_id", "integer"},
                    {"job_id", "text"},
                    {"user", "text?"},
                    {"filename", "text"},
                    {"title", "text?"},
                    {"url", "text?"},
                    {"status", kStatus},
                    {"start_time", "time?"},
                    {"end_time", "time?"},
                    {"print_duration", "number?"},
                    {"total_duration", "number?"},
                    {"filament_used", "number?"},
                    {"job_metadata", "any"},
                    {"auxiliary_data", "any"},
                    {"created_at", "time?"},
                    {"updated_at", "time?"},
                    {"details", R"({"anyOf":[{"type":"null"},{"$ref":"#/components/schemas/OlderJobDetails"}]})"}});
}

std::string job_details_schema() {
  return object_of({{"id", "integer"},
                    {"print_job_id", "integer"},
                    {"layer_height", "number?"},
                    {"first_layer_height", "number?"},
                    {"nozzle_temp", "integer?"},
                    {"bed_temp", "integer?"},
                    {"print_speed", "integer?"},
                    {"infill_percentage", "integer?"},
                    {"infill_pattern", "text?"},
                    {"support_enabled", R"({"type":["boolean","null"]})"},
                    {"support_type", "text?"},
                    {"filament_type", "text?"},
                    {"filament_brand", "text?"},
                    {"filament_color", "text?"},
                    {"estimated_time", "integer?"},
                    {"estimated_filament", "number?"},
                    {"layer_count", "integer?"},
                    {"object_height", "number?"},
                    {"thumbnail_base64", "text?"},
                    {"slicer_name", "text?"},
                    {"slicer_version", "text?"},
                    {"filament_used_mm", kWords},
                    {"filament_used_cm3", kWords},
                    {"filament_used_g", kWords},
                    {"filament_cost", kWords},
                    {"total_filament_used_g", "number?"},
                    {"total_filament_cost", "number?"},
                    {"config_block", R"({"type":["object","null"]})"}});
}

std::string record_schema() {
  return object_of({{"id", "integer"},
                    {"printer_id", "integer"},
                    {"date", "time"},
                    {"done", "flag"},
                    {"category", "text"},
                    {"description", "text"},
                    {"cost", "number?"},
                    {"notes", "text?"},
                    {"created_at", "time"},
                    {"updated_at", "time"}});
}

std::string figures_schema(Fields first, Fields last = {}) {
  for (const auto& [name, word] : Fields{{"total_jobs", "integer"},
                                         {"total_print_time", "number"},
                                         {"total_filament_used", "number"},
                                         {"successful_jobs", "integer"},
                                         {"failed_jobs", "integer"}}) {
    first.emplace_back(name, word);
  }
  first.insert(first.end(), last.begin(), last.end());
  return object_of(first);
}

constexpr std::string_view kPrinterBody =
    R"({"type":"object","properties":{"name":{"type":"string"},"moonraker_url":{"type":"string"},)"
    R"("location":{"type":["string","null"]},"moonraker_api_key":{"type":["string","null"]},)"
    R"("is_active":{"type":"boolean"},"printer_type":{"enum":["FDM","Resin","SLS",null]},)"
    R"("make":{"type":["string","null"]},"model":{"type":["string","null"]},"description":{"type":["string","null"]},)"
    R"("filament_diameter":{"type":["number","null"]},"nozzle_diameter":{"type":["number","null"]},)"
    R"("bed_x":{"type":["number","null"]},"bed_y":{"type":["number","null"]},"bed_z":{"type":["number","null"]},)"
    R"("has_heated_bed":{"type":"boolean"},"has_heated_chamber":{"type":"boolean"},)"
    R"("loaded_materials":{"type":["array","null"]}}})";
constexpr std::string_view kRecordBody =
    R"({"type":"object","properties":{"printer_id":{"type":"integer"},"date":{"type":"string","format":"date-time"},)"
    R"("done":{"type":"boolean","default":false},"category":{"enum":["cleaning","calibration","parts_replacement",)"
    R"("repair","inspection","upgrade","other"]},"description":{"type":"string","maxLength":500},)"
    R"("cost":{"type":["number","null"],"minimum":0},"notes":{"type":["string","null"],"maxLength":2000}}})";

}  // namespace

std::vector<Route> print_logger_routes() {
  return {
      {"GET",
       "/health",
       "olderHealth",
       "3d-print-logger: healthy, or 503",
       RunsOn::kLoop,
       false,
       {},
       "OlderHealth",
       answer_older_health},
      read_route("/api/jobs", "olderJobs",
                 "KlipperIWC: the running job, then those that wait; with a parameter of 3d-print-logger its page",
                 "OlderJobs", answer_older_jobs, jobs_parameters()),
      read_route("/api/jobs/{id}", "olderJob", "3d-print-logger: one job with its details", "OlderJob",
                 answer_older_job),
      write_route("PATCH", "/api/jobs/{id}", "changeOlderJob", "3d-print-logger: another title or url", "OlderJob",
                  decide_change_older_job, "OlderJobBody"),
      write_route("DELETE", "/api/jobs/{id}", "hideOlderJob", "3d-print-logger: hides the job, also from imports; 204",
                  "", decide_hide_older_job),
      read_route("/api/printers", "olderPrinters", "3d-print-logger: every printer", "OlderPrinters",
                 answer_older_printers, {{"include_inactive", kFlag, "Those too that nobody connects to"}}),
      write_route("POST", "/api/printers", "addOlderPrinter", "3d-print-logger: adds a printer; 201, 409 for its name",
                  "OlderPrinter", decide_add_older_printer, "OlderPrinterBody"),
      read_route("/api/printers/{id}", "olderPrinter", "3d-print-logger: one printer", "OlderPrinter",
                 answer_older_printer),
      write_route("PUT", "/api/printers/{id}", "changeOlderPrinter", "3d-print-logger: changes what is named",
                  "OlderPrinter", decide_change_older_printer, "OlderPrinterBody"),
      write_route("DELETE", "/api/printers/{id}", "removeOlderPrinter",
                  "3d-print-logger: removes a printer, whose jobs stay; 204", "", decide_remove_older_printer),
      read_route("/api/printers/{id}/status", "olderStatus", "3d-print-logger: what a printer does now", "OlderStatus",
                 answer_older_status),
      read_route("/api/printers/{id}/jobs", "olderPrinterJobs", "3d-print-logger: a printer's jobs, newest first",
                 "OlderJobPage", answer_older_printer_jobs, page_parameters()),
      needs(Needs::kAdminister,
            {"POST",
             "/api/printers/{id}/import-history",
             "importOlderHistory",
             "3d-print-logger: the history is read on every connection by itself; tells what is there",
             RunsOn::kWrite,
             false,
             {{"limit", R"({"type":"integer"})", "Not needed: all of it is read"}},
             "OlderImport",
             nullptr,
             decide_import_history}),
      write_route("POST", "/api/printers/{id}/backfill-details", "backfillOlderDetails",
                  "3d-print-logger: details are read when a job begins; nothing is left to do", "OlderBackfill",
                  decide_backfill_details),
      read_route("/api/maintenance", "olderRecords", "3d-print-logger: maintenance records, newest date first",
                 "OlderRecordPage", answer_older_records,
                 page_parameters({{"printer_id", R"({"type":"integer"})", "Only of this printer"},
                                  {"done", R"({"type":"boolean"})", "Only those that are done, or that are not"}})),
      write_route("POST", "/api/maintenance", "addOlderRecord", "3d-print-logger: a new maintenance record; 201",
                  "OlderRecord", decide_add_older_record, "OlderRecordBody"),
      read_route("/api/maintenance/{id}", "olderRecord", "3d-print-logger: one maintenance record", "OlderRecord",
                 answer_older_record),
      write_route("PUT", "/api/maintenance/{id}", "changeOlderRecord", "3d-print-logger: changes what is named",
                  "OlderRecord", decide_change_older_record, "OlderRecordBody"),
      write_route("DELETE", "/api/maintenance/{id}", "removeOlderRecord", "3d-print-logger: takes a record away; 204",
                  "", decide_remove_older_record),
      read_route("/api/analytics/summary", "olderSummary", "3d-print-logger: sums over all jobs", "OlderSummary",
                 answer_older_summary),
      read_route("/api/analytics/printers", "olderPrinterFigures", "3d-print-logger: sums of each active printer",
                 "OlderPrinterFigures", answer_older_printer_figures),
      read_route("/api/analytics/filament", "olderFilament", "3d-print-logger: filament by type", "OlderFilament",
                 answer_older_filament),
      read_route("/api/analytics/timeline", "olderTimeline", "3d-print-logger: sums by the period of the start, UTC",
                 "OlderTimeline", answer_older_timeline,
                 {{"period", R"({"enum":["day","week","month"],"default":"day"})", "How long each one is"}}),
      read_route("/api/admin/system", "olderSystem", "3d-print-logger: version and numbers", "OlderSystem",
                 answer_older_system),
  };
}

std::vector<std::pair<std::string_view, std::string>> print_logger_schemas() {
  return {
      {"OlderError", R"({"type":"object","required":["detail"],"properties":{"detail":{"type":["string","array"]}}})"},
      {"OlderHealth", object_of({{"status", R"({"enum":["healthy","unhealthy"]})"}})},
      {"OlderPrinter", printer_schema()},
      {"OlderPrinters", array_of("OlderPrinter")},
      {"OlderPrinterBody", std::string(kPrinterBody)},
      {"OlderStatus", object_of({{"printer_id", "integer"},
                                 {"name", "text"},
                                 {"is_connected", "flag"},
                                 {"state", "text"},
                                 {"progress", "number?"},
                                 {"current_file", "text?"},
                                 {"error", "text?"}})},
      {"OlderJob", job_schema()},
      {"OlderJobDetails", job_details_schema()},
      {"OlderJobBody", R"({"type":"object","properties":{"title":{"type":["string","null"],"maxLength":500},)"
                       R"("url":{"type":["string","null"],"maxLength":1000,"pattern":"^https?://"}}})"},
      {"OlderJobPage", page_of("OlderJob")},
      {"OlderJobs", R"({"oneOf":[{"$ref":"#/components/schemas/KlipperiwcJobs"},)"
                    R"({"$ref":"#/components/schemas/OlderJobPage"}]})"},
      {"OlderImport", object_of({{"printer_id", "integer"},
                                 {"printer_name", "text"},
                                 {"imported", "integer"},
                                 {"updated", "integer"},
                                 {"skipped", "integer"},
                                 {"errors", "integer"}})},
      {"OlderBackfill", object_of({{"printer_id", "integer"},
                                   {"printer_name", "text"},
                                   {"processed", "integer"},
                                   {"created", "integer"},
                                   {"errors", "integer"}})},
      {"OlderRecord", record_schema()},
      {"OlderRecordPage", page_of("OlderRecord")},
      {"OlderRecordBody", std::string(kRecordBody)},
      {"OlderSummary", figures_schema({}, {{"active_printers", "integer"}})},
      {"OlderPrinterFigure",
       figures_schema({{"printer_id", "integer"}, {"printer_name", "text"}}, {{"last_job_at", "time?"}})},
      {"OlderPrinterFigures", array_of("OlderPrinterFigure")},
      {"OlderFilamentUse", object_of({{"filament_type", "text"}, {"total_used", "number"}, {"job_count", "integer"}})},
      {"OlderFilament", array_of("OlderFilamentUse")},
      {"OlderPeriod", object_of({{"period", "text"},
                                 {"job_count", "integer"},
                                 {"total_print_time", "number"},
                                 {"successful_jobs", "integer"},
                                 {"failed_jobs", "integer"}})},
      {"OlderTimeline", array_of("OlderPeriod")},
      {"OlderSystem", object_of({{"version", "text"},
                                 {"database_type", "text"},
                                 {"active_printers", "integer"},
                                 {"total_jobs", "integer"},
                                 {"uptime_seconds", "number"}})},
  };
}

}  // namespace millrace
