// SPDX-License-Identifier: Apache-2.0
// Whether the process lives and works, and the shop that it serves.
#include "bus/json_writer.h"
#include "web/edge/access/access.h"
#include "web/edge/routes.h"

namespace millrace {

HttpResponse answer_live(const RouteContext&, const RouteRequest&) {
  HttpResponse response;
  response.body = R"({"live":true})";
  return response;
}

HttpResponse answer_ready(const RouteContext& context, const RouteRequest&) {
  const auto parts = context.parts.health.parts();
  bool ready = true;
  for (const auto& [name, part] : parts) ready = ready && part.ready;
  JsonWriter json;
  json.object().field("ready", ready).key("parts").object();
  for (const auto& [name, part] : parts) {
    json.key(name).object().field("ready", part.ready).field("text", part.text).end();
  }
  json.end().end();
  HttpResponse response;
  response.status = ready ? 200 : 503;
  response.body = json.take();
  return response;
}

HttpResponse answer_metrics(const RouteContext& context, const RouteRequest&) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = context.parts.metrics.text();
  return response;
}

HttpResponse answer_site(const RouteContext& context, const RouteRequest&) {
  JsonWriter json;
  json.object().field("name", context.options.site_name).field("timezone", context.options.timezone);
  json.field("version", context.options.version).field("demo", context.options.demo);
  json.field("incarnation", context.parts.log.incarnation()).field("position", context.live->position().value);
  json.field("time", to_rfc3339(context.parts.clock.wall()));
  json.field("access", context.access == nullptr || context.access->is_open() ? "open" : "keys").end();
  HttpResponse response;
  response.body = json.take();
  return response;
}

}  // namespace millrace
