// SPDX-License-Identifier: Apache-2.0
#include "web/edge/print_logger/older_errors.h"

#include <algorithm>
#include <array>
#include <string>

#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr std::array<std::string_view, 7> kOlderPaths = {"/api/status",   "/api/jobs",        "/api/temperatures",
                                                         "/api/printers", "/api/maintenance", "/api/analytics",
                                                         "/api/admin"};

struct Named {
  std::string_view where = "body";
  std::string_view name;
};

std::string_view quoted_after(std::string_view text, std::string_view start) {
  if (!text.starts_with(start)) return {};
  text.remove_prefix(start.size());
  return text.substr(0, text.find('\''));
}

// What our own texts begin with: "field 'x': ...", "query parameter 'x' ...", "x='1': ...".
Named named_in(std::string_view text) {
  if (const auto name = quoted_after(text, "field '"); !name.empty()) return {"body", name};
  if (const auto name = quoted_after(text, "query parameter '"); !name.empty()) return {"query", name};
  const size_t value = text.find("='");
  if (value != std::string_view::npos && text.find(' ') > value) return {"query", text.substr(0, value)};
  return {};
}

// Their clients compare these texts.
std::string_view older_401(std::string_view code) {
  if (code == "key_expired") return "API key expired";
  return code == "key_invalid" ? "Invalid API key" : "Missing API key";
}

}  // namespace

bool is_older_surface(std::string_view path) {
  return path == "/health" || std::any_of(kOlderPaths.begin(), kOlderPaths.end(), [&](std::string_view older) {
           return path.starts_with(older) && (path.size() == older.size() || path[older.size()] == '/');
         });
}

HttpResponse older_error(int status, std::string_view text) {
  JsonWriter json;
  json.object().field("detail", text).end();
  HttpResponse response;
  response.status = status;
  response.body = json.take();
  return response;
}

HttpResponse older_invalid(std::string_view where, std::string_view name, std::string_view text) {
  JsonWriter json;
  json.object().key("detail").array().object().field("type", "value_error").key("loc").array().value(where);
  if (!name.empty()) json.value(name);
  json.end().field("msg", text).end().end().end();
  HttpResponse response;
  response.status = 422;
  response.body = json.take();
  return response;
}

HttpResponse in_older_words(HttpResponse response, std::span<const RenamedField> names) {
  if (response.content_type != "application/problem+json") return response;
  JsonReader reader;
  const auto problem = reader.parse(response.body);
  const std::string text(problem ? text_member(*problem, "detail").value_or("") : "");
  HttpResponse older;
  if (response.status == 400 || response.status == 415) {
    Named named = named_in(text);
    std::string shown = text;
    for (const RenamedField& field : names) {
      if (named.where != "body" || named.name != field.current) continue;
      named.name = field.older;
      shown.replace(shown.find(field.current), field.current.size(), field.older);
      break;
    }
    older = older_invalid(named.where, named.name, shown);
  } else if (response.status == 401) {
    older = older_error(401, older_401(problem ? text_member(*problem, "code").value_or("") : ""));
  } else {
    older = older_error(response.status, text);
  }
  older.headers = std::move(response.headers);
  return older;
}

}  // namespace millrace
