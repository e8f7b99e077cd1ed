// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "web/edge/problem.h"
#include "web/edge/routes.h"

namespace millrace {

HttpResponse answer_machines(const RouteContext& context, const RouteRequest&) {
  JsonWriter json;
  const auto& machines = context.live->machines();
  json.object().key("items").array();
  for (const auto& [id, machine] : machines)
    write_machine(json, machine, context.live->safety_of(id), shown_at(context));
  json.end().key("next_cursor").null().field("total", static_cast<uint64_t>(machines.size())).end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

HttpResponse answer_machine(const RouteContext& context, const RouteRequest& request) {
  const std::string& id = request.path.at("id");
  const auto found = context.live->machines().find(id);
  if (found == context.live->machines().end()) {
    return machine_not_found(id);
  }
  JsonWriter json;
  write_machine(json, found->second, context.live->safety_of(id), shown_at(context));
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace millrace
