// SPDX-License-Identifier: Apache-2.0
// /api/jobs of the older 3d-print-logger, and the rule that tells it from KlipperIWC's route of the same path.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "projections/job_catalog.h"
#include "projections/machine_state.h"
#include "web/edge/klipperiwc_json.h"
#include "web/edge/print_logger/older_json.h"
#include "web/edge/print_logger/older_request.h"
#include "web/edge/print_logger/print_logger_routes.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

using schema::JobOutcome;

constexpr size_t kMaxSearched = 200;  // bytes of q
constexpr size_t kMaxUrl = 1000;

constexpr RenamedField kJobFields[] = {{"title", "title"}, {"url", "link"}};
constexpr std::string_view kShownOnly[] = {
    "id",         "printer_id", "job_id",         "user",           "filename",      "status",
    "start_time", "end_time",   "print_duration", "total_duration", "filament_used", "job_metadata",
    "created_at", "updated_at", "auxiliary_data", "details"};

struct SortWord {
  std::string_view word;
  JobSort sort;
};
constexpr std::array<SortWord, 5> kSorts{{{"start_time", JobSort::kStartedAt},
                                          {"end_time", JobSort::kEndedAt},
                                          {"total_duration", JobSort::kTotalDuration},
                                          {"filament_used", JobSort::kFilamentUsed},
                                          {"filename", JobSort::kFilename}}};

bool read_status(std::string_view word, JobFilter& filter) {
  if (word == "printing" || word == "paused") {
    filter.outcomes = {JobOutcome::running};
    filter.paused = word == "paused";
  } else if (word == "completed") {
    filter.outcomes = {JobOutcome::completed};
  } else if (word == "cancelled") {
    filter.outcomes = {JobOutcome::cancelled};
  } else if (word == "error") {
    filter.outcomes = {JobOutcome::failed, JobOutcome::interrupted};
  } else {
    return false;
  }
  return true;
}

HttpResponse wrong(std::string_view name, std::string_view value, std::string_view expected) {
  return older_invalid("query", name, fmt::format("{}='{}': expected {}", name, value.substr(0, 100), expected));
}

std::optional<HttpResponse> read_words(const HttpRequest& request, JobListQuery& query) {
  query.filter.text = text_in(request, "q");
  if (query.filter.text.size() > kMaxSearched) {
    return wrong("q", query.filter.text, fmt::format("at most {} bytes", kMaxSearched));
  }
  if (const auto status = request.query_value("status"); status && !read_status(*status, query.filter)) {
    return wrong("status", *status, "printing, paused, completed, cancelled or error");
  }
  if (const auto sort = request.query_value("sort")) {
    const auto found = std::find_if(kSorts.begin(), kSorts.end(), [&](const auto& each) { return each.word == *sort; });
    if (found == kSorts.end()) {
      return wrong("sort", *sort, "start_time, end_time, total_duration, filament_used or filename");
    }
    query.sort = found->sort;
  }
  if (const auto order = request.query_value("order")) {
    if (*order != "asc" && *order != "desc") return wrong("order", *order, "asc or desc");
    query.ascending = *order == "asc";
  }
  return std::nullopt;
}

OrRefusal<JobListQuery> job_query_of(const RouteContext& context, const HttpRequest& request) {
  const auto page = older_page_in(request);
  const auto printer = older_number_in(request, "printer_id");
  const auto after = older_time_in(request, "start_after");
  const auto before = older_time_in(request, "start_before");
  if (!page) return page.error();
  if (!printer) return printer.error();
  if (!after) return after.error();
  if (!before) return before.error();
  JobListQuery query;
  query.skip = page->offset;
  query.limit = page->limit;
  query.filter.from = *after;
  if (*before) query.filter.to = **before + Micros(1);  // it takes in the moment itself
  if (auto refused = read_words(request, query)) return std::move(*refused);
  if (*printer) {
    const auto id = id_of_ordinal(*context.parts.store.reader(), OrdinalClass::kMachine, **printer);
    if (!id) return in_older_words(api_problem_from(id.error()));
    query.filter.machines = {id->value_or("")};  // nobody's jobs where there is no such printer
  }
  return query;
}

OrRefusal<OlderJobOptions> options_of(const RouteContext& context, const ViewReader& reader,
                                      const schema::JobViewT& job) {
  const auto number = older_number_of(reader, OrdinalClass::kJob, job.id);
  const auto printer = older_number_of(reader, OrdinalClass::kMachine, job.machine);
  if (!number) return number.error();
  if (!printer) return printer.error();
  return OlderJobOptions{*number, *printer, context.parts.blobs};
}

HttpResponse job_page(const RouteContext& context, const JobListQuery& query) {
  const auto list = context.jobs->list(query);
  if (!list) return in_older_words(api_problem_from(list.error()));
  const auto reader = context.parts.store.reader();
  JsonWriter json;
  json.object().key("items").array();
  for (const std::string& id : list->ids) {
    const auto part = find_job(*reader, id);
    if (!part && part.error().code == Errc::kNotFound) continue;  // it became another one's meanwhile
    if (!part) return in_older_words(api_problem_from(part.error()));
    const auto options = options_of(context, *reader, part->job);
    if (!options) return options.error();
    write_older_job(json, *part, *options);
  }
  json.end();
  end_older_page(json, {query.limit, query.skip}, list->total);
  return json_answer(json);
}

