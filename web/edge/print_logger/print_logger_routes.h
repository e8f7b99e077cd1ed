// SPDX-License-Identifier: Apache-2.0
// The older 3d-print-logger's HTTP surface on top of our own views and decisions: its paths, fields, codes and
// whole-number ids.  docs/api.md says where it is better than the older one.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "web/edge/routes.h"

namespace millrace {

std::vector<Route> print_logger_routes();
// Name and JSON Schema of its answers.
std::vector<std::pair<std::string_view, std::string>> print_logger_schemas();

HttpResponse answer_older_printers(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_printer(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_status(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_printer_jobs(const RouteContext&, const RouteRequest&);
WriteDecision decide_add_older_printer(const RouteContext&, const RouteRequest&);
WriteDecision decide_change_older_printer(const RouteContext&, const RouteRequest&);
WriteDecision decide_remove_older_printer(const RouteContext&, const RouteRequest&);
WriteDecision decide_import_history(const RouteContext&, const RouteRequest&);
WriteDecision decide_backfill_details(const RouteContext&, const RouteRequest&);

// Of /api/jobs, which two older systems have: the parameters say whose answer is wanted.
HttpResponse answer_older_jobs(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_job(const RouteContext&, const RouteRequest&);
WriteDecision decide_change_older_job(const RouteContext&, const RouteRequest&);
WriteDecision decide_hide_older_job(const RouteContext&, const RouteRequest&);
const std::vector<Parameter>& older_job_parameters();

HttpResponse answer_older_records(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_record(const RouteContext&, const RouteRequest&);
WriteDecision decide_add_older_record(const RouteContext&, const RouteRequest&);
WriteDecision decide_change_older_record(const RouteContext&, const RouteRequest&);
WriteDecision decide_remove_older_record(const RouteContext&, const RouteRequest&);

HttpResponse answer_older_summary(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_printer_figures(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_filament(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_timeline(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_system(const RouteContext&, const RouteRequest&);
HttpResponse answer_older_health(const RouteContext&, const RouteRequest&);

}  // namespace millrace
