// SPDX-License-Identifier: Apache-2.0
// The simulator's own paths, for tests and demonstrations; from this computer only.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <climits>
#include <ctime>

#include "bus/json_writer.h"
#include "producers/simulator/gcode_text.h"
#include "producers/simulator/service.h"

namespace millrace {
namespace {

constexpr std::string_view kGcodesPath = "/server/files/gcodes/";

// "Sat, 21 Nov 2026 20:23:00 GMT"
std::string http_date(double unix_s) {
  const std::time_t seconds = static_cast<std::time_t>(unix_s);
  return fmt::format("{:%a, %d %b %Y %H:%M:%S GMT}", fmt::gmtime(seconds));
}

// "bytes=10-19" -> 10 and 10 bytes; nullopt for anything else.
std::optional<std::pair<uint64_t, uint64_t>> range_in(std::string_view text) {
  if (!text.starts_with("bytes=")) return std::nullopt;
  text.remove_prefix(6);
  const size_t dash = text.find('-');
  uint64_t first = 0, last = 0;
  if (dash == std::string_view::npos ||
      std::from_chars(text.data(), text.data() + dash, first).ptr != text.data() + dash ||
      std::from_chars(text.data() + dash + 1, text.data() + text.size(), last).ptr != text.data() + text.size() ||
      last < first) {
    return std::nullopt;
  }
  return std::pair(first, last - first + 1);
}

HttpResponse file_part(const SimulatedFile& file, const HttpRequest& request) {
  HttpResponse response;
  response.content_type = "application/octet-stream";
  response.headers.emplace_back("Last-Modified", http_date(file.modified));
  const auto range = range_in(request.header("range").value_or(""));
  const auto size = static_cast<uint64_t>(file.size);
  if (!range) {
    response.body = gcode_bytes(file, 0, size);
    return response;
  }
  if (range->first >= size) {
    response.status = 416;
    response.headers.emplace_back("Content-Range", fmt::format("bytes */{}", size));
    return response;
  }
  response.status = 206;
  response.body = gcode_bytes(file, range->first, range->second);
  response.headers.emplace_back(
      "Content-Range", fmt::format("bytes {}-{}/{}", range->first, range->first + response.body.size() - 1, size));
  return response;
}

std::optional<int64_t> whole_number(std::string_view text) {
  int64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number).ptr;
  if (text.empty() || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

bool from_here(const HttpRequest& request) {
  return request.remote.starts_with("127.") || request.remote.starts_with("[::1]");
}

}  // namespace

bool SimulatedService::on_http(const HttpRequest& request, const Responder& respond) {
  if (!request.path.starts_with("/sim/")) {
    if (request.path.starts_with(kGcodesPath)) {
      if (const auto failing = failure_of(request.path)) {
        if (*failing != 0) respond(moonraker_http_response(MoonrakerAnswer(MoonrakerError{*failing, "It fails"})));
        return true;
      }
    }
    if (const auto answer = access(request)) {
      respond(moonraker_http_response(*answer));
      return true;
    }
    if (!request.path.starts_with(kGcodesPath) || request.method != "GET") return false;
    const SimulatedFile* file = host_.find_file(std::string_view(request.path).substr(kGcodesPath.size()));
    respond(file == nullptr ? moonraker_http_response(MoonrakerAnswer(MoonrakerError{404, "Not Found"}))
                            : file_part(*file, request));
    return true;
  }
  respond(moonraker_http_response(
      from_here(request) ? control(request) : MoonrakerAnswer(MoonrakerError{403, "Only from this computer"})));
  return true;
}

MoonrakerAnswer SimulatedService::control(const HttpRequest& request) {
  if (request.path == "/sim/scripts" && request.method == "GET") {
    JsonWriter json;
    json.array();
    for (const NotedScript& script : scripts_) {
      json.object().field("script", script.text).field("received_at_us", to_unix_us(script.received_at)).end();
    }
    json.end();
    return json.take();
  }
  if (request.path == "/sim/state" && request.method == "GET") {
    JsonWriter json;
    json.object().field("behaviour", host_.behaviour()).field("simulated_s", host_.now());
    json.field("klippy_state", klippy_state()).field("print_state", name_of(host_.state().print));
    json.field("filename", host_.state().filename).field("connections", static_cast<int64_t>(front_.connections()));
    json.field("emergency_stops", emergency_stops_).field("emergency_stop_at_us", to_unix_us(emergency_stop_at_));
    json.end();
    return json.take();
  }
  if (request.path == "/sim/calls" && request.method == "GET") {
    JsonWriter json;
    json.object();
    for (const auto& [method, count] : calls_) json.field(method, count);
    json.end();
    return json.take();
  }
  if (request.method != "POST") return MoonrakerError{405, "Method Not Allowed"};
  if (request.path == "/sim/fail") return order_failures(request);
  if (request.path == "/sim/disk") {
    const auto free = whole_number(request.query_value("free").value_or(""));
    if (!free || *free > kDiskTotal) return MoonrakerError{400, fmt::format("free: 0 to {} bytes", kDiskTotal)};
    disk_free_ = *free;
    return std::string("\"ok\"");
  }
  if (request.path == "/sim/toggle") return toggle();
  if (request.path == "/sim/drop") {
    front_.drop_all();
    subscriptions_.clear();
    return std::string("\"ok\"");
  }
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

MoonrakerAnswer SimulatedService::order_failures(const HttpRequest& request) {
  Failures ordered;
  ordered.method = std::string(request.query_value("method").value_or(""));
  const auto times = whole_number(request.query_value("times").value_or(""));
  const auto code = whole_number(request.query_value("code").value_or("0"));
  if (ordered.method.empty() || !times || *times > INT_MAX || !code || (*code != 0 && (*code < 400 || *code > 599))) {
    return MoonrakerError{400, "expected method, times and, unless there shall be no answer, a code from 400 to 599"};
  }
  ordered.times = static_cast<int>(*times);
  ordered.code = static_cast<int>(*code);
  std::erase_if(failures_, [&](const Failures& other) { return other.method == ordered.method; });
  failures_.push_back(std::move(ordered));
  return std::string("\"ok\"");
}

std::optional<int> SimulatedService::failure_of(std::string_view method) {
  if (calls_.size() < kMaxCountedMethods || calls_.contains(method)) ++calls_[std::string(method)];
  for (Failures& failing : failures_) {
    if (failing.method != method || failing.times == 0) continue;
    --failing.times;
    return failing.code;
  }
  return std::nullopt;
}

}  // namespace millrace
