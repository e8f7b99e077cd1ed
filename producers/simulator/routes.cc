// SPDX-License-Identifier: Apache-2.0
#include "producers/simulator/routes.h"

#include <algorithm>
#include <charconv>

#include "bus/json_writer.h"

namespace millrace {
namespace {

// Paths whose method has another name.
struct Renamed {
  std::string_view verb;
  std::string_view path;
  std::string_view method;
};
constexpr Renamed kRenamed[] = {
    {"GET", "/server/history/job", "server.history.get_job"},
    {"DELETE", "/server/history/job", "server.history.delete_job"},
    {"GET", "/server/files/directory", "server.files.get_directory"},
};

constexpr std::string_view kPostOnly[] = {
    "printer.print.start",  "printer.print.pause", "printer.print.resume",     "printer.print.cancel",
    "printer.gcode.script", "printer.restart",     "printer.firmware_restart", "printer.emergency_stop",
    "server.restart",       "machine.reboot",      "machine.shutdown",         "printer.objects.subscribe",
};
constexpr std::string_view kEitherVerb[] = {"printer.objects.query"};

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

bool could_be_method(std::string_view path) {
  return path.size() > 1 && std::all_of(path.begin() + 1, path.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '/';
         });
}

void write_objects(JsonWriter& json, const HttpRequest& request) {
  json.key("objects").object();
  for (const auto& [name, fields] : request.query) {
    if (name == "connection_id" || name == "token") continue;
    json.key(name);
    if (fields.empty()) {
      json.null();
      continue;
    }
    json.array();
    for (std::string_view rest = fields; !rest.empty();) {
      const size_t comma = std::min(rest.find(','), rest.size());
      if (comma > 0) json.value(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    json.end();
  }
  json.end();
}

// The members of a JSON body; a body that is not a JSON object counts as empty, as Moonraker does it.
bool write_body(JsonWriter& json, const std::string& body) {
  if (body.empty()) return false;
  JsonReader reader;
  const auto root = reader.parse(body);
  if (!root || root->type() != simdjson::dom::element_type::OBJECT) return false;
  bool has_objects = false;
  for (const auto [name, value] : simdjson::dom::object(*root)) {
    has_objects = has_objects || name == "objects";
    json.key(name).raw(to_text(value));
  }
  return has_objects;
}

}  // namespace

boost::system::result<HttpRoute, MoonrakerError> route_http(const HttpRequest& request) {
  HttpRoute route;
  for (const Renamed& renamed : kRenamed) {
    if (renamed.verb == request.method && renamed.path == request.path) route.method = renamed.method;
  }
  const bool is_renamed = !route.method.empty();
  if (!is_renamed) {
    if (!could_be_method(request.path)) return MoonrakerError{404, "Not Found"};
    route.method = request.path.substr(1);
    std::replace(route.method.begin(), route.method.end(), '/', '.');
    const bool post = contains(kPostOnly, route.method);
    const bool fits =
        request.method == (post ? "POST" : "GET") || (contains(kEitherVerb, route.method) && request.method == "POST");
    if (!fits) return MoonrakerError{405, "Method Not Allowed"};
  }
  const bool takes_objects = route.method == "printer.objects.query" || route.method == "printer.objects.subscribe";
  JsonWriter json;
  json.object();
  const bool has_objects = write_body(json, request.body);
  if (takes_objects) {
    if (!has_objects) write_objects(json, request);
  } else {
    for (const auto& [name, value] : request.query) json.field(name, value);
  }
  json.end();
  route.params = json.take();
  if (const auto connection = request.query_value("connection_id")) {
    std::from_chars(connection->data(), connection->data() + connection->size(), route.connection);
  }
  return route;
}

}  // namespace millrace
