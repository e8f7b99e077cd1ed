// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "projections/job_catalog.h"
#include "projections/job_history.h"
#include "web/edge/job_filter.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {

HttpResponse answer_jobs(const RouteContext& context, const RouteRequest& request) {
  auto query = job_query_in(request.http);
  const auto limit = limit_in(request.http);
  auto after = place_in(request.http, context.parts.log.incarnation());
  if (!query) return api_problem_from(query.error());
  if (!limit) return api_problem_from(limit.error());
  if (!after) return api_problem_from(after.error());
  query->limit = *limit;
  query->after = std::move(*after);
  const auto page = context.jobs->list(*query);
  if (!page) return api_problem_from(page.error());
  const auto reader = context.parts.store.reader();
  JsonWriter json;
  json.object().key("items").array();
  for (const std::string& id : page->ids) {
    const auto job = read_job(*reader, id);
    if (!job && job.error().code == Errc::kNotFound) continue;  // it became another one's meanwhile
    if (!job) return api_problem_from(job.error());
    write_job(json, *job);
  }
  json.end().key("next_cursor");
  page->next.empty() ? json.null() : json.value(make_cursor(context.parts.log.incarnation(), page->next));
  json.field("total", page->total).end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_job(const RouteContext& context, const RouteRequest& request) {
  return shown_job(context, request.path.at("id"));
}

HttpResponse shown_job(const RouteContext& context, const std::string& id) {
  const auto found = find_job(*context.parts.store.reader(), id);
  if (!found && found.error().code == Errc::kNotFound) return api_problem(404, "job_not_found", found.error().context);
  if (!found) return api_problem_from(found.error());
  JsonWriter json;
  write_job(json, found->job, &found->detail);
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_job_tags(const RouteContext& context, const RouteRequest&) {
  const auto tags = context.jobs->tags();
  if (!tags) return api_problem_from(tags.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const TagCount& each : *tags) json.object().field("tag", each.tag).field("jobs", each.jobs).end();
  json.end().end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_reasons(const RouteContext& context, const RouteRequest&) {
  const auto reasons = verdict_reasons(*context.parts.store.reader());
  if (!reasons) return api_problem_from(reasons.error());
  JsonWriter json;
  json.object().key("reasons").array();
  for (const std::string& reason : *reasons) json.value(reason);
  json.end().end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace millrace
