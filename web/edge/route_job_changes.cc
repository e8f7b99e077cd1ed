// SPDX-License-Identifier: Apache-2.0
// What people say about jobs.  A request that says nothing new records nothing.
#include <fmt/format.h>

#include <algorithm>

#include "bus/blob_store.h"
#include "bus/picture.h"
#include "projections/job_history.h"
#include "projections/job_said.h"
#include "projections/machine_state.h"
#include "web/edge/body_reader.h"
#include "web/edge/job_filter.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr size_t kMaxTitleBytes = 500;
constexpr size_t kMaxNotesBytes = 10'000;
constexpr size_t kMaxLinkBytes = 2'000;
constexpr size_t kMaxReasonBytes = 200;
constexpr size_t kMaxTags = 20;
constexpr size_t kMaxTagBytes = 60;
constexpr size_t kMaxReasons = 50;
constexpr size_t kMaxFilenameBytes = 1'000;
constexpr size_t kMaxTextBytes = 2'000;
constexpr double kMaxSeconds = 10.0 * 366 * 86'400;  // what job_evidence takes for plausible
constexpr double kMaxFilament = kMaxSeconds;         // mm

const std::vector<std::string_view> kVerdicts{"unknown", "good", "rework", "scrap"};
const std::vector<std::string_view> kEndings{"completed", "cancelled", "failed", "interrupted"};

using Changed = std::vector<std::string>;

template <class Held, class Said>
void replace(Changed& changed, const char* field, const Held& held, Said&& said, Held& target) {
  target = std::forward<Said>(said);
  if (target != held) changed.emplace_back(field);
}

std::vector<std::string> without_repeats(std::vector<std::string> texts) {
  std::vector<std::string> kept;
  for (std::string& text : texts) {
    if (std::find(kept.begin(), kept.end(), text) == kept.end()) kept.push_back(std::move(text));
  }
  return kept;
}

// The annotation in a body: `changed` names what differs from `held`.
schema::JobAnnotatedT read_annotation(BodyReader& body, const schema::JobViewT& held) {
  schema::JobAnnotatedT event;
  const auto text = [&](const char* field, const std::string& before, TextRule rule, std::string& target) {
    const bool there = body.has(field);
    const auto value = body.text(field, rule);
    if (there && (value || body.is_null(field))) replace(event.changed, field, before, value.value_or(""), target);
  };
  const bool has_verdict = body.has("verdict");
  const auto verdict = body.word("verdict", kVerdicts);
  if (has_verdict) {
    replace(event.changed, "verdict", held.verdict, verdict_named(verdict.value_or("unknown")).value(), event.verdict);
  }
  text("reason", held.reason, {.max_bytes = kMaxReasonBytes}, event.reason);
  text("notes", held.notes, {.max_bytes = kMaxNotesBytes, .lines = true}, event.notes);
  text("title", held.title, {.max_bytes = kMaxTitleBytes}, event.title);
  text("link", held.link, {.max_bytes = kMaxLinkBytes}, event.link);
  // It becomes a link of the page: other schemes would be a way to run a script.
  if (!event.link.empty() && !event.link.starts_with("https://") && !event.link.starts_with("http://")) {
    body.refuse("link", fmt::format("'{}' given, expected http:// or https://", event.link.substr(0, 100)));
  }
  const bool has_tags = body.has("tags");
  auto tags = body.texts("tags", kMaxTags, {.max_bytes = kMaxTagBytes, .empty = false});
  for (const std::string& tag : tags.value_or(Changed{})) {
    if (tag.find(',') != std::string::npos)
      body.refuse("tags", fmt::format("'{}' has a comma, which separates tags", tag));
  }
  if (has_tags) {
    replace(event.changed, "tags", held.tags, without_repeats(tags.value_or(Changed{})), event.tags);
  }
  return event;
}

int64_t unix_us_of(BodyReader& body, const char* field, WallTime time) {
  const int64_t us = to_unix_us(time);
  if (us <= 0) body.refuse(field, "is before 1970");
  return us;
}

