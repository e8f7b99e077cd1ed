// SPDX-License-Identifier: Apache-2.0
#include "web/edge/routes.h"

#include <algorithm>
#include <optional>

#include "web/edge/access/access_routes.h"
#include "web/edge/access/route_access.h"
#include "web/edge/print_logger/print_logger_routes.h"

namespace millrace {
namespace {

constexpr std::string_view kText = R"({"type":"string"})";
constexpr std::string_view kInteger = R"({"type":"integer","minimum":0})";
constexpr std::string_view kFlag = R"({"type":"boolean"})";
constexpr std::string_view kTime = R"({"type":"string","format":"date-time"})";
constexpr std::string_view kLimit = R"({"type":"integer","minimum":1,"maximum":500,"default":50})";

constexpr Parameter kPageLimit{"limit", kLimit, "At most so many items"};
constexpr Parameter kCursor{"cursor", kText, "The next_cursor of the page before"};
constexpr Parameter kMachine{"machine", kText, "Only of this machine"};
constexpr Parameter kMachineOrFirst{"machine", kText, "Of this machine; the first one otherwise"};
constexpr Parameter kSocketToken{"token", kText, "Instead of a key: of POST /api/v1/session/token"};
constexpr Parameter kSignals{
    "signals", kText, "Names from /signals, or of whole objects, comma-separated; default: temperatures and targets"};
constexpr Parameter kResolution{"resolution", kText,
                                "Seconds per bucket; default: auto, which gives at most 1,000 buckets. What is no "
                                "multiple of 60 is read from samples: "
                                "at most 6 hours, for as long as these are kept"};

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const size_t end = std::min(path.find('/'), path.size());
    segments.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

bool is_variable(std::string_view segment) { return segment.size() > 2 && segment.front() == '{'; }

std::optional<std::map<std::string, std::string>> match(std::string_view pattern, std::string_view path) {
  const auto wanted = segments_of(pattern);
  const auto given = segments_of(path);
  if (wanted.size() != given.size()) return std::nullopt;
  std::map<std::string, std::string> variables;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (is_variable(wanted[i]) && !given[i].empty()) {
      variables[std::string(wanted[i].substr(1, wanted[i].size() - 2))] = given[i];
    } else if (wanted[i] != given[i]) {
      return std::nullopt;
    }
  }
  return variables;
}

// Of two patterns that both match, the one with more words counts.
size_t words_in(std::string_view pattern) {
  const auto segments = segments_of(pattern);
  return static_cast<size_t>(
      std::count_if(segments.begin(), segments.end(), [](std::string_view segment) { return !is_variable(segment); }));
}

// All but those of jobs.
std::vector<Route> other_routes() {
  return {
      {"GET", "/health/live", "healthLive", "The process answers", RunsOn::kLoop, false, {}, "Live", answer_live},
      {"GET",
       "/health/ready",
       "healthReady",
       "Every part can do its work; 503 with the same body when one cannot",
       RunsOn::kLoop,
       false,
       {},
       "Ready",
       answer_ready},
      {"GET", "/metrics", "metrics", "Prometheus text format 0.0.4", RunsOn::kLoop, false, {}, "", answer_metrics},
      with_access(
          {Needs::kRead, RateClass::kOrdinary, Concerns::kNothing},
          {"GET", "/api/openapi.json", "openApi", "This document", RunsOn::kLoop, false, {}, "", answer_openapi}),
      with_access(
          {Needs::kRead, RateClass::kOrdinary, Concerns::kNothing},
          {"GET", "/api/v1/site", "site", "The shop and its log", RunsOn::kLoop, true, {}, "Site", answer_site}),
      with_access({Needs::kRead, RateClass::kOrdinary, Concerns::kOwnPart}, {"GET",
                                                                             "/api/v1/machines",
                                                                             "machines",
                                                                             "Every machine with its live state",
                                                                             RunsOn::kLoop,
                                                                             true,
                                                                             {},
                                                                             "MachineList",
                                                                             answer_machines}),
      {"GET",
       "/api/v1/machines/{id}",
       "machine",
       "One machine with its live state",
       RunsOn::kLoop,
       true,
       {},
       "Machine",
       answer_machine},
      {"GET",
       "/api/v1/machines/{id}/signals",
       "signals",
       "What the machine has ever sent, with unit and last value",
       RunsOn::kWorker,
       true,
       {},
       "SignalList",
       answer_signals},
      {"GET",
       "/api/v1/machines/{id}/telemetry",
       "telemetry",
       "Minimum, time-weighted mean and maximum per bucket of time, in columns; null where nothing is known",
       RunsOn::kWorker,
       true,
       {kSignals,
        kResolution,
        {"from", kTime, "From here, rounded down to a bucket; default: a day before to"},
        {"to", kTime, "Up to here, rounded up; default: now"}},
       "Telemetry",
       answer_telemetry},
      needs(Needs::kAdminister, {"POST",
                                 "/api/v1/machines",
                                 "addMachine",
                                 "Adds a machine; adapters connect to it at once",
                                 RunsOn::kWrite,
                                 false,
                                 {},
                                 "Machine",
                                 nullptr,
                                 decide_add_machine,
                                 "MachineSettings"}),
      needs(Needs::kAdminister,
            {"PUT",
             "/api/v1/machines/{id}",
             "replaceMachine",
             "Says everything about a machine anew; what is left out is taken away, secrets excepted",
             RunsOn::kWrite,
             false,
             {},
             "Machine",
             nullptr,
             decide_replace_machine,
             "MachineSettings"}),
      needs(Needs::kAdminister, {"PATCH",
                                 "/api/v1/machines/{id}",
                                 "changeMachine",
                                 "Changes what is named; null takes a value away",
                                 RunsOn::kWrite,
                                 false,
                                 {},
                                 "Machine",
                                 nullptr,
                                 decide_patch_machine,
                                 "MachineSettings"}),
      needs(Needs::kAdminister, {"DELETE",
                                 "/api/v1/machines/{id}",
                                 "removeMachine",
                                 "Removes a machine; its history stays",
                                 RunsOn::kWrite,
                                 false,
                                 {},
                                 "",
                                 nullptr,
                                 decide_remove_machine}),
      needs(Needs::kAdminister, {"POST",
                                 "/api/v1/machines/test",
                                 "testConnection",
                                 "Tries to reach a Moonraker, step by step, at most 15 s",
                                 RunsOn::kLater,
                                 false,
                                 {},
                                 "ConnectionTest",
                                 nullptr,
                                 nullptr,
                                 "ConnectionTestRequest",
                                 prepare_connection_test}),
      needs(Needs::kAdminister, {"POST",
                                 "/api/v1/machines/{id}/test",
                                 "testMachine",
                                 "Tries to reach a machine with what is known of it",
                                 RunsOn::kLater,
                                 false,
                                 {},
                                 "ConnectionTest",
                                 nullptr,
                                 nullptr,
                                 "",
                                 prepare_machine_test}),
      {"POST",
       "/api/v1/machines/{id}/emergency_stop",
       "emergencyStop",
       "Stops a machine at once; 502 not_confirmed where nothing proves that it was told",
       RunsOn::kUrgent,
       false,
       {},
       "EmergencyStop",
       nullptr,
       nullptr,
       "EmergencyStopRequest"},
      {"POST",
       "/api/v1/emergency_stop",
       "emergencyStopAll",
       "Stops every machine at once; 502 not_confirmed where one did not confirm",
       RunsOn::kUrgent,
       false,
       {},
       "EmergencyStopAll",
       nullptr,
       nullptr,
       "EmergencyStopRequest"},
      {"GET",
       "/api/v1/jobs/{id}/telemetry",
       "jobTelemetry",
       "The machine's telemetry from the job's start to its end",
       RunsOn::kWorker,
       true,
       {kSignals, kResolution},
       "Telemetry",
       answer_job_telemetry},
      {"GET",
       "/api/v1/events",
       "events",
       "The log in its order; a page may hold fewer than limit and still have a next_cursor",
       RunsOn::kWorker,
       false,
       {kPageLimit,
        kCursor,
        kMachine,
        {"after", kInteger, "Only positions after this one"},
        {"type", kText, "One or more event types, comma-separated"},
        {"from", kTime, "Recorded at or after"},
        {"to", kTime, "Recorded before"}},
       "EventList",
       answer_events},
      {"GET", "/api/v1/events/{position}", "event", "One event", RunsOn::kWorker, false, {}, "Event", answer_event},
      {"GET",
       "/api/v1/machines/{id}/odometer",
       "odometer",
       "What a machine has done since it is known",
       RunsOn::kWorker,
       true,
       {},
       "Odometer",
       answer_odometer},
      {"GET",
       "/api/v1/maintenance",
       "maintenance",
       "The tasks of every machine, those that are due first",
       RunsOn::kWorker,
       true,
       {kPageLimit},
       "MaintenanceTaskList",
       answer_maintenance},
      {"GET",
       "/api/v1/machines/{id}/maintenance",
       "maintenanceRecords",
       "What was done to a machine or is planned, newest date first",
       RunsOn::kWorker,
       true,
       {kPageLimit,
        kCursor,
        {"done", kFlag, "Only what is done, or only what is planned"},
        {"category", kText, "Only of this category"},
        {"task_id", kText, "Only of this task"},
        {"from", kTime, "Date at or after"},
        {"to", kTime, "Date before"}},
       "MaintenanceRecordList",
       answer_maintenance_records},
      needs(
          Needs::kOperate,
          {"POST",
           "/api/v1/machines/{id}/maintenance",
           "addMaintenanceRecord",
           "Note something that was done, or is planned; with a task_id and done it resets that task from its date on",
           RunsOn::kWrite,
           false,
           {},
           "MaintenanceRecord",
           nullptr,
           decide_add_maintenance_record,
           "MaintenanceRecordFields"}),
      needs(Needs::kOperate, {"PATCH",
                              "/api/v1/machines/{id}/maintenance/{record}",
                              "changeMaintenanceRecord",
                              "Change a record; fields that are left out stay, null takes a value away",
                              RunsOn::kWrite,
                              false,
                              {},
                              "MaintenanceRecord",
                              nullptr,
                              decide_change_maintenance_record,
                              "MaintenanceRecordFields"}),
      needs(Needs::kOperate, {"DELETE",
                              "/api/v1/machines/{id}/maintenance/{record}",
                              "removeMaintenanceRecord",
                              "Take a record away; answers what it was",
                              RunsOn::kWrite,
                              false,
                              {},
                              "MaintenanceRecord",
                              nullptr,
                              decide_remove_maintenance_record}),
      {"GET",
       "/api/v1/machines/{id}/maintenance/tasks",
       "maintenanceTasks",
       "The tasks of a machine and how they stand",
       RunsOn::kWorker,
       true,
       {},
       "MaintenanceTaskList",
       answer_maintenance_tasks},
      needs(Needs::kOperate,
            {"POST",
             "/api/v1/machines/{id}/maintenance/tasks",
             "addMaintenanceTask",
             "Define a task that returns after hours of printing, metres of filament, prints begun, or days",
             RunsOn::kWrite,
             false,
             {},
             "MaintenanceTask",
             nullptr,
             decide_add_maintenance_task,
             "MaintenanceTaskFields"}),
      needs(Needs::kOperate, {"PATCH",
                              "/api/v1/machines/{id}/maintenance/tasks/{task}",
                              "changeMaintenanceTask",
                              "Change a task; fields that are left out stay, null takes an interval away",
                              RunsOn::kWrite,
                              false,
                              {},
                              "MaintenanceTask",
                              nullptr,
                              decide_change_maintenance_task,
                              "MaintenanceTaskFields"}),
      needs(Needs::kOperate, {"DELETE",
                              "/api/v1/machines/{id}/maintenance/tasks/{task}",
                              "removeMaintenanceTask",
                              "Take a task away; its records stay; answers what it was",
                              RunsOn::kWrite,
                              false,
                              {},
                              "MaintenanceTask",
                              nullptr,
                              decide_remove_maintenance_task}),
      with_access({Needs::kRead, RateClass::kOrdinary, Concerns::kOwnPart},
                  {"GET",
                   "/api/v1/live",
                   "live",
                   "WebSocket: a snapshot, then deltas of whole objects and heartbeats; {type:resume, position, "
                   "incarnation} or "
                   "the "
                   "query goes on where a client was",
                   RunsOn::kSocket,
                   false,
                   {kSocketToken,
                    {"position", kInteger, "The client has everything up to here: no snapshot where deltas suffice"},
                    {"incarnation", kText, "Of the log that the position belongs to"}},
                   "LiveMessage",
                   nullptr}),
      {"GET",
       "/api/status",
       "klipperiwcStatus",
       "KlipperIWC: one machine's status",
       RunsOn::kLoop,
       true,
       {kMachineOrFirst},
       "KlipperiwcStatus",
       answer_klipperiwc_status},
      {"GET",
       "/api/temperatures",
       "klipperiwcTemperatures",
       "KlipperIWC: one machine's temperatures",
       RunsOn::kLoop,
       true,
       {kMachineOrFirst},
       "KlipperiwcTemperatures",
       answer_klipperiwc_temperatures},
      {"GET",
       "/ws/status",
       "klipperiwcFeed",
       "KlipperIWC's WebSocket: {type:status, payload} on connect and at each change",
       RunsOn::kSocket,
       false,
       {kSocketToken, kMachineOrFirst},
       "KlipperiwcMessage",
       nullptr},
  };
}

}  // namespace

