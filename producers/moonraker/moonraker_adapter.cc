// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/moonraker_adapter.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "bus/logging.h"
#include "producers/backoff.h"
#include "producers/moonraker/moonraker_adapter_impl.h"
#include "producers/moonraker/python_numbers.h"
#include "safety/failure_cause.h"

namespace millrace {
namespace {

// Notifications that say nothing about machine state, jobs or telemetry.
constexpr std::array<std::string_view, 6> kIgnoredPrefixes = {
    "notify_gcode_response", "notify_filelist_changed", "notify_service_state_changed",
    "notify_cpu_throttled",  "notify_spoolman_",        "notify_power_changed"};
constexpr std::array<std::string_view, 9> kMoreIgnoredPrefixes = {
    "notify_button_event", "notify_webcams_changed", "notify_announcement_", "notify_user_",          "notify_update_",
    "notify_agent_event",  "notify_sudo_alert",      "notify_metadata_",     "notify_history_changed"};

bool is_ignored(std::string_view method) {
  const auto matches = [&](std::string_view prefix) { return method.starts_with(prefix); };
  return std::ranges::any_of(kIgnoredPrefixes, matches) || std::ranges::any_of(kMoreIgnoredPrefixes, matches);
}

std::optional<Json> item(const Json& params, size_t index) {
  simdjson::dom::array items;
  Json found;
  if (params.get_array().get(items) != simdjson::SUCCESS) return std::nullopt;
  if (items.at(index).get(found) != simdjson::SUCCESS) return std::nullopt;
  return found;
}

// The reasons that MachineDisconnected knows.
std::string_view disconnect_reason(std::string_view link_reason) {
  if (link_reason == "reset" || link_reason == "cut_off") return "closed";
  if (link_reason == "handshake" || link_reason == "protocol" || link_reason == "tls") return "protocol_error";
  return link_reason;
}

AdapterState restored(std::string_view saved, const std::string& machine) {
  if (saved.empty()) return {};
  auto state = decode_adapter_state(saved);
  if (state) return std::move(*state);
  log_warn("adapter", "{}: the saved state is not usable and is begun anew: {}", machine, state.error().message());
  return {};
}

constexpr size_t kMaxLatchText = 500;
constexpr uint16_t kMessageTooBig = 1009;  // RFC 6455 7.4.1
constexpr const char* kTlsAdvice =
    "; a certificate of your own authority needs moonraker_ca_file, and the URL must name the host that it is for";

// What a machine may well do, or what is only left out: no reason to tell anybody.
constexpr std::array<std::string_view, 6> kHarmless = {"notification", "unauthorized",  "status_value",
                                                       "history",      "status_fields", "telemetry_signals"};

// Close codes with which a server complains (RFC 6455 7.4.1), beside those of a regular end and of a restart.
bool is_complaint(uint16_t close_code) { return close_code >= 1002 && close_code <= 1011; }

void earlier(std::optional<MonotonicTime>& first, const std::optional<MonotonicTime>& other) {
  if (other && (!first || *other < *first)) first = other;
}

// The highest target that any heater of that kind may have; nullopt where there is none.
std::optional<double> hottest(const Limits& limits, const MachineSnapshot& machine, HeaterKind kind) {
  std::optional<double> highest;
  for (const HeaterSnapshot& heater : machine.heaters) {
    if (heater.kind == kind) highest = std::max(highest.value_or(0), limits.temp_max(kind, heater.name));
  }
  return highest;
}

}  // namespace

MoonrakerAdapter::Impl::Impl(MoonrakerAdapterOptions options, std::string_view saved_state, const Clock& clock,
                             Random& random, MachineLink& link, EventSink& sink, Metrics& metrics)
    : options_(std::move(options)),
      clock_(clock),
      random_(random),
      link_(link),
      batch_(options_.machine_id, clock, sink),
      connected_gauge_(metrics.gauge("millrace_adapter_connected", "1 while identified at the machine's Moonraker",
                                     {{"machine", options_.machine_id}})),
      history_gauge_(metrics.gauge("millrace_adapter_history_current", "1 while the machine's history has been read",
                                   {{"machine", options_.machine_id}})),
      reconnects_(metrics.counter("millrace_adapter_reconnects_total", "Attempts to connect after the first",
                                  {{"machine", options_.machine_id}})),
      events_(metrics.counter("millrace_adapter_events_total", "Events emitted", {{"machine", options_.machine_id}})),
      frames_(metrics.counter("millrace_adapter_frames_total", "Frames received", {{"machine", options_.machine_id}})),
      errors_(options_.machine_id, clock,
              metrics.counter("millrace_adapter_protocol_errors_total", "Things a machine said that make no sense",
                              {{"machine", options_.machine_id}})),
      state_(restored(saved_state, options_.machine_id)),
      rpc_(clock),
      breaker_(clock),
      reads_(clock, random, breaker_,
             [this](const std::string& method, const std::string& params, std::chrono::milliseconds timeout,
                    JsonRpc::Callback callback) { call_or_drop(method, params, timeout, std::move(callback)); }),
      view_(errors_),
      sampler_(options_.telemetry_interval, clock, errors_),
      backfill_(errors_),
      conditions_(clock, batch_, state_.conditions),
      facts_(clock, time_, batch_, state_.facts),
      jobs_({.row_hold = options_.row_hold,
             .progress_interval = options_.progress_interval,
             .klipper_back_hold = options_.klipper_back_hold},
            clock, time_, batch_, state_.jobs),
      alarms_(batch_, state_.monitor, state_.limits_version, metrics),
      desk_({.machine = options_.machine_id}, clock, batch_, state_.commands, breaker_, desk_machine()) {
  errors_.on_error = [this](std::string_view kind, std::string_view detail) {
    if (std::ranges::find(kHarmless, kind) != kHarmless.end()) return;
    conditions_.seen("protocol_error", std::string(kind) + (detail.empty() ? "" : ": ") + std::string(detail));
  };
}

void MoonrakerAdapter::Impl::register_machine() {
  if (state_.name == options_.name && state_.kind == options_.kind) return;
  state_.name = options_.name;
  state_.kind = options_.kind;
  schema::MachineRegisteredT registered;
  registered.name = options_.name;
  registered.kind = options_.kind;
  registered.managed_by = options_.managed_by;
  batch_.add(std::move(registered));
}

void MoonrakerAdapter::Impl::start() {
  register_machine();
  desk_.begin();
  link_state_ = Link::kConnecting;
  last_heard_ = clock_.monotonic();
  link_.open();
}

void MoonrakerAdapter::Impl::stop() {
  if (link_state_ == Link::kStopped) return;
  if (link_state_ != Link::kWaiting) link_.close();
  link_is_down("stopped", 0, "the adapter was stopped");
  update_machine_state();
  reconnect_at_.reset();
  link_state_ = Link::kStopped;
}

void MoonrakerAdapter::Impl::leave(Leaving why) {
  if (link_state_ == Link::kStopped) return;
  if (why == Leaving::kRemoved) jobs_.on_machine_removed();
  conditions_.end_all();
  stop();
  alarms_.end_all();
}

void MoonrakerAdapter::Impl::link_opened(const LinkIdentity& identity) {
  if (link_state_ != Link::kConnecting) return;
  conditions_.gone("tls_failed");
  identity_ = identity;
  link_state_ = Link::kIdentifying;
  last_heard_ = clock_.monotonic();
  identify();
}

void MoonrakerAdapter::Impl::link_closed(std::string_view reason, uint16_t close_code, std::string_view text) {
  if (link_state_ == Link::kStopped || link_state_ == Link::kWaiting) return;
  if (reason == kLinkUnauthorised || reason == kLinkForbidden) return refused(text, reason == kLinkForbidden);
  if (reason == "tls") conditions_.seen("tls_failed", std::string(text) + kTlsAdvice);
  if (reason == "handshake") conditions_.seen("moonraker_error", text);
  if (reason == "closed" && is_complaint(close_code)) {
    conditions_.seen("moonraker_error", fmt::format("closed the connection with code {}: {}", close_code, text));
  }
  if (reason == "cut_off") conditions_.seen("protocol_error", text);
  if (reason == "protocol") {
    const bool too_large = close_code == kMessageTooBig;
    conditions_.seen(too_large ? "frame_too_large" : "protocol_error",
                     std::string(text) + (too_large ? ": raise adapters.max_frame_bytes" : ""));
  }
  link_is_down(disconnect_reason(reason), close_code, text);
}

void MoonrakerAdapter::Impl::drop_link(std::string_view reason, std::string_view text) {
  if (link_state_ == Link::kStopped || link_state_ == Link::kWaiting) return;
  link_.close();
  link_is_down(reason, 0, text);
}

void MoonrakerAdapter::Impl::link_is_down(std::string_view reason, uint16_t close_code, std::string_view text) {
  jobs_.on_link_lost();
  reads_.clear();
  desk_.on_link_lost();
  breaker_.reset();
  if (state_.connected) {
    schema::MachineDisconnectedT disconnected;
    disconnected.reason = reason;
    disconnected.text = text;
    disconnected.close_code = close_code;
    batch_.add(std::move(disconnected));
  }
  state_.connected = told_connected_ = false;
  connected_gauge_.set(0);
  history_gauge_.set(0);
  rpc_.clear();
  time_.reset();
  fold_.clear();
  view_.clear();
  seen_.clear();
  klipper_state_.clear();
  klipper_text_.clear();
  subscribed_ = setting_up_ = asking_ = false;
  ++session_;
  poll_at_.reset();
  disk_at_.reset();
  history_retry_at_.reset();
  looks_in_vain_ = 0;
  link_state_ = Link::kWaiting;
  offline_text_ = text.empty() ? std::string(reason) : std::string(text);
  reconnect_at_ = clock_.monotonic() + backoff(attempts_++, options_.reconnect_min, options_.reconnect_max, random_);
}

void MoonrakerAdapter::Impl::take_frame(std::string_view frame) {
  if (link_state_ != Link::kIdentifying && link_state_ != Link::kUp) return;
  frames_.add();
  last_heard_ = clock_.monotonic();
  auto message = reader_.parse(frame);
  if (!message) {
    const std::string problem = message.error().context;
    message = reader_.parse(with_numbers_as_json_has_them(frame));
    errors_.note("json", message ? "NaN or Infinity in the place of a number" : problem);
  }
  if (!message) return rpc_.on_unreadable(frame);
  simdjson::dom::array batch;
  if (message->get_array().get(batch) != simdjson::SUCCESS) return dispatch(*message);
  for (const Json part : batch) dispatch(part);
}

void MoonrakerAdapter::Impl::dispatch(const Json& message) {
  if (const auto method = text_member(message, "method")) return notified(*method, message);
  if (!member(message, "id")) return errors_.note("message", to_text(message).substr(0, 100));
  // Nobody waits for an answer that came after its timeout.
  if (rpc_.on_response(message) || rpc_.was_asked(message)) return;
  errors_.note("answer", "to a request that was not sent: " + to_text(message).substr(0, 100));
}

void MoonrakerAdapter::Impl::notified(std::string_view method, const Json& message) {
  if (link_state_ != Link::kUp) return;
  const auto params = member(message, "params");
  if (method == "notify_klippy_ready") {
    set_up();
  } else if (method == "notify_klippy_shutdown") {
    jobs_.on_klipper_shutdown();
  } else if (method == "notify_klippy_disconnected") {
    klipper_gone();
  } else if (method == "notify_status_update" && params) {
    status_updated(*params);
  } else if (method == "notify_history_changed" && params) {
    history_changed(*params);
  } else if (method == "notify_proc_stat_update" && params) {
    process_statistics(*params);
  } else if (method == "notify_active_spool_set" && params) {
    if (const auto spool = item(*params, 0)) facts_.on_spool(integer_member(*spool, "spool_id"));
  } else if (method == "notify_job_queue_changed" && params) {
    job_queue_changed(*params);
  } else if (method == "notify_sensor_update" && params) {
    if (const auto sensors = item(*params, 0)) sampler_.on_moonraker_sensors(*sensors);
  } else if (!is_ignored(method)) {
    errors_.note("notification", method);
  }
}

void MoonrakerAdapter::Impl::status_updated(const Json& params) {
  if (!subscribed_) return;  // of a subscription that is gone
  const auto status = item(params, 0);
  if (!status) return errors_.note("status_update", "without a status");
  const auto second = item(params, 1);
  const auto eventtime = second ? as_number(*second) : std::nullopt;
  if (!eventtime || !std::isfinite(*eventtime) || *eventtime <= 0) errors_.note("eventtime", "missing or absurd");
  fold_status(*status, eventtime.value_or(0));
  update_machine_state();
  jobs_.on_status(view_.now());
  desk_.on_status();
  if (view_.now().klipper_state != "ready" && !poll_at_) poll_later();
}

void MoonrakerAdapter::Impl::fold_status(const Json& status, double eventtime) {
  time_.on_eventtime(eventtime);
  const double now = time_.eventtime();
  fold_.fold(status, errors_, [&](std::string_view object, std::string_view field, const StatusValue& value) {
    view_.on_field(object, field, value, now);
    sampler_.on_field(object, field, value);
    facts_.on_field(object, field, value);
  });
  facts_.tell();
  view_.observe(fold_, now);
  if (is_active(view_.now().print_state)) state_.plate_clear = false;
}

void MoonrakerAdapter::Impl::job_queue_changed(const Json& params) {
  const auto change = item(params, 0);
  if (!change || !change->is_object()) return errors_.note("job_queue_changed", "without a queue");
  if (!facts_.on_queue_change(*change)) read_job_queue();
}

void MoonrakerAdapter::Impl::history_changed(const Json& params) {
  const auto change = item(params, 0);
  const auto action = change ? text_member(*change, "action") : std::nullopt;
  const auto job = change ? member(*change, "job") : std::nullopt;
  if (!action || !job) return errors_.note("history_changed", "without action or job");
  if (*action != "added" && *action != "finished") return;  // e.g. "deleted": history that was told stays told
  const auto row = read_history_row(*job, errors_);
  if (!row) return;
  if (*action == "added") {
    jobs_.on_row_added(*row);
  } else {
    jobs_.on_row_finished(*row);
  }
}

void MoonrakerAdapter::Impl::process_statistics(const Json& params) {
  const auto statistics = item(params, 0);
  if (!statistics) return errors_.note("process_statistics", "without params");
  sampler_.on_process_statistics(*statistics);
  const auto moonraker = member(*statistics, "moonraker_stats");
  const auto time = moonraker ? number_member(*moonraker, "time") : std::nullopt;
  if (!time) return errors_.note("process_statistics", "without a time");
  time_.on_wall_time(*time, clock_.wall());
  facts_.on_machine_time();
  jobs_.on_machine_time();
}

std::optional<MonotonicTime> MoonrakerAdapter::Impl::next_deadline() const {
  if (link_state_ == Link::kStopped) return std::nullopt;
  std::optional<MonotonicTime> next = jobs_.next_deadline();
  earlier(next, conditions_.next_deadline());
  earlier(next, desk_.next_deadline());
  if (link_state_ == Link::kWaiting) {
    earlier(next, reconnect_at_);
    return next;
  }
  earlier(next, last_heard_ + options_.silence_max);
  earlier(next, rpc_.next_deadline());
  earlier(next, reads_.next_deadline());
  earlier(next, poll_at_);
  earlier(next, disk_at_);
  earlier(next, history_retry_at_);
  // Statistics may come before the machine is known; their sample waits for that, and must not be asked for meanwhile.
  if (link_state_ == Link::kUp) earlier(next, sampler_.next_deadline());
  return next;
}

void MoonrakerAdapter::Impl::run_timers() {
  if (link_state_ == Link::kStopped) return;
  const MonotonicTime now = clock_.monotonic();
  const auto due = [&](std::optional<MonotonicTime>& at) {
    if (!at || *at > now) return false;
    at.reset();
    return true;
  };
  jobs_.on_timer();
  conditions_.on_timer();
  desk_.on_timer();
  if (link_state_ == Link::kWaiting) {
    if (!due(reconnect_at_)) return;
    reconnects_.add();
    link_state_ = Link::kConnecting;
    last_heard_ = now;
    return link_.open();
  }
  if (last_heard_ + options_.silence_max <= now) return drop_link("timeout", "nothing was heard for too long");
  rpc_.expire();
  reads_.on_timer();
  if (due(poll_at_)) ask_server();
  if (due(disk_at_)) read_disk_usage();
  if (due(history_retry_at_)) read_history(true);
}

void MoonrakerAdapter::Impl::update_machine_state() {
  const bool up = link_state_ == Link::kUp;
  const bool waiting = link_state_ == Link::kConnecting || link_state_ == Link::kIdentifying;
  const std::string& klipper = subscribed_ ? view_.now().klipper_state : klipper_state_;
  // On the way to a first status only Klipper's absence is certain.
  const bool absent = klipper == "disconnected" || klipper == "startup";
  if (waiting || (up && !subscribed_ && !absent)) return;
  const auto state = machine_state({up, klipper, view_.now().print_state});
  const std::string& text = !up ? offline_text_ : subscribed_ ? view_.now().klipper_text : klipper_text_;
  if (up) watch_emergency(state, klipper, text);
  const bool calm = state == schema::MachineState::ready || state == schema::MachineState::printing ||
                    state == schema::MachineState::paused;
  if (state == state_.state && (calm || text == told_text_)) return;
  schema::MachineStateChangedT changed;
  changed.state = state;
  changed.previous = state_.state;
  changed.text = text;
  changed.klipper_state = up ? klipper : "";
  changed.print_state = up && klipper == "ready" ? view_.now().print_state : "";
  state_.state = state;
  const EventId id = batch_.next_id();
  state_.state_epoch = id.epoch;
  state_.state_sequence = id.sequence;
  told_text_ = text;
  batch_.add(std::move(changed), subscribed_ ? time_.occurred() : WallTime{});
}

// What the guard judges by.
MachineSnapshot MoonrakerAdapter::Impl::snapshot() const {
  MachineSnapshot machine = seen_.snapshot(fold_);
  machine.kind = machine_kind_from(options_.kind).value_or(MachineKind::kPrinter);
  machine.state = state_.state;
  machine.state_text = told_text_;
  machine.link_up = link_state_ == Link::kUp;
  machine.subscribed = subscribed_;
  if (machine.link_up) {
    machine.heard_before = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - last_heard_);
  }
  if (state_.state_epoch != 0) {
    machine.state_version = std::to_string(state_.state_epoch) + "-" + std::to_string(state_.state_sequence);
  }
  if (state_.jobs.open) machine.job_id = state_.jobs.open->id;
  machine.emergency_latched = state_.latched;
  machine.critical_alarms = alarms_.standing(schema::AlarmLevel::critical);
  machine.plate_clear = state_.plate_clear;
  machine.nozzle_diameter = equipment_.nozzle_diameter;
  machine.loaded_materials = equipment_.loaded_materials;
  return machine;
}

