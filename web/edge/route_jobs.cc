// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "projections/job_history.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

Result<schema::JobOutcome> parse_outcome(std::string_view name) {
  for (const auto outcome : schema::EnumValuesJobOutcome()) {
    if (outcome != schema::JobOutcome::unknown && name == schema::EnumNameJobOutcome(outcome)) return outcome;
  }
  return make_error(Errc::kInvalidArgument,
                    fmt::format("outcome='{}': expected running, completed, cancelled, failed or interrupted", name));
}

Result<JobQuery> query_in(const RouteContext& context, const HttpRequest& request) {
  JobQuery query;
  const auto limit = limit_in(request);
  const auto machine = machine_in(request);
  const auto from = time_in(request, "from");
  const auto to = time_in(request, "to");
  const auto after = place_in(request, context.parts.log.incarnation());
  if (!limit) return limit.error();
  if (!machine) return machine.error();
  if (!from) return from.error();
  if (!to) return to.error();
  if (!after) return after.error();
  for (const std::string& name : texts_in(request, "outcome")) {
    const auto outcome = parse_outcome(name);
    if (!outcome) return outcome.error();
    query.outcomes.insert(*outcome);
  }
  query.limit = *limit;
  query.machine = *machine;
  query.from = *from;
  query.to = *to;
  query.after = *after;
  query.filename_part = text_in(request, "q");
  return query;
}

}  // namespace

HttpResponse answer_jobs(const RouteContext& context, const RouteRequest& request) {
  const auto query = query_in(context, request.http);
  if (!query) return api_problem_from(query.error());
  const auto page = list_jobs(*context.parts.store.reader(), *query);
  if (!page) return api_problem_from(page.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const schema::JobViewT& job : page->jobs) write_job(json, job);
  json.end().key("next_cursor");
  page->next.empty() ? json.null() : json.value(make_cursor(context.parts.log.incarnation(), page->next));
  json.key("total").null().end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_job(const RouteContext& context, const RouteRequest& request) {
  const auto found = find_job(*context.parts.store.reader(), request.path.at("id"));
  if (!found && found.error().code == Errc::kNotFound) return api_problem(404, "job_not_found", found.error().context);
  if (!found) return api_problem_from(found.error());
  JsonWriter json;
  write_job(json, found->job, &found->detail);
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace millrace
