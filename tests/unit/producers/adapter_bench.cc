// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/producers/adapter_bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "bus/json_reader.h"

namespace millrace::testing {
namespace {

std::string number(const std::optional<double>& value) { return value ? fmt::format("{:.2f}", *value) : "-"; }

}  // namespace

std::string RowText::json(const std::string& status, const std::string& extra) const {
  return fmt::format(
      R"({{"job_id":"{}","filename":"{}","status":"{}","user":"someone","start_time":{},"end_time":{},)"
      R"("total_duration":{},"print_duration":{},"filament_used":{},"metadata":{{"size":5}},"auxiliary_data":[]{}}})",
      id, filename, status, start, end > 0 ? fmt::format("{}", end) : "null", total, total / 2, total / 4, extra);
}

AdapterBench::AdapterBench() {
  options.machine_id = "m";
  options.name = "Machine";
  status["webhooks"] = {{"state", R"("ready")"}, {"state_message", R"("Printer is ready")"}};
  status["print_stats"] = {{"state", R"("standby")"},
                           {"filename", R"("")"},
                           {"message", R"("")"},
                           {"total_duration", "0.0"},
                           {"print_duration", "0.0"},
                           {"filament_used", "0.0"},
                           {"info", R"({"total_layer":null,"current_layer":null})"}};
  status["virtual_sdcard"] = {{"progress", "0.0"}};
  status["extruder"] = {{"temperature", "20.0"}, {"target", "0.0"}};
}

AdapterBench::~AdapterBench() = default;

void AdapterBench::start(const std::string& state) {
  adapter_ = std::make_unique<MoonrakerAdapter>(options, state, clock, random_, static_cast<MachineLink&>(*this),
                                                static_cast<EventSink&>(*this), *metrics);
  adapter_->on_reply = on_reply;
  adapter_->on_file_due = on_file_due;
  adapter_->start();
}

void AdapterBench::restart(bool with_state) {
  adapter_.reset();
  pending_.clear();
  link_up = false;
  ++epoch;
  sequence = 1;
  start(with_state ? saved_state : "");
  deliver();
}

void AdapterBench::connect() {
  start();
  deliver();
  process_statistics();
}

void AdapterBench::deliver() {
  if (delivering_) return;
  delivering_ = true;
  while (!pending_.empty()) {
    const auto next = std::move(pending_.front());
    pending_.pop_front();
    next();
  }
  delivering_ = false;
}

void AdapterBench::open() {
  ++opened;
  if (!reachable) {
    pending_.push_back([this] { adapter_->on_link_closed("refused", 0, "Connection refused"); });
    return;
  }
  pending_.push_back([this] {
    link_up = true;
    adapter_->on_link_open(identity);
  });
}

bool AdapterBench::send(std::string text) {
  if (!link_up) return false;
  JsonReader reader;
  const auto json = reader.parse(text);
  const std::string method(text_member(*json, "method").value_or(""));
  requests.push_back(method);
  sent.push_back(text);
  if (const auto params = member(*json, "params")) last_params = to_text(*params);
  if (silent[method]) return true;
  pending_.push_back([this, text = answer(text)] {
    if (link_up) adapter_->on_link_text(text);
  });
  return true;
}

std::string AdapterBench::snapshot(const std::string& request) const {
  JsonReader reader;
  const auto json = reader.parse(request);
  const auto params = member(*json, "params");
  const auto wanted = params ? member(*params, "objects") : std::nullopt;
  std::string objects;
  for (const auto& [object, fields] : status) {
    if (!wanted || wanted->at_key(object).error()) continue;
    std::string content;
    for (const auto& [field, value] : fields) {
      content += fmt::format("{}\"{}\":{}", content.empty() ? "" : ",", field, value);
    }
    objects += fmt::format("{}\"{}\":{{{}}}", objects.empty() ? "" : ",", object, content);
  }
  return fmt::format(R"({{"eventtime":{},"status":{{{}}}}})", eventtime, objects);
}

std::string AdapterBench::answer(const std::string& request) {
  JsonReader reader;
  const auto json = reader.parse(request);
  const std::string method(text_member(*json, "method").value_or(""));
  const int64_t id = integer_member(*json, "id").value_or(0);
  const auto with = [&](const std::string& kind, const std::string& content) {
    return fmt::format(R"({{"jsonrpc":"2.0","{}":{},"id":{}}})", kind, content, id);
  };
  if (const auto error = errors.find(method); error != errors.end()) return with("error", error->second);
  if (const auto fixed = answers.find(method); fixed != answers.end()) return with("result", fixed->second);
  if (method == "server.connection.identify") return with("result", R"({"connection_id":139970383815248})");
  if (method == "server.info") {
    return with("result", fmt::format(R"({{"klippy_connected":true,"klippy_state":"{}","moonraker_version":"v0.10",)"
                                      R"("api_version_string":"1.5.0","components":{}}})",
                                      klippy_state, components));
  }
  if (method == "printer.info") {
    return with("result", fmt::format(R"({{"state":"{}","state_message":"","hostname":"vm","process_id":{},)"
                                      R"("software_version":"v0.13"}})",
                                      klippy_state, process_id));
  }
  if (method == "printer.objects.query" && !config.empty()) {
    return with("result", R"({"eventtime":1.0,"status":{"configfile":{"config":)" + config + R"(,"settings":)" +
                              settings + "}}}");
  }
  if (method == "server.job_queue.status") return with("result", queue);
  if (method == "server.spoolman.get_spool_id") return with("result", R"({"spool_id":)" + spool + "}");
  if (method == "printer.objects.list") {
    std::string names = R"("gcode","configfile")";
    for (const auto& [object, fields] : status) names += ",\"" + object + "\"";
    return with("result", R"({"objects":[)" + names + "]}");
  }
  if (method == "printer.objects.subscribe") return with("result", snapshot(request));
  if (method == "server.history.list") {
    const auto params = member(*json, "params");
    const auto first = static_cast<size_t>(integer_member(*params, "start").value_or(0));
    const auto limit = static_cast<size_t>(integer_member(*params, "limit").value_or(50));
    std::string rows;
    for (size_t i = first; i < std::min(history.size(), first + limit); ++i) {
      rows += (rows.empty() ? "" : ",") + history[i];
    }
    return with("result", fmt::format(R"({{"count":{},"jobs":[{}]}})", history.size(), rows));
  }
  return with("error", R"({"code":-32601,"message":"Method not found"})");
}

void AdapterBench::emit(std::vector<EventDraft> drafts, std::string_view state) {
  sequence += drafts.size();
  saved_state = std::string(state);
  for (EventDraft& draft : drafts) events.push_back(std::move(draft));
}

void AdapterBench::frame(const std::string& text) {
  if (link_up) adapter_->on_link_text(text);
  if (!hold_answers) deliver();
}

void AdapterBench::notify(const std::string& method, const std::string& params) {
  frame(params.empty() ? fmt::format(R"({{"jsonrpc":"2.0","method":"{}"}})", method)
                       : fmt::format(R"({{"jsonrpc":"2.0","method":"{}","params":[{}]}})", method, params));
}

void AdapterBench::update(const std::string& delta, double seconds) {
  JsonReader reader;
  const auto json = reader.parse(delta);
  for (const auto [object, fields] : json->get_object()) {
    for (const auto [field, value] : fields.get_object())
      status[std::string(object)][std::string(field)] = to_text(value);
  }
  for (; seconds > 1; seconds -= 1) {  // the link is never silent for long
    eventtime += 1;
    pass(std::chrono::seconds(1));
    process_statistics();
  }
  eventtime += seconds;
  pass(std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
  notify("notify_status_update", fmt::format("{},{}", delta, eventtime));
}

void AdapterBench::history_changed(const std::string& action, const std::string& row) {
  notify("notify_history_changed", fmt::format(R"({{"action":"{}","job":{}}})", action, row));
}

void AdapterBench::process_statistics() {
  notify("notify_proc_stat_update",
         fmt::format(R"({{"moonraker_stats":{{"time":{},"cpu_usage":1.5,"memory":50000}},"cpu_temp":44.5}})",
                     machine_now()));
}

void AdapterBench::drop(const std::string& reason, uint16_t code) {
  if (!link_up) return;
  link_up = false;
  pending_.clear();
  adapter_->on_link_closed(reason, code, code == 1001 ? "Server Shutdown" : "");
}

void AdapterBench::pass(std::chrono::milliseconds time) {
  const MonotonicTime end = clock.monotonic() + time;
  for (;;) {
    const auto deadline = adapter_->next_deadline();
    if (!deadline || *deadline > end) break;
    if (*deadline > clock.monotonic()) clock.advance(*deadline - clock.monotonic());
    adapter_->on_timer();
    if (!hold_answers) deliver();
  }
  if (end > clock.monotonic()) clock.advance(end - clock.monotonic());
}

void AdapterBench::reconnect() {
  for (int i = 0; i < 200 && !link_up; ++i) pass(std::chrono::milliseconds(500));
  if (link_up) process_statistics();
}

double AdapterBench::protocol_errors() {
  return metrics->counter("millrace_adapter_protocol_errors_total", "", {{"machine", options.machine_id}}).value();
}

std::string describe(const EventDraft& draft) {
  const auto& payload = draft.payload;
  if (const auto* e = payload.AsJobStarted()) {
    return fmt::format("JobStarted {} {} {}", e->job_id, e->filename, EnumNameJobSeen(e->seen));
  }
  if (const auto* e = payload.AsJobPaused()) {
    return fmt::format("JobPaused {} {}{}", e->job_id, e->cause, e->late ? " late" : "");
  }
  if (const auto* e = payload.AsJobResumed()) return fmt::format("JobResumed {}{}", e->job_id, e->late ? " late" : "");
  if (const auto* e = payload.AsJobProgressed()) return fmt::format("JobProgressed {}", e->job_id);
  if (const auto* e = payload.AsJobIdentified()) return fmt::format("JobIdentified {} {}", e->job_id, e->start_us);
  if (const auto* e = payload.AsJobObjectExcluded()) {
    return fmt::format("JobObjectExcluded {} {} {}/{}", e->job_id, e->name, e->excluded, e->total);
  }
  if (const auto* e = payload.AsJobFinished()) {
    return fmt::format("JobFinished {} {} {} rank {} {}{}", e->job_id, EnumNameJobOutcome(e->outcome),
                       e->cause.empty() ? "-" : e->cause, static_cast<int>(e->evidence), number(e->total_duration),
                       e->late ? " late" : "");
  }
  if (const auto* e = payload.AsMachineStateChanged()) {
    return fmt::format("{} -> {}", EnumNameMachineState(e->previous), EnumNameMachineState(e->state));
  }
  if (const auto* e = payload.AsMachineDisconnected()) return "MachineDisconnected " + e->reason;
  if (const auto* e = payload.AsFirmwareRestarted()) {
    return fmt::format("FirmwareRestarted {} -> {}", e->previous_process_id, e->process_id);
  }
  return std::string(name_of(payload.type));
}

std::vector<std::string> AdapterBench::jobs() const {
  std::vector<std::string> lines;
  for (const EventDraft& draft : events) {
    const bool of_a_job =
        name_of(draft.payload.type).starts_with("Job") && draft.payload.AsJobQueueChanged() == nullptr;
    if (of_a_job) lines.push_back(describe(draft));
  }
  return lines;
}

std::vector<std::string> AdapterBench::machine() const {
  std::vector<std::string> lines;
  for (const EventDraft& draft : events) {
    const auto name = name_of(draft.payload.type);
    if (name == "MachineConditionChanged" || name == "MachineClockOff") continue;
    if (name.starts_with("Machine") || name.starts_with("Firmware")) lines.push_back(describe(draft));
  }
  return lines;
}

}  // namespace millrace::testing