// What people have set, as it holds: what they did not set is nothing to watch a print by.
schema::LimitSetT MoonrakerAdapter::Impl::limits_in_force() const {
  const MachineSnapshot machine = seen_.snapshot(fold_);
  Limits limits = narrow(limits_, machine.klipper);
  limits.extruder_temp_max = hottest(limits, machine, HeaterKind::kExtruder).value_or(limits.extruder_temp_max);
  limits.bed_temp_max = hottest(limits, machine, HeaterKind::kBed).value_or(limits.bed_temp_max);
  limits.chamber_temp_max = hottest(limits, machine, HeaterKind::kChamber).value_or(limits.chamber_temp_max);
  const schema::LimitSetT all = to_limit_set(limits);
  schema::LimitSetT held;
  for (const LimitField& field : limit_fields()) {
    if (people_limits_.*field.member) held.*field.member = all.*field.member;
  }
  held.require_plate_cleared = people_limits_.require_plate_cleared;
  return held;
}

bool MoonrakerAdapter::Impl::call(const std::string& method, const std::string& params,
                                  std::chrono::milliseconds timeout, JsonRpc::Callback callback) {
  if (link_state_ != Link::kUp) return false;
  auto frame = rpc_.request(method, params, timeout, std::move(callback));
  return frame && link_.send(std::move(*frame));
}

