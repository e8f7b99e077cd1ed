// SPDX-License-Identifier: Apache-2.0
// The one table of HTTP routes: who answers what, where it runs, and what the API document says about it.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/events.h"
#include "net/http_types.h"
#include "projections/job_catalog.h"
#include "schemas/view_generated.h"
#include "web/edge/access/caller.h"
#include "web/edge/edge.h"
#include "web/edge/live_state.h"
#include "web/edge/query.h"
#include "web/edge/shown_json.h"

namespace millrace {

class Access;

// What an answer may look at.  `live` is null on the worker.
struct RouteContext {
  const EdgeParts& parts;
  const EdgeOptions& options;
  const LiveState* live;
  JobCatalog* jobs = nullptr;  // of lists; null on the loop
  MonotonicTime started{};     // when the edge began
  Access* access = nullptr;    // on the loop; null on the worker
};

// As of now, by the edge's clock.
inline ShownAt shown_at(const RouteContext& context) {
  return {context.parts.clock.wall(), context.options.stale_after};
}

enum class RunsOn {
  kLoop,     // from memory, at once
  kUrgent,   // an emergency stop: done by the edge itself at once, whatever else there is
  kWorker,   // reads the log or a view's files; or changes a file of this computer, such as that of the keys
  kSocket,   // a WebSocket; answered by the edge itself, which knows it by its operation
  kWrite,    // changes something: decided and answered on the worker, one after the other
  kCommand,  // asks a machine for something: prepared on the worker, then recorded, sent and answered by the
             // CommandLane
  kLater,    // prepared on the worker, answered by something that goes on on the loop; for whoever may change something
};

// What a request wants to be recorded, and what is answered once that is in the log and in the views.
struct EdgeWrite {
  std::vector<EventDraft> events;  // one group of the log; empty: there is nothing to change
  std::function<HttpResponse(const RouteContext&)> answer;
};
// Or why it is refused.
using WriteDecision = boost::system::result<EdgeWrite, HttpResponse>;

// Begins what takes its time on the loop; the answer comes once.  Or why it is refused.
using LaterAnswer = std::function<void(IoLoop&, std::function<void(HttpResponse)>)>;
using LaterDecision = boost::system::result<LaterAnswer, HttpResponse>;

// What a request asks of a machine; sent_at and recorded are the lane's.
struct EdgeCommand {
  CommandMessage message;
  std::chrono::milliseconds wait{0};                  // for the outcome; 0: answered when it is on its way
  std::optional<schema::CommandViewT> repeated = {};  // an earlier command of the same key: nothing new is asked
  std::optional<HttpResponse> misread = {};           // the answer to what is no command: it is recorded, and not sent
};
using CommandDecision = boost::system::result<EdgeCommand, HttpResponse>;

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/api/v1/machines/{id}"
  std::string_view operation;
  std::string_view summary;
  RunsOn runs_on;
  bool of_views;  // honours Millrace-Min-Position
  std::vector<Parameter> parameters;
  std::string_view answer;  // the schema of its 200 in api_schemas.cc; empty: no JSON
  HttpResponse (*respond)(const RouteContext&, const RouteRequest&);            // null for kSocket and kWrite
  WriteDecision (*decide)(const RouteContext&, const RouteRequest&) = nullptr;  // for kWrite
  std::string_view body = {};  // the schema of what it takes; empty: nothing
  LaterDecision (*prepare)(const RouteContext&, const RouteRequest&) = nullptr;  // for kLater
  CommandDecision (*ask)(const RouteContext&, const RouteRequest&) = nullptr;    // for kCommand
  RouteAccess access = {};  // who may ask, and how often; access/route_access.h says what is left unsaid
};

const std::vector<Route>& routes();
// Those of jobs, which are a part of them.
std::vector<Route> job_routes();
std::vector<Route> command_routes();
// Those of limits, rules and alarms.
std::vector<Route> safety_routes();

// Bodies of this route may be as large as a picture.
inline constexpr std::string_view kBlobPattern = "/api/v1/blobs/{sha256}";
inline constexpr size_t kMaxBlobBytes = 10u << 20;

struct RouteMatch {
  const Route* route = nullptr;             // null: no route of this path and method
  std::map<std::string, std::string> path;  // {id} and the like
  std::string allow;                        // the methods that the path has; empty: no such path
};
RouteMatch find_route(std::string_view method, std::string_view path);
// Whether some path matches both patterns and neither is the one that counts: the one that says more of the path in
// words.
bool overlap(std::string_view a, std::string_view b);