// Values that take the place of a machine's; null is none of them.
schema::JobCorrectedT read_correction(BodyReader& body, const schema::JobViewT& held) {
  schema::JobCorrectedT event;
  for (const char* field : {"filename", "outcome", "cause", "started_at", "ended_at", "total_duration",
                            "print_duration", "filament_used"}) {
    if (body.is_null(field)) body.refuse(field, "is null: a correction needs a value");
  }
  if (const auto name = body.text("filename", {.max_bytes = kMaxFilenameBytes, .empty = false})) {
    replace(event.changed, "filename", held.filename, *name, event.filename);
  }
  if (const auto outcome = body.word("outcome", kEndings)) {
    replace(event.changed, "outcome", held.outcome, outcome_named(*outcome).value(), event.outcome);
  }
  if (const auto cause = body.text("cause")) replace(event.changed, "cause", held.cause, *cause, event.cause);
  int64_t start_us = started_at(held).us;
  int64_t end_us = ended_at(held).us;
  if (const auto start = body.time("started_at")) {
    replace(event.changed, "start_us", start_us, unix_us_of(body, "started_at", *start), event.start_us);
    start_us = event.start_us;
  }
  if (const auto end = body.time("ended_at")) {
    replace(event.changed, "end_us", end_us, unix_us_of(body, "ended_at", *end), event.end_us);
    end_us = event.end_us;
  }
  // What a machine told may be wrong in itself; what a person says may not.
  if ((event.start_us != 0 || event.end_us != 0) && end_us != 0 && end_us < start_us) {
    body.refuse("ended_at", "is before started_at");
  }
  const auto number = [&](const char* field, std::optional<double> before, double max, auto& target) {
    if (const auto value = body.number(field, 0, max)) {
      target = value;
      if (before != value) event.changed.emplace_back(field);
    }
  };
  number("total_duration", held.total_duration, kMaxSeconds, event.total_duration);
  number("print_duration", held.print_duration, kMaxSeconds, event.print_duration);
  number("filament_used", held.filament_used, kMaxFilament, event.filament_used);
  event.reason = body.text("correction_reason").value_or("");
  return event;
}

// kNotFound as the API says it.
boost::system::result<JobPart, HttpResponse> job_part(const RouteContext& context, const std::string& id) {
  auto found = find_job(*context.parts.store.reader(), id);
  if (found) return std::move(*found);
  if (found.error().code == Errc::kNotFound) return api_problem(404, "job_not_found", found.error().context);
  return api_problem_from(found.error());
}

// Collects a request's events, all by the same actor.
class Events {
 public:
  Events(const RouteContext& context, const RouteRequest& request)
      : now_(context.parts.clock.wall()), actor_(request.actor) {}
  template <class PayloadT>
  void add(PayloadT payload, const std::string& machine) {
    events_.push_back(draft_of(std::move(payload), machine, now_));
    events_.back().actor = actor_;
  }
  std::vector<EventDraft> take() { return std::move(events_); }

 private:
  const WallTime now_;
  const std::string actor_;
  std::vector<EventDraft> events_;
};

std::function<HttpResponse(const RouteContext&)> answer_with_job(const std::string& id) {
  return [id](const RouteContext& context) { return shown_job(context, id); };
}

HttpResponse no_content(const RouteContext&) {
  HttpResponse response;
  response.status = 204;
  return response;
}

}  // namespace

WriteDecision change_job(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_part(context, request.path.at("id"));
  if (!part) return part.error();
  const schema::JobViewT& job = part->job;
  BodyReader body(request.http);
  auto annotated = read_annotation(body, job);
  auto corrected = read_correction(body, job);
  if (auto refused = body.problem()) return std::move(*refused);
  annotated.job_id = corrected.job_id = job.id;
  Events events(context, request);
  if (!annotated.changed.empty()) events.add(std::move(annotated), job.machine);
  if (!corrected.changed.empty()) events.add(std::move(corrected), job.machine);
  return EdgeWrite{events.take(), answer_with_job(job.id)};
}

WriteDecision enter_job(const RouteContext& context, const RouteRequest& request) {
  BodyReader body(request.http);
  for (const char* field : {"machine", "outcome", "started_at"}) body.require(field);
  schema::JobEnteredT event;
  const std::string machine = body.text("machine", {.max_bytes = 64}).value_or("");
  if (!is_valid_machine_id(machine)) body.refuse("machine", "is no machine id: 1 to 64 of a-z, 0-9 and '-'");
  event.filename = body.text("filename", {.max_bytes = kMaxFilenameBytes}).value_or("");
  event.user = body.text("user").value_or("");
  event.cause = body.text("cause").value_or("");
  event.text = body.text("text", {.max_bytes = kMaxTextBytes, .lines = true}).value_or("");
  event.outcome = outcome_named(body.word("outcome", kEndings).value_or("")).value_or(schema::JobOutcome::unknown);
  if (const auto start = body.time("started_at")) event.start_us = unix_us_of(body, "started_at", *start);
  if (const auto end = body.time("ended_at")) event.end_us = unix_us_of(body, "ended_at", *end);
  if (event.end_us != 0 && event.end_us < event.start_us) body.refuse("ended_at", "is before started_at");
  event.total_duration = body.number("total_duration", 0, kMaxSeconds);
  event.print_duration = body.number("print_duration", 0, kMaxSeconds);
  event.filament_used = body.number("filament_used", 0, kMaxFilament);
  if (!event.total_duration && event.end_us != 0) {
    event.total_duration = std::min(static_cast<double>(event.end_us - event.start_us) / 1e6, kMaxSeconds);
  }
  auto annotated = read_annotation(body, schema::JobViewT{});
  if (auto refused = body.problem()) return std::move(*refused);
  const auto reader = context.parts.store.reader();
  const auto known = reader->get(kMachineStateView, machine);
  if (!known) return api_problem_from(known.error());
  if (!*known)
    return api_problem(400, "invalid_field", fmt::format("field 'machine': there is no machine '{}'", machine));
  event.job_id = annotated.job_id = fmt::format("{}.m{}", machine, event.start_us);
  if (read_job(*reader, event.job_id)) {
    return api_problem(409, "job_exists",
                       fmt::format("a job was entered for {} at this very start: {}", machine, event.job_id));
  }
  const std::string id = event.job_id;
  Events events(context, request);
  events.add(std::move(event), machine);
  if (!annotated.changed.empty()) events.add(std::move(annotated), machine);
  return EdgeWrite{events.take(), [id](const RouteContext& after) {
                     HttpResponse response = shown_job(after, id);
                     if (response.status == 200) response.status = 201;
                     response.headers.emplace_back("Location", "/api/v1/jobs/" + id);
                     return response;
                   }};
}