void MoonrakerAdapter::Impl::call_or_drop(const std::string& method, const std::string& params,
                                          std::chrono::milliseconds timeout, JsonRpc::Callback callback) {
  if (link_state_ != Link::kUp || call(method, params, timeout, std::move(callback))) return;
  drop_link("protocol_error", "a request could not be sent");
}

CommandDesk::Machine MoonrakerAdapter::Impl::desk_machine() {
  CommandDesk::Machine machine;
  machine.snapshot = [this] { return snapshot(); };
  machine.factor = [this](const std::string& what) { return fold_.number("gcode_move", what).value_or(NAN); };
  machine.print_file = [this] { return view_.now().filename; };
  machine.limits = [this] { return limits_; };
  machine.call = [this](const std::string& method, const std::string& params, std::chrono::milliseconds timeout,
                        JsonRpc::Callback callback) { return call(method, params, timeout, std::move(callback)); };
  machine.read = [this](MachineRead wanted) { reads_.ask(std::move(wanted)); };
  machine.reply = [this](CommandReply reply) {
    if (on_reply_) on_reply_(std::move(reply));
  };
  machine.clear_plate = [this](const AskedCommand& asked) {
    state_.plate_clear = true;
    schema::PlateClearedT cleared;
    cleared.command_id = asked.message.id;
    batch_.add_for(std::move(cleared), asked.message.actor, asked.message.id);
  };
  machine.reset_emergency = [this](const AskedCommand& asked, const std::string& reason) {
    reset_emergency(asked.message.id, asked.message.actor, reason);
  };
  return machine;
}

