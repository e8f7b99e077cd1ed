// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "bus/event_json.h"
#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

constexpr size_t kMaxScannedPerPage = 50'000;

std::optional<uint64_t> parse_position(std::string_view text) {
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

struct EventQuery {
  Position after;
  size_t limit = kDefaultLimit;
  EventFilter filter;
};

Result<void> add_types(const HttpRequest& request, EventFilter& filter) {
  for (const std::string& name : texts_in(request, "type")) {
    const auto type = event_type_from(name);
    if (!type || *type == EventType::NONE) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("type='{}': expected an event type, for example JobStarted", name));
    }
    filter.types.insert(*type);
  }
  return {};
}

Result<EventQuery> query_in(const RouteContext& context, const HttpRequest& request) {
  EventQuery query;
  const auto limit = limit_in(request);
  const auto machine = machine_in(request);
  const auto after = number_in(request, "after");
  const auto from = time_in(request, "from");
  const auto to = time_in(request, "to");
  const auto place = place_in(request, context.parts.log.incarnation());
  if (!limit) return limit.error();
  if (!machine) return machine.error();
  if (!after) return after.error();
  if (!from) return from.error();
  if (!to) return to.error();
  if (!place) return place.error();
  if (auto types = add_types(request, query.filter); !types) return types.error();
  query.limit = *limit;
  query.filter.machine = *machine;
  query.filter.from = *from;
  query.filter.to = *to;
  query.after = Position{after->value_or(0)};
  if (!place->empty()) {
    const auto cursor = parse_position(*place);
    if (!cursor) return make_error(Errc::kInvalidArgument, "cursor: expected the next_cursor of an earlier answer");
    query.after = std::max(query.after, Position{*cursor});
  }
  if (*from) {
    // Recorded time never goes back in the log, so everything before the first match is skipped.
    const auto first = context.parts.log.first_at(**from);
    if (!first) return first.error();
    query.after = std::max(query.after, Position{first->value - 1});
  }
  return query;
}

// What concerns limits, rules, alarms, stops and refusals.
bool concerns_safety(EventType type) {
  switch (type) {
    case EventType::CommandRejected:
    case EventType::EmergencyStopped:
    case EventType::EmergencyLatched:
    case EventType::EmergencyReset:
    case EventType::PlateCleared:
    case EventType::LimitsChanged:
    case EventType::LimitsApplied:
    case EventType::SafetyRuleChanged:
    case EventType::AlarmRaised:
    case EventType::AlarmCleared:
    case EventType::AlarmAcknowledged:
    case EventType::AlarmShelved:
    case EventType::AlarmEscalated:
      return true;
    default:
      return false;
  }
}

// The types that were asked for must concern safety; all that do where none was.
Result<void> narrow_to_safety(EventFilter& filter) {
  for (const EventType type : filter.types) {
    if (concerns_safety(type)) continue;
    return make_error(Errc::kInvalidArgument,
                      fmt::format("type='{}': no event of safety; GET /api/v1/events has all", name_of(type)));
  }
  if (!filter.types.empty()) return {};
  for (int type = 0; type <= static_cast<int>(EventType::MAX); ++type) {
    if (concerns_safety(static_cast<EventType>(type))) filter.types.insert(static_cast<EventType>(type));
  }
  return {};
}

HttpResponse page_of(const RouteContext& context, const Result<EventQuery>& query) {
  if (!query) return api_problem_from(query.error());
  const auto read =
      context.parts.log.read(query->after, {.events = query->limit, .scanned = kMaxScannedPerPage}, query->filter);
  if (!read) return api_problem_from(read.error());
  JsonWriter json;
  json.object().key("items").array();
  for (const RecordedEvent& event : read->events) json.raw(event_to_json(event));
  json.end().key("next_cursor");
  bool more = !read->at_end && read->through < context.parts.log.last();
  if (more && query->filter.to) {
    const auto first_after = context.parts.log.first_at(*query->filter.to);
    if (!first_after) return api_problem_from(first_after.error());
    more = read->through + 1 < *first_after;
  }
  more ? json.value(make_cursor(context.parts.log.incarnation(), std::to_string(read->through.value))) : json.null();
  json.key("total").null().end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace

HttpResponse answer_events(const RouteContext& context, const RouteRequest& request) {
  return page_of(context, query_in(context, request.http));
}

HttpResponse answer_safety_events(const RouteContext& context, const RouteRequest& request) {
  auto query = query_in(context, request.http);
  if (query) {
    if (auto narrowed = narrow_to_safety(query->filter); !narrowed) return api_problem_from(narrowed.error());
  }
  return page_of(context, query);
}

HttpResponse answer_event(const RouteContext& context, const RouteRequest& request) {
  const std::string& text = request.path.at("position");
  const auto position = parse_position(text);
  if (!position || *position == 0) {
    return api_problem(400, "invalid_parameter", fmt::format("position '{}': expected an integer from 1", text));
  }
  const auto event = context.parts.log.at(Position{*position});
  if (event) {
    HttpResponse response;
    response.body = event_to_json(*event);
    return response;
  }
  if (event.error().code != Errc::kNotFound) return api_problem_from(event.error());
  const Position last = context.parts.log.last();
  if (*position <= last.value) {
    return api_problem(410, "event_expired",
                       fmt::format("position {} was telemetry that is no longer kept", *position));
  }
  return api_problem(404, "event_not_found", fmt::format("position {}: the log ends at {}", *position, last.value));
}

}  // namespace millrace
