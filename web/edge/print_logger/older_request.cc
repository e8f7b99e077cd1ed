// SPDX-License-Identifier: Apache-2.0
#include "web/edge/print_logger/older_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "projections/machine_state.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

constexpr uint64_t kMaxPage = 100;
constexpr uint64_t kMaxOffset = 1'000'000'000;
constexpr size_t kMaxQuoted = 100;

std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

HttpResponse wrong(std::string_view name, std::string_view value, std::string_view expected) {
  return older_invalid("query", name, fmt::format("{}='{}': expected {}", name, value.substr(0, kMaxQuoted), expected));
}

std::string_view word_for(OrdinalClass of) {
  switch (of) {
    case OrdinalClass::kMachine:
      return "printer";
    case OrdinalClass::kJob:
      return "job";
    case OrdinalClass::kMaintenanceRecord:
      return "maintenance record";
  }
  return "";
}

HttpResponse nothing_with(OrdinalClass of, std::string_view number) {
  return older_error(404, fmt::format("there is no {} with the id {}", word_for(of), number.substr(0, kMaxQuoted)));
}

}  // namespace

OrRefusal<OlderPage> older_page_in(const HttpRequest& request) {
  const auto limit = older_number_between(request, "limit", 1, kMaxPage, OlderPage{}.limit);
  const auto offset = older_number_between(request, "offset", 0, kMaxOffset, 0);
  if (!limit) return limit.error();
  if (!offset) return offset.error();
  return OlderPage{static_cast<size_t>(*limit), static_cast<size_t>(*offset)};
}

void end_older_page(JsonWriter& json, const OlderPage& page, uint64_t total) {
  json.field("total", total).field("limit", static_cast<uint64_t>(page.limit));
  json.field("offset", static_cast<uint64_t>(page.offset)).field("has_more", page.offset + page.limit < total).end();
}

OrRefusal<uint64_t> older_number_between(const HttpRequest& request, std::string_view name, uint64_t least,
                                         uint64_t most, uint64_t absent) {
  const auto text = request.query_value(name);
  if (!text) return {boost::system::in_place_value, absent};
  const auto number = whole_number(*text);
  if (!number || *number < least || *number > most) {
    return wrong(name, *text, fmt::format("a whole number from {} to {}", least, most));
  }
  return {boost::system::in_place_value, *number};
}

OrRefusal<std::optional<uint64_t>> older_number_in(const HttpRequest& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::optional<uint64_t>{};
  const auto number = whole_number(*text);
  if (!number) return wrong(name, *text, "a whole number");
  return number;
}

OrRefusal<std::optional<bool>> older_flag_in(const HttpRequest& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::optional<bool>{};
  for (const std::string_view word : {"true", "True", "1"}) {
    if (word == *text) return std::optional(true);
  }
  for (const std::string_view word : {"false", "False", "0"}) {
    if (word == *text) return std::optional(false);
  }
  return wrong(name, *text, "true or false");
}

OrRefusal<std::optional<WallTime>> older_time_in(const HttpRequest& request, std::string_view name) {
  const auto text = request.query_value(name);
  if (!text) return std::optional<WallTime>{};
  const auto time = parse_older_time(*text);
  if (!time) return wrong(name, *text, "a time as in 2026-11-21T03:14:00Z");
  return time;
}

std::optional<WallTime> parse_older_time(std::string_view text) {
  constexpr size_t kDate = 10;     // "2026-11-21"
  constexpr size_t kMinutes = 16;  // "2026-11-21T03:14"
  if (const auto time = parse_rfc3339(text)) return time;
  std::string whole(text);
  if (whole.size() == kDate) whole += "T00:00";
  if (whole.size() > kDate && whole[kDate] == ' ') whole[kDate] = 'T';
  if (whole.size() == kMinutes) whole += ":00";
  if (const auto time = parse_rfc3339(whole)) return time;
  return parse_rfc3339(whole + "Z");
}

OrRefusal<std::string> older_id_in(const ViewReader& reader, const RouteRequest& request, OrdinalClass of) {
  const std::string& text = request.path.at("id");
  const auto number = whole_number(text);
  if (!number) {
    return older_invalid("path", "id", fmt::format("'{}': expected a whole number", text.substr(0, kMaxQuoted)));
  }
  const auto id = id_of_ordinal(reader, of, *number);
  if (!id) return in_older_words(api_problem_from(id.error()));
  if (!*id) return nothing_with(of, text);
  return **id;
}

OrRefusal<schema::MachineViewT> older_printer_in(const ViewReader& reader, const RouteRequest& request) {
  const auto id = older_id_in(reader, request, OrdinalClass::kMachine);
  if (!id) return id.error();
  auto machine = find_machine(reader, *id);
  if (!machine) return in_older_words(api_problem_from(machine.error()));
  if (!*machine || (**machine).removed || (**machine).kind != "printer") {
    return nothing_with(OrdinalClass::kMachine, request.path.at("id"));
  }
  return std::move(**machine);
}

OrRefusal<uint64_t> older_number_of(const ViewReader& reader, OrdinalClass of, std::string_view id) {
  const auto number = ordinal_of(reader, of, id);
  if (!number) return in_older_words(api_problem_from(number.error()));
  return {boost::system::in_place_value, number->value_or(0)};
}

OrRefusal<HttpRequest> in_current_words(const HttpRequest& request, const OlderBody& body) {
  HttpRequest current = request;
  JsonReader reader(1u << 20, 16);
  const auto root = reader.parse(request.body.empty() ? "{}" : request.body);
  simdjson::dom::object object;
  if (!root || root->get_object().get(object) != simdjson::SUCCESS) return current;
  std::set<std::string_view> said;
  JsonWriter json;
  json.object();
  for (const auto [name, value] : object) {
    said.insert(name);
    if (std::find(body.shown_only.begin(), body.shown_only.end(), name) != body.shown_only.end()) continue;
    const auto field =
        std::find_if(body.fields.begin(), body.fields.end(),
                     [wanted = std::string_view(name)](const RenamedField& each) { return each.older == wanted; });
    if (field == body.fields.end()) {
      std::string known;
      for (const RenamedField& each : body.fields) known += fmt::format("{}{}", known.empty() ? "" : ", ", each.older);
      const std::string_view shown = std::string_view(name).substr(0, kMaxQuoted);
      return older_invalid("body", shown, fmt::format("field '{}': is not known here, expected {}", shown, known));
    }
    const auto changed = body.value ? body.value(name, value) : std::nullopt;
    json.key(field->current).raw(changed ? *changed : to_text(value));
  }
  for (const auto& [name, value] : body.defaults) {
    if (said.contains(name)) continue;
    for (const RenamedField& field : body.fields) {
      if (field.older == name) json.key(field.current).raw(value);
    }
  }
  json.end();
  current.body = json.take();
  if (request.body.empty()) current.headers.emplace_back("content-type", "application/json");
  return current;
}

WriteDecision older_decision(WriteDecision decision, std::span<const RenamedField> names,
                             std::function<HttpResponse(const RouteContext&)> answer) {
  if (!decision) return in_older_words(decision.error(), names);
  decision->answer = [ours = std::move(decision->answer), answer = std::move(answer)](const RouteContext& context) {
    HttpResponse response = ours(context);
    if (response.status >= 300) return in_older_words(std::move(response));
    if (answer) return answer(context);
    response = {};
    response.status = 204;
    response.content_type.clear();
    return response;
  };
  return decision;
}

HttpResponse json_answer(JsonWriter& json, int status) {
  HttpResponse response;
  response.status = status;
  response.body = json.take();
  return response;
}

}  // namespace millrace