// Each shutdown latches once: after a reset the same one still stands until Klipper is restarted.
void MoonrakerAdapter::Impl::watch_emergency(schema::MachineState state, std::string_view klipper,
                                             const std::string& text) {
  if (state != schema::MachineState::shutdown) {
    if (!klipper.empty()) state_.emergency_seen = false;
    return;
  }
  const std::string_view cause = failure_cause(text, "");
  if (state_.emergency_seen || (cause != "emergency_stop" && cause != "m112")) return;
  state_.emergency_seen = true;
  latch("Klipper: " + text);
}

void MoonrakerAdapter::Impl::latch(std::string_view text) {
  if (std::exchange(state_.latched, true)) return;
  state_.latch_text = std::string(text.substr(0, kMaxLatchText));
  schema::EmergencyLatchedT latched;
  latched.text = state_.latch_text;
  batch_.add(std::move(latched));
}

void MoonrakerAdapter::Impl::reset_emergency(const std::string& command_id, const std::string& actor,
                                             const std::string& reason) {
  state_.latched = false;
  state_.latch_text.clear();
  schema::EmergencyResetT reset;
  reset.command_id = command_id;
  reset.reason = reason;
  batch_.add_for(std::move(reset), actor, command_id);
}

// The jobs whose files shall be read: those that begin, and the one that already ran when we came.
void MoonrakerAdapter::Impl::note_files() {
  std::vector<JobFile> begun;
  for (const EventDraft& event : batch_.events()) {
    if (const auto* job = event.payload.AsJobStarted(); job != nullptr && !job->filename.empty()) {
      begun.push_back({job->job_id, job->filename, job->metadata_json});
    } else if (const auto* end = event.payload.AsJobFinished(); end != nullptr) {
      std::erase_if(begun, [end](const JobFile& file) { return file.job_id == end->job_id; });
    }
  }
  files_due_.insert(files_due_.end(), begun.begin(), begun.end());
  auto& files = state_.files;
  files.insert(files.end(), begun.begin(), begun.end());
  if (files.size() > AdapterState::kMaxFiles) files.erase(files.begin(), files.end() - AdapterState::kMaxFiles);
}

