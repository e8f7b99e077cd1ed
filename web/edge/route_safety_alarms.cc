// SPDX-License-Identifier: Apache-2.0
// Alarms: what stands, what stood, and what people say of them.
#include <fmt/format.h>

#include "web/edge/body_reader.h"
#include "web/edge/problem.h"
#include "web/edge/safety_json.h"

namespace millrace {
namespace {

using schema::AlarmViewT;

constexpr double kMaxShelvedS = 30 * 86'400;

Result<std::optional<AlarmStanding>> standing_in(const HttpRequest& request) {
  const std::string word = text_in(request, "state");
  if (word.empty()) return std::optional<AlarmStanding>();
  for (const AlarmStanding standing :
       {AlarmStanding::kActive, AlarmStanding::kAcknowledged, AlarmStanding::kShelved, AlarmStanding::kCleared}) {
    if (word == name_of(standing)) return std::optional(standing);
  }
  return make_error(Errc::kInvalidArgument,
                    fmt::format("state='{}': expected active, acknowledged, shelved or cleared", word.substr(0, 100)));
}

Result<AlarmQuery> query_in(const RouteContext& context, const HttpRequest& request) {
  const auto limit = limit_in(request);
  const auto machine = machine_in(request);
  const auto standing = standing_in(request);
  const auto after = place_in(request, context.parts.log.incarnation());
  if (!limit) return limit.error();
  if (!machine) return machine.error();
  if (!standing) return standing.error();
  if (!after) return after.error();
  AlarmQuery query;
  query.limit = *limit;
  query.machine = *machine;
  query.standing = *standing;
  query.after = *after;
  query.rule = text_in(request, "rule");
  query.now_us = to_unix_us(context.parts.clock.wall());
  const std::string level = text_in(request, "level");
  if (level.empty()) return query;
  query.level = alarm_level_from(level);
  if (query.level) return query;
  return make_error(Errc::kInvalidArgument, fmt::format("level='{}': expected normal, caution, warning, critical or "
                                                        "emergency",
                                                        level.substr(0, 100)));
}

boost::system::result<AlarmViewT, HttpResponse> alarm_of_path(const RouteContext& context,
                                                              const RouteRequest& request) {
  const std::string id = alarm_id_of_ref(request.path.at("alarm"));
  auto alarm = find_alarm(*context.parts.store.reader(), id);
  if (!alarm) return api_problem_from(alarm.error());
  if (!*alarm) return api_problem(404, "alarm_not_found", fmt::format("there is no alarm '{}'", id.substr(0, 256)));
  return std::move(**alarm);
}

HttpResponse alarm_response(const RouteContext& context, const std::string& id) {
  const auto alarm = find_alarm(*context.parts.store.reader(), id);
  if (!alarm) return api_problem_from(alarm.error());
  if (!*alarm) return api_problem(404, "alarm_not_found", fmt::format("there is no alarm '{}'", id));
  JsonWriter json;
  write_alarm(json, **alarm, to_unix_us(context.parts.clock.wall()));
  HttpResponse response;
  response.body = json.take();
  return response;
}

EdgeWrite write_of(const AlarmViewT& alarm) {
  EdgeWrite write;
  write.answer = [id = alarm.id](const RouteContext& after) { return alarm_response(after, id); };
  return write;
}

template <class PayloadT>
EdgeWrite write_of(const RouteContext& context, const RouteRequest& request, const AlarmViewT& alarm, PayloadT event) {
  EdgeWrite write = write_of(alarm);
  event.alarm_id = alarm.id;
  write.events.push_back(draft_of(std::move(event), alarm.machine, context.parts.clock.wall()));
  write.events.back().actor = request.actor;
  return write;
}

}  // namespace

HttpResponse answer_alarms(const RouteContext& context, const RouteRequest& request) {
  const auto query = query_in(context, request.http);
  if (!query) return api_problem_from(query.error());
  const auto page = list_alarms(*context.parts.store.reader(), *query);
  if (!page) return api_problem_from(page.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const AlarmViewT& alarm : page->alarms) write_alarm(json, alarm, query->now_us);
  json.end().key("next_cursor");
  page->next.empty() ? json.null() : json.value(make_cursor(context.parts.log.incarnation(), page->next));
  json.key("total").null().end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_alarm(const RouteContext& context, const RouteRequest& request) {
  const auto alarm = alarm_of_path(context, request);
  return alarm ? alarm_response(context, alarm->id) : alarm.error();
}

WriteDecision acknowledge_alarm(const RouteContext& context, const RouteRequest& request) {
  const auto alarm = alarm_of_path(context, request);
  if (!alarm) return alarm.error();
  BodyReader body(request.http);
  const auto note = body.text("note", {.max_bytes = 1000, .lines = true});
  if (auto refused = body.problem()) return std::move(*refused);
  // Said twice it is still one acknowledgement, unless there is something new to note.
  if (alarm->acknowledged && note.value_or(alarm->note) == alarm->note) return write_of(*alarm);
  schema::AlarmAcknowledgedT event;
  event.note = note.value_or(alarm->note);
  return write_of(context, request, *alarm, std::move(event));
}

WriteDecision shelve_alarm(const RouteContext& context, const RouteRequest& request) {
  const auto alarm = alarm_of_path(context, request);
  if (!alarm) return alarm.error();
  const WallTime now = context.parts.clock.wall();
  BodyReader body(request.http);
  auto until = body.time("until");
  const auto for_s = body.number("for_s", 1, kMaxShelvedS);
  const auto reason = body.text("reason", {.max_bytes = 500});
  if (until && for_s) body.refuse("for_s", "until is there too: expected one of them");
  if (!until && !for_s) body.refuse("until", "expected until, a time, or for_s, in seconds");
  if (for_s) until = now + Micros{static_cast<int64_t>(*for_s * 1e6)};
  const auto latest = now + std::chrono::seconds(static_cast<int64_t>(kMaxShelvedS));
  if (until && (*until <= now || *until > latest)) {
    body.refuse("until",
                fmt::format("{}: expected a time after now and at most {}", to_rfc3339(*until), to_rfc3339(latest)));
  }
  if (auto refused = body.problem()) return std::move(*refused);
  schema::AlarmShelvedT event;
  event.until_us = to_unix_us(*until);
  event.reason = reason.value_or("");
  return write_of(context, request, *alarm, std::move(event));
}

WriteDecision unshelve_alarm(const RouteContext& context, const RouteRequest& request) {
  const auto alarm = alarm_of_path(context, request);
  if (!alarm) return alarm.error();
  BodyReader body(request.http);
  const auto reason = body.text("reason", {.max_bytes = 500});
  if (auto refused = body.problem()) return std::move(*refused);
  if (alarm->shelved_until_us == 0) return write_of(*alarm);
  schema::AlarmShelvedT event;
  event.reason = reason.value_or("");
  return write_of(context, request, *alarm, std::move(event));
}

}  // namespace millrace
