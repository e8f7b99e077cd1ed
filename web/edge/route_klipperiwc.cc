// SPDX-License-Identifier: Apache-2.0
// The older KlipperIWC's routes.  Its errors are {"detail": "..."}.
#include <fmt/format.h>

#include "web/edge/klipperiwc_json.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

HttpResponse detail(int status, std::string_view text) {
  JsonWriter json;
  json.object().field("detail", text).end();
  HttpResponse response;
  response.status = status;
  response.body = json.take();
  return response;
}

// The one that ?machine= names, the first one otherwise.
template <class Write>
HttpResponse answer_of_machine(const RouteContext& context, const RouteRequest& request, const Write& write) {
  const std::string id = text_in(request.http, "machine");
  const schema::MachineViewT* machine = context.live->machine_or_first(id);
  if (machine == nullptr && id.empty()) return detail(404, "there is no machine yet");
  if (machine == nullptr) return detail(404, fmt::format("there is no machine '{}'", id));
  JsonWriter json;
  write(json, *machine);
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace

HttpResponse answer_klipperiwc_status(const RouteContext& context, const RouteRequest& request) {
  return answer_of_machine(context, request, [&](JsonWriter& json, const schema::MachineViewT& machine) {
    write_klipperiwc_status(json, machine, shown_at(context));
  });
}

HttpResponse answer_klipperiwc_jobs(const RouteContext& context, const RouteRequest& request) {
  return answer_of_machine(context, request, [&](JsonWriter& json, const schema::MachineViewT& machine) {
    write_klipperiwc_jobs(json, machine, shown_at(context));
  });
}

HttpResponse answer_klipperiwc_temperatures(const RouteContext& context, const RouteRequest& request) {
  return answer_of_machine(context, request, write_klipperiwc_temperatures);
}

}  // namespace millrace
