// SPDX-License-Identifier: Apache-2.0
// The simulator's own paths, for tests and demonstrations; from this computer only.
#include <fmt/format.h>

#include "bus/json_writer.h"
#include "producers/simulator/service.h"

namespace millrace {
namespace {

bool from_here(const HttpRequest& request) {
  return request.remote.starts_with("127.") || request.remote.starts_with("[::1]");
}

}  // namespace

bool SimulatedService::on_http(const HttpRequest& request, const Responder& respond) {
  if (!request.path.starts_with("/sim/")) return false;
  respond(moonraker_http_response(
      from_here(request) ? control(request) : MoonrakerAnswer(MoonrakerError{403, "Only from this computer"})));
  return true;
}

MoonrakerAnswer SimulatedService::control(const HttpRequest& request) {
  if (request.path == "/sim/state" && request.method == "GET") {
    JsonWriter json;
    json.object().field("behaviour", host_.behaviour()).field("simulated_s", host_.now());
    json.field("klippy_state", klippy_state()).field("print_state", name_of(host_.state().print));
    json.field("filename", host_.state().filename).field("connections", static_cast<int64_t>(front_.connections()));
    json.end();
    return json.take();
  }
  if (request.method != "POST") return MoonrakerError{405, "Method Not Allowed"};
  if (request.path == "/sim/toggle") return toggle();
  if (request.path == "/sim/event") {
    const std::string kind(request.query_value("kind").value_or(""));
    const auto incident = parse_incident(kind);
    if (!incident) return MoonrakerError{400, fmt::format("kind \"{}\" is none of {}", kind, behaviour_names())};
    catch_up();
    if (!host_.force(*incident)) return MoonrakerError{409, fmt::format("{} cannot happen now", kind)};
    // Moonraker's own end comes after the answer.
    soon_timer_.start(Micros{0}, [this] { publish(); });
    return std::string("\"ok\"");
  }
  if (request.path == "/sim/behaviour") {
    const std::string name(request.query_value("name").value_or(""));
    if (!is_behaviour(name))
      return MoonrakerError{400, fmt::format("name \"{}\" is none of {}", name, behaviour_names())};
    host_.set_behaviour(name);
    return std::string("\"ok\"");
  }
  return MoonrakerError{404, "Not Found"};
}

}  // namespace millrace