WriteDecision hide_job(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_part(context, request.path.at("id"));
  if (!part) return part.error();
  Events events(context, request);
  if (!part->job.hidden) {
    schema::JobHiddenT event;
    event.job_id = part->job.id;
    events.add(std::move(event), part->job.machine);
  }
  return EdgeWrite{events.take(), no_content};
}

WriteDecision restore_job(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_part(context, request.path.at("id"));
  if (!part) return part.error();
  Events events(context, request);
  if (part->job.hidden) {
    schema::JobUnhiddenT event;
    event.job_id = part->job.id;
    events.add(std::move(event), part->job.machine);
  }
  return EdgeWrite{events.take(), answer_with_job(part->job.id)};
}

WriteDecision add_job_photo(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_part(context, request.path.at("id"));
  if (!part) return part.error();
  BodyReader body(request.http);
  body.require("blob");
  schema::JobPhotoAddedT event;
  event.job_id = part->job.id;
  event.blob = body.text("blob", {.max_bytes = 64}).value_or("");
  event.caption = body.text("caption").value_or("");
  if (!is_sha256(event.blob)) body.refuse("blob", "is no SHA-256: expected 64 digits of 0-9 and a-f");
  if (auto refused = body.problem()) return std::move(*refused);
  if (context.parts.blobs == nullptr) return api_problem(503, "unavailable", "no pictures are kept here");
  const auto bytes = context.parts.blobs->get(event.blob);
  if (!bytes && bytes.error().code == Errc::kNotFound) {
    return api_problem(404, "blob_not_found",
                       fmt::format("{}: PUT /api/v1/blobs/{} first", bytes.error().context, event.blob));
  }
  if (!bytes) return api_problem_from(bytes.error());
  const auto picture = picture_header(*bytes);
  if (!picture) return api_problem(415, "not_a_picture", fmt::format("blob {} is no JPEG, PNG or WebP", event.blob));
  const auto& photos = part->detail.photos;
  const auto held =
      std::find_if(photos.begin(), photos.end(), [&](const auto& each) { return each->blob == event.blob; });
  if (held == photos.end() && photos.size() >= kMaxJobPhotos) {
    return api_problem(409, "too_many_photos",
                       fmt::format("the job has {} photos, the most that it can have", photos.size()));
  }
  event.content_type = picture->content_type;
  event.bytes = bytes->size();
  event.width = picture->width;
  event.height = picture->height;
  Events events(context, request);
  if (held == photos.end() || (*held)->caption != event.caption) events.add(std::move(event), part->job.machine);
  const int status = held == photos.end() ? 201 : 200;
  return EdgeWrite{events.take(), [id = part->job.id, status](const RouteContext& after) {
                     HttpResponse response = shown_job(after, id);
                     if (response.status == 200) response.status = status;
                     return response;
                   }};
}

WriteDecision remove_job_photo(const RouteContext& context, const RouteRequest& request) {
  const auto part = job_part(context, request.path.at("id"));
  if (!part) return part.error();
  const std::string& blob = request.path.at("blob");
  const auto& photos = part->detail.photos;
  Events events(context, request);
  if (std::any_of(photos.begin(), photos.end(), [&](const auto& photo) { return photo->blob == blob; })) {
    schema::JobPhotoRemovedT event;
    event.job_id = part->job.id;
    event.blob = blob;
    events.add(std::move(event), part->job.machine);
  }
  return EdgeWrite{events.take(), no_content};
}

WriteDecision change_reasons(const RouteContext& context, const RouteRequest& request) {
  BodyReader body(request.http);
  body.require("reasons");
  auto reasons = body.texts("reasons", kMaxReasons, {.max_bytes = kMaxReasonBytes, .empty = false});
  if (auto refused = body.problem()) return std::move(*refused);
  schema::VerdictReasonsChangedT event;
  event.reasons = without_repeats(std::move(*reasons));
  const auto held = verdict_reasons(*context.parts.store.reader());
  if (!held) return api_problem_from(held.error());
  Events events(context, request);
  if (event.reasons != *held) events.add(std::move(event), "");
  return EdgeWrite{events.take(), [](const RouteContext& after) {
                     return answer_reasons(after, {HttpRequest{}, {}, {}});
                   }};
}

}  // namespace millrace