// One that was deleted is not there any more for these clients.
OrRefusal<JobPart> job_of_path(const RouteContext& context, const RouteRequest& request) {
  const auto reader = context.parts.store.reader();
  const auto id = older_id_in(*reader, request, OrdinalClass::kJob);
  if (!id) return id.error();
  auto part = find_job(*reader, *id);
  if (!part && part.error().code != Errc::kNotFound) return in_older_words(api_problem_from(part.error()));
  if (part && !part->job.hidden) return std::move(*part);
  return older_error(404, fmt::format("there is no job with the id {}", request.path.at("id")));
}

HttpResponse job_answer(const RouteContext& context, const std::string& id) {
  const auto reader = context.parts.store.reader();
  const auto part = find_job(*reader, id);
  if (!part) return in_older_words(api_problem_from(part.error()));
  auto options = options_of(context, *reader, part->job);
  if (!options) return options.error();
  options->settings = true;
  JsonWriter json;
  write_older_job(json, *part, *options);
  return json_answer(json);
}

HttpResponse klipperiwc_jobs(const RouteContext& context, const HttpRequest& request) {
  auto machines = read_machines(*context.parts.store.reader());
  if (!machines) return in_older_words(api_problem_from(machines.error()));
  std::erase_if(*machines, [](const auto& each) { return each.second.removed; });
  const std::string id = text_in(request, "machine");
  const auto found = id.empty() ? machines->begin() : machines->find(id);
  if (found == machines->end()) {
    return older_error(404, id.empty() ? "there is no machine yet" : fmt::format("there is no machine '{}'", id));
  }
  JsonWriter json;
  write_klipperiwc_jobs(json, found->second, {context.parts.clock.wall(), context.options.stale_after});
  return json_answer(json);
}

}  // namespace

const std::vector<Parameter>& older_job_parameters() {
  static const std::vector<Parameter> parameters = {
      {"limit", R"({"type":"integer","minimum":1,"maximum":100,"default":20})", "At most so many items"},
      {"offset", R"({"type":"integer","minimum":0,"default":0})", "So many are left out before"},
      {"printer_id", R"({"type":"integer"})", "Only of this printer"},
      {"status", R"({"enum":["printing","paused","completed","cancelled","error"]})", "error: failed or interrupted"},
      {"start_after", R"({"type":"string","format":"date-time"})",
       "Started then or later; UTC where no offset is said"},
      {"start_before", R"({"type":"string","format":"date-time"})", "Started then or earlier"},
      {"q", R"({"type":"string"})",
       "Words that must all begin a word of the file name, title, notes, tags, machine or slicer"},
      {"sort", R"({"enum":["start_time","end_time","total_duration","filament_used","filename"]})",
       "What the list is sorted by"},
      {"order", R"({"enum":["asc","desc"],"default":"desc"})", "Smallest or largest first"}};
  return parameters;
}

HttpResponse answer_older_jobs(const RouteContext& context, const RouteRequest& request) {
  const auto& parameters = older_job_parameters();
  const auto said = std::find_if(parameters.begin(), parameters.end(), [&](const Parameter& parameter) {
    return request.http.query_value(parameter.name).has_value();
  });
  const bool asks_for_page = said != parameters.end();
  const bool asks_for_machine = request.http.query_value("machine").has_value();
  if (asks_for_page && asks_for_machine) {
    return older_invalid("query", "machine",
                         fmt::format("machine is a parameter of KlipperIWC and {} one of 3d-print-logger: expected "
                                     "those of one of them",
                                     said->name));
  }
  const bool page = asks_for_page || (!asks_for_machine && context.options.plain_jobs_as_page);
  if (!page) return klipperiwc_jobs(context, request.http);
  const auto query = job_query_of(context, request.http);
  return query ? job_page(context, *query) : query.error();
}

HttpResponse answer_older_printer_jobs(const RouteContext& context, const RouteRequest& request) {
  const auto machine = older_printer_in(*context.parts.store.reader(), request);
  if (!machine) return machine.error();
  const auto page = older_page_in(request.http);
  if (!page) return page.error();
  JobListQuery query;
  query.filter.machines = {machine->id};
  query.skip = page->offset;
  query.limit = page->limit;
  return job_page(context, query);
}

HttpResponse answer_older_job(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_of_path(context, request);
  return part ? job_answer(context, part->job.id) : part.error();
}

WriteDecision decide_change_older_job(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_of_path(context, request);
  if (!part) return part.error();
  JsonReader reader;
  const auto body = reader.parse(request.http.body);
  const auto url = body ? text_member(*body, "url") : std::nullopt;
  if (url && url->size() > kMaxUrl) {
    return older_invalid("body", "url",
                         fmt::format("text of {} bytes given, expected at most {}", url->size(), kMaxUrl));
  }
  const auto current = in_current_words(request.http, {.fields = kJobFields, .shown_only = kShownOnly});
  if (!current) return current.error();
  const std::string id = part->job.id;
  return older_decision(change_job(context, {*current, {{"id", id}}, request.actor, request.caller}), kJobFields,
                        [id](const RouteContext& after) { return job_answer(after, id); });
}

WriteDecision decide_hide_older_job(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_of_path(context, request);
  if (!part) return part.error();
  return older_decision(hide_job(context, {request.http, {{"id", part->job.id}}, request.actor, request.caller}), {});
}

}  // namespace millrace