const std::vector<Route>& routes() {
  static const std::vector<Route> table = [] {
    std::vector<Route> all = other_routes();
    const std::vector<Route> jobs = job_routes();
    all.insert(all.end(), jobs.begin(), jobs.end());
    const std::vector<Route> commands = command_routes();
    all.insert(all.end(), commands.begin(), commands.end());
    const std::vector<Route> safety = safety_routes();
    all.insert(all.end(), safety.begin(), safety.end());
    const std::vector<Route> older = print_logger_routes();
    all.insert(all.end(), older.begin(), older.end());
    const std::vector<Route> access = access_routes();
    all.insert(all.end(), access.begin(), access.end());
    return all;
  }();
  return table;
}

RouteMatch find_route(std::string_view method, std::string_view path) {
  RouteMatch found;
  size_t most_words = 0;
  for (const Route& route : routes()) {
    auto variables = match(route.pattern, path);
    const size_t words = words_in(route.pattern);
    if (!variables || words < most_words) continue;
    if (words > most_words) found = {};
    most_words = words;
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += route.method == "GET" ? "GET, HEAD" : route.method;
    if (route.method != method) continue;
    found.route = &route;
    found.path = std::move(*variables);
  }
  return found;
}

bool overlap(std::string_view a, std::string_view b) {
  const auto left = segments_of(a);
  const auto right = segments_of(b);
  return words_in(a) == words_in(b) &&
         std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](std::string_view x, std::string_view y) { return x == y || is_variable(x) || is_variable(y); });
}

}  // namespace millrace