void MoonrakerAdapter::Impl::file_read(schema::JobMetadataReadT metadata) {
  std::erase_if(state_.files, [&](const JobFile& file) { return file.job_id == metadata.job_id; });
  batch_.add(std::move(metadata));
}

void MoonrakerAdapter::Impl::finish_input() {
  desk_.take_turns();
  if (link_state_ != Link::kStopped) update_machine_state();
  if (link_state_ == Link::kUp) {
    if (jobs_.take_history_request()) read_history(true);
    if (jobs_.take_recent_request()) read_recent_rows();
    if (auto sample = sampler_.take()) batch_.add(std::move(*sample), time_.occurred());
  }
  if (batch_.empty()) return;
  note_files();
  alarms_.watch();
  // The open job's counters alone are not worth a write of the state with every sample.
  if (batch_.has_facts() || stored_state_.empty()) {
    state_.monitor = alarms_.state();
    stored_state_ = encode(state_);
  }
  events_.add(static_cast<double>(batch_.size()));
  batch_.emit(stored_state_);
}

MoonrakerAdapter::MoonrakerAdapter(MoonrakerAdapterOptions options, std::string_view saved_state, const Clock& clock,
                                   Random& random, MachineLink& link, EventSink& sink, Metrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(options), saved_state, clock, random, link, sink, metrics)) {}

