// SPDX-License-Identifier: Apache-2.0
#include "web/edge/api_document.h"

#include <fmt/format.h>

#include <map>

#include "bus/json_writer.h"
#include "web/edge/access/access_routes.h"
#include "web/edge/access/route_access.h"
#include "web/edge/print_logger/older_errors.h"
#include "web/edge/print_logger/print_logger_routes.h"

namespace millrace {
namespace {

void write_parameter(JsonWriter& json, std::string_view in, const Parameter& parameter) {
  json.object().field("name", parameter.name).field("in", in).field("required", in == "path");
  json.field("description", parameter.description).key("schema").raw(parameter.schema).end();
}

void write_parameters(JsonWriter& json, const Route& route) {
  json.key("parameters").array();
  std::string_view rest = route.pattern;
  for (size_t open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
    const size_t close = rest.find('}');
    const std::string_view name = rest.substr(open + 1, close - open - 1);
    write_parameter(json, "path", {name, R"({"type":"string"})", ""});
    rest.remove_prefix(close + 1);
  }
  for (const Parameter& parameter : route.parameters) write_parameter(json, "query", parameter);
  if (route.of_views) {
    write_parameter(json, "query",
                    {"min_position", R"({"type":"integer","minimum":0})",
                     "Wait at most 2 s until the views have this position, else 503 view_behind; also as the header "
                     "Millrace-Min-Position"});
  }
  json.end();
}

// Any of the three ways to show a key, or nothing at all.
void write_security(JsonWriter& json, const Route& route) {
  const Needs needs = needs_of(route);
  json.key("security").array();
  if (needs != Needs::kNothing) {
    for (const char* way : {"key", "bearer", "session"}) json.object().key(way).array().end().end();
  }
  json.end().field("x-millrace-scope", name_of(needs));
}

void write_content(JsonWriter& json, std::string_view type, std::string_view schema) {
  json.key("content").object().key(type).object().key("schema");
  schema.empty() ? json.raw(R"({"type":"string"})")
                 : json.raw(fmt::format(R"({{"$ref":"#/components/schemas/{}"}})", schema));
  json.end().end();
}

void write_answers(JsonWriter& json, const Route& route) {
  json.key("responses").object();
  if (route.runs_on == RunsOn::kSocket) {
    json.key("101").object().field("description", "The WebSocket is open");
    write_content(json, "application/json", route.answer);
    json.end();
  } else {
    if (route.runs_on == RunsOn::kWrite) {
      json.key("202").object().field("description", "Recorded; the views do not show it yet").end();
    }
    json.key("200").object().field("description", route.summary);
    write_content(json, route.answer.empty() ? "text/plain" : "application/json", route.answer);
    json.end();
  }
  json.key("default").object().field("description", "An error with a stable code");
  is_older_surface(route.pattern) ? write_content(json, "application/json", "OlderError")
                                  : write_content(json, "application/problem+json", "Problem");
  json.end().end();
}

}  // namespace

std::string openapi_json(std::string_view version) {
  std::map<std::string_view, std::vector<const Route*>> paths;
  for (const Route& route : routes()) paths[route.pattern].push_back(&route);
  JsonWriter json;
  json.object().field("openapi", "3.1.0");
  json.key("info").object().field("title", "Millrace").field("version", version).end();
  json.key("paths").object();
  for (const auto& [pattern, here] : paths) {
    json.key(pattern).object();
    for (const Route* route : here) {
      std::string method(route->method);
      for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
      json.key(method).object().field("operationId", route->operation).field("summary", route->summary);
      write_parameters(json, *route);
      write_security(json, *route);
      if (!route->body.empty()) {
        json.key("requestBody").object();
        write_content(json, "application/json", route->body);
        json.end();
      }
      write_answers(json, *route);
      json.end();
    }
    json.end();
  }
  json.end().key("components").object().key("schemas").object();
  for (const auto& [name, schema] : api_schemas()) json.key(name).raw(schema);
  for (const auto& [name, schema] : safety_schemas()) json.key(name).raw(schema);
  for (const auto& [name, schema] : print_logger_schemas()) json.key(name).raw(schema);
  for (const auto& [name, schema] : access_schemas()) json.key(name).raw(schema);
  json.end().key("securitySchemes").object();
  json.key("key").raw(R"({"type":"apiKey","in":"header","name":"X-API-Key"})");
  json.key("bearer").raw(R"({"type":"http","scheme":"bearer"})");
  json.key("session").raw(R"({"type":"apiKey","in":"cookie","name":"millrace_session"})");
  json.end().end().end();
  return json.take();
}

HttpResponse answer_openapi(const RouteContext& context, const RouteRequest&) {
  HttpResponse response;
  response.body = openapi_json(context.options.version);
  return response;
}

}  // namespace millrace
