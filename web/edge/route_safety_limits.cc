// SPDX-License-Identifier: Apache-2.0
// What commands may ask of each machine: read and changed here, applied by the machine's adapter.
#include <fmt/format.h>

#include "projections/machine_state.h"
#include "safety/limits.h"
#include "web/edge/body_reader.h"
#include "web/edge/problem.h"
#include "web/edge/safety_json.h"

namespace millrace {
namespace {

using schema::LimitSetT;
using OptionalNumber = std::optional<double> LimitSetT::*;

struct Bounds {
  std::string_view name;
  OptionalNumber min;
  OptionalNumber max;
};
constexpr Bounds kBounds[] = {{"x", &LimitSetT::x_min, &LimitSetT::x_max},
                              {"y", &LimitSetT::y_min, &LimitSetT::y_max},
                              {"z", &LimitSetT::z_min, &LimitSetT::z_max},
                              {"pwm", &LimitSetT::pwm_min, &LimitSetT::pwm_max},
                              {"fan", &LimitSetT::fan_min, &LimitSetT::fan_max},
                              {"feedrate", &LimitSetT::feedrate_min, &LimitSetT::feedrate_max}};

HttpResponse limits_response(const schema::SafetyViewT& view) {
  JsonWriter json;
  write_machine_limits(json, view);
  HttpResponse response;
  response.body = json.take();
  return response;
}

void take_limits(BodyReader& body, LimitSetT& limits) {
  for (const LimitField& field : limit_fields()) {
    if (body.is_null(field.name)) (limits.*field.member).reset();
    if (const auto number = body.number(field.name, field.least, field.most)) limits.*field.member = number;
  }
  if (body.is_null("require_plate_cleared")) limits.require_plate_cleared.reset();
  if (const auto flag = body.flag("require_plate_cleared")) limits.require_plate_cleared = flag;
  for (const auto& [name, min, max] : kBounds) {
    if (!(limits.*min) || !(limits.*max) || *(limits.*min) < *(limits.*max)) continue;
    body.refuse(fmt::format("{}_max", name),
                fmt::format("{} is not above {}_min, which is {}", *(limits.*max), name, *(limits.*min)));
  }
}

// `limits` is what stays where the body says nothing.
WriteDecision decide(const RouteContext& context, const RouteRequest& request, const schema::SafetyViewT& before,
                     LimitSetT limits) {
  BodyReader body(request.http);
  take_limits(body, limits);
  const auto reason = body.text("reason", {.max_bytes = 500});
  if (auto refused = body.problem()) return std::move(*refused);
  // With the defaults for what is not set, and the hard bounds of the guard.
  if (auto good = check_limit_set(limits); !good) return api_problem(400, "invalid_field", good.error().context);
  EdgeWrite write;
  const LimitSetT previous = before.limits ? *before.limits : LimitSetT{};
  if (!same_limits(limits, previous)) {
    schema::LimitsChangedT event;
    event.limits = std::make_unique<LimitSetT>(limits);
    event.previous = std::make_unique<LimitSetT>(previous);
    event.reason = reason.value_or("");
    write.events.push_back(draft_of(std::move(event), before.machine, context.parts.clock.wall()));
    write.events.back().actor = request.actor;
  }
  // 202 until the adapter works by them; GET tells when it does.
  write.answer = [machine = before.machine](const RouteContext& after) {
    const auto view = find_safety(*after.parts.store.reader(), machine);
    if (!view) return api_problem_from(view.error());
    HttpResponse response = limits_response(*view);
    response.status = limits_hold(*view) ? 200 : 202;
    return response;
  };
  return write;
}

}  // namespace

HttpResponse answer_safety_limits(const RouteContext& context, const RouteRequest&) {
  const auto reader = context.parts.store.reader();
  const auto machines = read_machines(*reader);
  if (!machines) return api_problem_from(machines.error());
  auto safety = read_safety(*reader);
  if (!safety) return api_problem_from(safety.error());
  JsonWriter json;
  json.object().key("items").array();
  uint64_t total = 0;
  for (const auto& [id, machine] : *machines) {
    if (machine.removed) continue;
    schema::SafetyViewT& view = (*safety)[id];
    view.machine = id;
    write_machine_limits(json, view);
    ++total;
  }
  json.end().key("next_cursor").null().field("total", total).end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_machine_limits(const RouteContext& context, const RouteRequest& request) {
  const auto machine = known_machine(context, request.path.at("machine"));
  if (!machine) return machine.error();
  const auto view = find_safety(*context.parts.store.reader(), *machine);
  return view ? limits_response(*view) : api_problem_from(view.error());
}

WriteDecision replace_machine_limits(const RouteContext& context, const RouteRequest& request) {
  const auto machine = known_machine(context, request.path.at("machine"));
  if (!machine) return machine.error();
  const auto view = find_safety(*context.parts.store.reader(), *machine);
  if (!view) return api_problem_from(view.error());
  return decide(context, request, *view, {});
}

WriteDecision change_machine_limits(const RouteContext& context, const RouteRequest& request) {
  const auto machine = known_machine(context, request.path.at("machine"));
  if (!machine) return machine.error();
  const auto view = find_safety(*context.parts.store.reader(), *machine);
  if (!view) return api_problem_from(view.error());
  return decide(context, request, *view, view->limits ? *view->limits : LimitSetT{});
}

}  // namespace millrace