MoonrakerAdapter::~MoonrakerAdapter() = default;

void MoonrakerAdapter::finish() {
  impl_->finish_input();
  for (JobFile& file : std::exchange(impl_->files_due_, {})) {
    if (on_file_due) on_file_due(std::move(file));
  }
  for (const schema::AlarmRaisedT& alarm : impl_->alarms_.take_actions()) {
    if (on_alarm_action) on_alarm_action(alarm);
  }
}

void MoonrakerAdapter::start() {
  impl_->on_reply_ = on_reply;
  for (const JobFile& file : impl_->state_.files) {
    if (on_file_due) on_file_due(file);
  }
  impl_->start();
  finish();
}

void MoonrakerAdapter::stop() {
  impl_->stop();
  finish();
}

void MoonrakerAdapter::leave(Leaving why) {
  impl_->leave(why);
  finish();
}

void MoonrakerAdapter::watch_by(const MachineSafety& safety) {
  impl_->people_limits_ = safety.limits;
  impl_->limits_ = limits_from(safety.limits);
  impl_->alarms_.watch_by(safety, impl_->limits_in_force());
  finish();
}

void MoonrakerAdapter::rename(const std::string& name, const std::string& kind) {
  impl_->options_.name = name;
  impl_->options_.kind = kind;
  impl_->register_machine();
  finish();
}