// The answers, one file per subject: route_*.cc.
HttpResponse answer_live(const RouteContext&, const RouteRequest&);
HttpResponse answer_ready(const RouteContext&, const RouteRequest&);
HttpResponse answer_metrics(const RouteContext&, const RouteRequest&);
HttpResponse answer_openapi(const RouteContext&, const RouteRequest&);
HttpResponse answer_site(const RouteContext&, const RouteRequest&);
HttpResponse answer_machines(const RouteContext&, const RouteRequest&);
HttpResponse answer_machine(const RouteContext&, const RouteRequest&);
WriteDecision decide_add_machine(const RouteContext&, const RouteRequest&);
WriteDecision decide_replace_machine(const RouteContext&, const RouteRequest&);
WriteDecision decide_patch_machine(const RouteContext&, const RouteRequest&);
WriteDecision decide_remove_machine(const RouteContext&, const RouteRequest&);
LaterDecision prepare_connection_test(const RouteContext&, const RouteRequest&);
LaterDecision prepare_machine_test(const RouteContext&, const RouteRequest&);
HttpResponse answer_jobs(const RouteContext&, const RouteRequest&);
HttpResponse answer_job(const RouteContext&, const RouteRequest&);
HttpResponse shown_job(const RouteContext&, const std::string& id);  // the same for an id that is known
HttpResponse answer_job_tags(const RouteContext&, const RouteRequest&);
HttpResponse answer_job_export(const RouteContext&, const RouteRequest&);
HttpResponse answer_reasons(const RouteContext&, const RouteRequest&);
HttpResponse answer_blob(const RouteContext&, const RouteRequest&);
HttpResponse answer_odometer(const RouteContext&, const RouteRequest&);
HttpResponse answer_maintenance(const RouteContext&, const RouteRequest&);
HttpResponse answer_maintenance_records(const RouteContext&, const RouteRequest&);
HttpResponse answer_maintenance_tasks(const RouteContext&, const RouteRequest&);
WriteDecision decide_add_maintenance_record(const RouteContext&, const RouteRequest&);
WriteDecision decide_change_maintenance_record(const RouteContext&, const RouteRequest&);
WriteDecision decide_remove_maintenance_record(const RouteContext&, const RouteRequest&);
WriteDecision decide_add_maintenance_task(const RouteContext&, const RouteRequest&);
WriteDecision decide_change_maintenance_task(const RouteContext&, const RouteRequest&);
WriteDecision decide_remove_maintenance_task(const RouteContext&, const RouteRequest&);
HttpResponse answer_signals(const RouteContext&, const RouteRequest&);
HttpResponse answer_telemetry(const RouteContext&, const RouteRequest&);
HttpResponse answer_job_telemetry(const RouteContext&, const RouteRequest&);
HttpResponse answer_events(const RouteContext&, const RouteRequest&);
HttpResponse answer_event(const RouteContext&, const RouteRequest&);
HttpResponse answer_safety_limits(const RouteContext&, const RouteRequest&);
HttpResponse answer_machine_limits(const RouteContext&, const RouteRequest&);
WriteDecision replace_machine_limits(const RouteContext&, const RouteRequest&);
WriteDecision change_machine_limits(const RouteContext&, const RouteRequest&);
HttpResponse answer_safety_rules(const RouteContext&, const RouteRequest&);
HttpResponse answer_safety_rule(const RouteContext&, const RouteRequest&);
WriteDecision change_safety_rule(const RouteContext&, const RouteRequest&);
WriteDecision remove_safety_rule(const RouteContext&, const RouteRequest&);
HttpResponse test_safety_rule(const RouteContext&, const RouteRequest&);
HttpResponse answer_alarms(const RouteContext&, const RouteRequest&);
HttpResponse answer_alarm(const RouteContext&, const RouteRequest&);
WriteDecision acknowledge_alarm(const RouteContext&, const RouteRequest&);
WriteDecision shelve_alarm(const RouteContext&, const RouteRequest&);
WriteDecision unshelve_alarm(const RouteContext&, const RouteRequest&);
HttpResponse answer_safety_events(const RouteContext&, const RouteRequest&);
HttpResponse answer_safety_summary(const RouteContext&, const RouteRequest&);
HttpResponse answer_klipperiwc_status(const RouteContext&, const RouteRequest&);
HttpResponse answer_klipperiwc_temperatures(const RouteContext&, const RouteRequest&);
CommandDecision ask_command(const RouteContext&, const RouteRequest&);
HttpResponse answer_commands(const RouteContext&, const RouteRequest&);
HttpResponse answer_command(const RouteContext&, const RouteRequest&);

// The decisions about changes.
WriteDecision change_job(const RouteContext&, const RouteRequest&);
WriteDecision enter_job(const RouteContext&, const RouteRequest&);
WriteDecision hide_job(const RouteContext&, const RouteRequest&);
WriteDecision restore_job(const RouteContext&, const RouteRequest&);
WriteDecision add_job_photo(const RouteContext&, const RouteRequest&);
WriteDecision remove_job_photo(const RouteContext&, const RouteRequest&);
WriteDecision change_reasons(const RouteContext&, const RouteRequest&);
WriteDecision put_blob(const RouteContext&, const RouteRequest&);

}  // namespace millrace
