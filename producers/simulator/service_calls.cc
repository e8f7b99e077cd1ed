// SPDX-License-Identifier: Apache-2.0
// Moonraker's methods, answered by the simulated machine.
#include <fmt/format.h>

#include <algorithm>

#include "bus/json_writer.h"
#include "producers/simulator/service.h"

namespace millrace {
namespace {

constexpr size_t kDefaultGcodeCount = 1000;

MoonrakerAnswer failure(int code, std::string message) { return MoonrakerError{code, std::move(message)}; }

constexpr std::string_view kPowerDevice = "enclosure";

// Moonraker takes a list as an array or as one text with commas.
std::string names_with_commas(const Json& params, std::string_view name) {
  if (const auto text = text_member(params, name)) return std::string(*text);
  std::string names;
  const auto list = member(params, name);
  if (!list || !list->is_array()) return names;
  for (const Json item : simdjson::dom::array(*list)) {
    names.append(names.empty() ? "" : ",").append(as_text(item).value_or(""));
  }
  return names;
}

}  // namespace

void SimulatedService::call(const MoonrakerCall& call, MoonrakerReply reply) {
  if (boot_ == Boot::kAway) return reply(failure(503, "Server Shutdown"));
  note_script(call);
  if (!admits(call, reply)) return;
  if (const auto failing = failure_of(call.method)) {
    if (*failing != 0) reply(failure(*failing, "It fails"));
    return;
  }
  if (call.method.starts_with("printer.") ? printer_call(call, reply) : server_call(call, reply)) return;
  reply(failure(404, call.connection == 0 ? "Not Found" : "Method not found"));
}

// When each script came in, for whoever measures its way; the newest few.
void SimulatedService::note_script(const MoonrakerCall& call) {
  if (call.method != "printer.gcode.script") return;
  scripts_.push_back(
      {std::string(text_member(call.params, "script").value_or("").substr(0, kMaxNotedScript)), clock_.wall()});
  if (scripts_.size() > kMaxNotedScripts) scripts_.pop_front();
}

std::string SimulatedService::klippy_state() const {
  if (boot_ == Boot::kNoKlippy) return "disconnected";
  if (boot_ == Boot::kNoEndpoints) return "startup";
  return std::string(name_of(host_.state().klippy));
}

std::optional<MoonrakerError> SimulatedService::klippy_away() const {
  // Until Klipper has announced its methods, Moonraker does not know them.
  if (boot_ == Boot::kNoEndpoints || boot_ == Boot::kNoKlippy) return MoonrakerError{404, "Method not found"};
  if (host_.state().klippy == KlippyState::kDisconnected) return MoonrakerError{503, "Klippy Host not connected"};
  return std::nullopt;
}

bool SimulatedService::printer_call(const MoonrakerCall& call, const MoonrakerReply& reply) {
  const std::string_view method = call.method;
  const auto text = [&](std::string_view name) { return text_member(call.params, name); };
  static constexpr std::string_view kMethods[] = {
      "printer.info",           "printer.objects.list",         "printer.objects.query", "printer.objects.subscribe",
      "printer.gcode.script",   "printer.gcode.help",           "printer.print.start",   "printer.print.pause",
      "printer.print.resume",   "printer.print.cancel",         "printer.restart",       "printer.firmware_restart",
      "printer.emergency_stop", "printer.query_endstops.status"};
  if (std::find(std::begin(kMethods), std::end(kMethods), method) == std::end(kMethods)) return false;
  if (auto away = klippy_away()) {
    reply(std::move(*away));
  } else if (method == "printer.info") {
    reply(printer_info_answer(host_.state(), options_.name));
  } else if (method == "printer.objects.list") {
    JsonWriter json;
    json.object().key("objects").array();
    for (const StatusObject& object : render_status(host_.state())) json.value(object.name);
    json.end().end();
    reply(json.take());
  } else if (method == "printer.objects.query") {
    reply(query(call));
  } else if (method == "printer.objects.subscribe") {
    reply(subscribe(call));
  } else if (method == "printer.gcode.script") {
    const auto script = text("script");
    script ? run_script(*script, reply) : reply(failure(400, "Missing Argument [script]"));
  } else if (method == "printer.gcode.help") {
    reply(std::string(
        R"({"PAUSE":"Pauses the current print","RESUME":"Resumes the print from a pause",)"
        R"("CANCEL_PRINT":"Cancel the current print","RESTART":"Reload config file and restart host software",)"
        R"("FIRMWARE_RESTART":"Restart firmware, host, and reload config"})"));
  } else if (method == "printer.query_endstops.status") {
    reply(std::string(R"({"x":"open","y":"open","z":"open"})"));
  } else if (method == "printer.print.start") {
    const auto filename = text("filename");
    if (!filename) {
      reply(failure(400, "No data for argument: filename"));
    } else {
      host_.start_print(*filename, keep(reply));
      publish();
    }
  } else if (method == "printer.print.pause") {
    run_script("PAUSE", reply);
  } else if (method == "printer.print.resume") {
    run_script("RESUME", reply);
  } else if (method == "printer.print.cancel") {
    run_script("CANCEL_PRINT", reply);
  } else {
    if (method == "printer.emergency_stop") {
      ++emergency_stops_;
      emergency_stop_at_ = clock_.wall();
    }
    method == "printer.emergency_stop" ? host_.emergency_stop()
    : method == "printer.restart"      ? host_.restart()
                                       : host_.firmware_restart();
    reply(std::string("\"ok\""));
    publish();
  }
  return true;
}

bool SimulatedService::server_call(const MoonrakerCall& call, const MoonrakerReply& reply) {
  const std::string_view method = call.method;
  if (method == "server.connection.identify") {
    if (call.connection == 0) return false;
    reply(fmt::format(R"({{"connection_id":{}}})", call.connection));
  } else if (method == "server.info") {
    reply(server_info_answer(klippy_state(), front_.connections()));
  } else if (method == "server.history.list") {
    reply(history_list_answer(host_.history(), read_history_query(call.params)));
  } else if (method == "server.history.totals") {
    reply(history_totals_answer(host_.history()));
  } else if (method == "server.history.get_job") {
    const std::string uid(text_member(call.params, "uid").value_or(""));
    auto job = history_job_answer(host_.history(), uid);
    reply(job ? MoonrakerAnswer(std::move(*job)) : failure(404, "Invalid job uid: " + uid));
  } else if (method == "server.files.list") {
    const bool gcodes = text_member(call.params, "root").value_or("gcodes") == "gcodes";
    reply(gcodes ? file_list_answer(host_.files()) : "[]");
  } else if (method == "server.files.get_directory") {
    const std::string path(text_member(call.params, "path").value_or("gcodes"));
    auto listed = directory_answer(host_.files(), path, {kDiskTotal, disk_free_});
    reply(listed ? MoonrakerAnswer(std::move(*listed)) : failure(400, "Directory does not exist (" + path + ")"));
  } else if (method == "machine.device_power.devices") {
    reply(power_answer());
  } else if (method == "machine.device_power.post_device") {
    const std::string device(text_member(call.params, "device").value_or(""));
    const std::string action(text_member(call.params, "action").value_or(""));
    if (device != kPowerDevice) return reply(failure(404, "No valid device")), true;
    if (action != "on" && action != "off") return reply(failure(400, "Unsupported action '" + action + "'")), true;
    power_on_ = action == "on";
    reply(fmt::format(R"({{"{}":"{}"}})", kPowerDevice, action));
  } else if (method == "server.files.metadata") {
    const std::string name(text_member(call.params, "filename").value_or(""));
    const SimulatedFile* file = host_.find_file(name);
    reply(file ? MoonrakerAnswer(metadata_answer(*file)) : failure(404, "Metadata not available for <" + name + ">"));
  } else if (method == "server.temperature_store") {
    reply(stores_.temperature_answer(host_.state().has_heaters));
  } else if (method == "server.gcode_store") {
    const double count = loose_number(call.params, "count").value_or(kDefaultGcodeCount);
    reply(stores_.gcode_answer(count >= 0 && count < 1e6 ? static_cast<size_t>(count) : kDefaultGcodeCount));
  } else if (method.starts_with("server.job_queue.")) {
    return queue_call(call, reply);
  } else if (method == "server.webcams.list") {
    reply(std::string(R"({"webcams":[]})"));
  } else if (method == "server.restart") {
    reply(std::string("\"ok\""));
    // After the answer is on its way.
    soon_timer_.start(Micros{0}, [this] { publish_event({HostEvent::Kind::kMoonrakerRestart, {}}); });
  } else if (method == "machine.system_info") {
    reply(system_info_answer());
  } else if (method == "machine.proc_stats") {
    reply(proc_stats_answer(host_.wall_now(), host_.state(), front_.connections()));
  } else if (method == "access.info") {
    reply(fmt::format(R"({{"default_source":"moonraker","available_sources":["moonraker"],"login_required":false,)"
                      R"("trusted":{}}})",
                      trusts_everybody()));
  } else if (method == "sim.toggle") {
    reply(toggle());
  } else {
    return false;
  }
  return true;
}

std::string SimulatedService::power_answer() const {
  return fmt::format(R"({{"devices":[{{"device":"{}","status":"{}","locked_while_printing":false,"type":"gpio"}}]}})",
                     kPowerDevice, power_on_ ? "on" : "off");
}

bool SimulatedService::queue_call(const MoonrakerCall& call, const MoonrakerReply& reply) {
  const std::string_view verb = call.method.substr(std::string_view("server.job_queue.").size());
  if (verb == "post_job") {
    std::string paths;
    if (const auto names = member(call.params, "filenames"); names && names->is_array()) {
      for (const Json name : simdjson::dom::array(*names)) paths.append(as_text(name).value_or("")).append("\n");
    }
    for (const std::string_view path : lines_of(paths)) {
      if (host_.find_file(path) != nullptr) continue;
      reply(failure(400, fmt::format("Gcode File {} does not exist", path)));
      return true;
    }
    if (paths.empty()) return reply(failure(400, "Missing Argument [filenames]")), true;
    queue_.add(paths, host_.wall_now());
    publish_queue("jobs_added");
  } else if (verb == "delete_job") {
    queue_.remove(names_with_commas(call.params, "job_ids"), flag_member(call.params, "all").value_or(false));
    publish_queue("jobs_removed");
  } else if (verb == "pause" || verb == "start") {
    verb == "start" ? queue_.start() : queue_.pause();
    publish_queue("state_changed");
  } else if (verb != "status") {
    return false;
  }
  reply(queue_.status_json(host_.wall_now()));
  return true;
}

MoonrakerAnswer SimulatedService::query(const MoonrakerCall& call) {
  const auto objects = member(call.params, "objects");
  if (!objects) return failure(400, "Missing Argument [objects]");
  std::string error;
  const auto filter = StatusFilter::read(*objects, error);
  if (!filter) return failure(400, error);
  return status_answer(render_status(host_.state()), *filter, host_.state().eventtime);
}

MoonrakerAnswer SimulatedService::subscribe(const MoonrakerCall& call) {
  if (call.connection == 0) return failure(400, "No connection associated with subscription request");
  auto answer = query(call);
  if (!answer) return answer;
  std::string error;
  auto filter = StatusFilter::read(*member(call.params, "objects"), error);
  if (subscriptions_.empty()) table_ = render_status(host_.state());
  subscriptions_.erase(call.connection);
  if (!filter->empty()) subscriptions_.emplace(call.connection, std::move(*filter));
  return answer;
}

uint64_t SimulatedService::keep(MoonrakerReply reply) {
  waiting_.emplace(next_token_, std::move(reply));
  return next_token_++;
}

void SimulatedService::run_script(std::string_view script, MoonrakerReply reply) {
  stores_.add_gcode(host_.wall_now(), "command", script);
  host_.run_script(script, keep(std::move(reply)));
  publish();
}

// The wall time in the answer was taken right before the bytes were handed to the sockets.
MoonrakerAnswer SimulatedService::toggle() {
  if (klippy_state() != "ready") return failure(503, "Klippy is not ready");
  catch_up();
  host_.toggle();
  status_sent_at_ = clock_.wall();
  publish();
  return fmt::format(R"({{"state":"{}","sent_at_us":{}}})", name_of(host_.state().print), to_unix_us(status_sent_at_));
}

}  // namespace millrace