void MoonrakerAdapter::on_link_open(const LinkIdentity& identity) {
  impl_->link_opened(identity);
  finish();
}

void MoonrakerAdapter::on_link_text(std::string_view frame) {
  impl_->take_frame(frame);
  finish();
}

void MoonrakerAdapter::on_link_closed(std::string_view reason, uint16_t close_code, std::string_view text) {
  impl_->link_closed(reason, close_code, text);
  finish();
}

void MoonrakerAdapter::take_command(AskedCommand asked) {
  impl_->desk_.take(std::move(asked));
  impl_->finish_input();
}

void MoonrakerAdapter::equipped_with(MachineEquipment equipment) { impl_->equipment_ = std::move(equipment); }

std::optional<MonotonicTime> MoonrakerAdapter::next_deadline() const { return impl_->next_deadline(); }

void MoonrakerAdapter::on_timer() {
  impl_->run_timers();
  finish();
}

bool MoonrakerAdapter::latched() const { return impl_->state_.latched; }
const std::string& MoonrakerAdapter::latch_text() const { return impl_->state_.latch_text; }

void MoonrakerAdapter::emergency_stopped(EventDraft stopped) {
  const auto* told = stopped.payload.AsEmergencyStopped();
  const bool confirmed = told != nullptr && told->confirmed;
  impl_->batch_.add_draft(std::move(stopped));
  impl_->latch(confirmed ? "an emergency stop was asked for" : "an emergency stop was asked for and NOT CONFIRMED");
  impl_->finish_input();
}

void MoonrakerAdapter::file_read(schema::JobMetadataReadT metadata) {
  impl_->file_read(std::move(metadata));
  finish();
}

void MoonrakerAdapter::hub_latched(uint64_t latch) {
  if (latch <= impl_->state_.latch_seen) return;
  impl_->state_.latch_seen = latch;
  impl_->latch("the hub knows of an emergency stop at position " + std::to_string(latch));
  impl_->finish_input();
}

void MoonrakerAdapter::reset_emergency(const std::string& command_id, const std::string& actor,
                                       const std::string& reason) {
  impl_->reset_emergency(command_id, actor, reason);
  impl_->finish_input();
}

}  // namespace millrace
