// SPDX-License-Identifier: Apache-2.0
// The older KlipperIWC's routes, beside /api/jobs, which another older system has too.  Errors are {"detail": "..."}.
#include <fmt/format.h>

#include "web/edge/klipperiwc_json.h"
#include "web/edge/print_logger/older_errors.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

// The one that ?machine= names, the first one otherwise.
template <class Write>
HttpResponse answer_of_machine(const RouteContext& context, const RouteRequest& request, const Write& write) {
  const std::string id = text_in(request.http, "machine");
  const schema::MachineViewT* machine = context.live->machine_or_first(id);
  if (machine == nullptr && id.empty()) return older_error(404, "there is no machine yet");
  if (machine == nullptr) return older_error(404, fmt::format("there is no machine '{}'", id));
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

HttpResponse answer_klipperiwc_temperatures(const RouteContext& context, const RouteRequest& request) {
  return answer_of_machine(context, request, write_klipperiwc_temperatures);
}

}  // namespace millrace
