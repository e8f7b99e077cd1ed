// SPDX-License-Identifier: Apache-2.0
// From an open link to a subscription, and back to it after every restart of Klipper.
#include <fmt/format.h>

#include <array>

#include "bus/json_writer.h"
#include "bus/logging.h"
#include "producers/backoff.h"
#include "producers/moonraker/moonraker_adapter_impl.h"

namespace millrace {
namespace {

constexpr std::string_view kRefusedText =
    "Moonraker refuses this host: set a valid moonraker_api_key for the machine, or add the host to trusted_clients in "
    "moonraker.conf";
constexpr std::string_view kIncompleteText =
    "only the newest 20000 rows of the history were read: `millrace import moonraker` reads the older ones";
static_assert(HistoryBackfill::kMaxRows == 20'000);
constexpr int kMaxHistoryDoublings = 16;
constexpr int64_t kForbidden = 403;
constexpr size_t kMaxVersion = 200;

// Bulk that no event needs: settings, command lists, macro variables, meshes.
constexpr std::array<std::string_view, 6> kUnwantedObjects = {"configfile", "gcode",        "bed_mesh",
                                                              "heaters",    "gcode_macro ", "menu"};

bool is_wanted(std::string_view object) {
  for (const std::string_view unwanted : kUnwantedObjects) {
    if (object == unwanted || (unwanted.ends_with(' ') && object.starts_with(unwanted))) return false;
  }
  return true;
}

// Moonraker answers 401 as "Invalid params" over JSON-RPC; only the text tells.
bool is_unauthorized(const RpcReply& reply) {
  if (reply.kind != RpcReply::Kind::kError) return false;
  return reply.code == 401 || reply.code == kForbidden ||
         (reply.code == -32602 && (reply.message.find("Unauthorized") != std::string::npos ||
                                   reply.message.find("Invalid API Key") != std::string::npos));
}

bool has_component(const Json& server_info, std::string_view name) {
  const auto components = member(server_info, "components");
  simdjson::dom::array names;
  if (!components || components->get_array().get(names) != simdjson::SUCCESS) return false;
  for (const Json component : names) {
    if (as_text(component) == name) return true;
  }
  return false;
}

std::string what_was_said(const RpcReply& reply) {
  return reply.kind == RpcReply::Kind::kTimeout ? "no answer" : reply.message;
}

std::string short_text(const Json& json, std::string_view name) {
  return std::string(text_member(json, name).value_or("").substr(0, kMaxVersion));
}

}  // namespace

bool MoonrakerAdapter::Impl::request(std::string_view method, std::string_view params, JsonRpc::Callback callback) {
  auto frame = rpc_.request(method, params, options_.request_timeout, std::move(callback));
  if (frame && link_.send(std::move(*frame))) return true;
  drop_link("protocol_error", "a request could not be sent");
  return false;
}

// What this session of Klipper says: another one is asked anew.
void MoonrakerAdapter::Impl::read_of_session(std::string method, std::string params, JsonRpc::Callback done) {
  MachineRead wanted;
  wanted.method = std::move(method);
  wanted.params = std::move(params);
  wanted.timeout = options_.request_timeout;
  wanted.wanted = [this, session = session_] { return session == session_; };
  wanted.done = [this, session = session_, done = std::move(done)](const RpcReply& reply) {
    if (session == session_) done(reply);
  };
  reads_.ask(std::move(wanted));
}

void MoonrakerAdapter::Impl::identify() {
  JsonWriter params;
  params.object().field("client_name", "millrace").field("version", "1").field("type", "agent");
  params.field("url", "https://millrace.invalid");
  if (!identity_.api_key.empty()) params.field("api_key", identity_.api_key);
  if (!identity_.access_token.empty()) params.field("access_token", identity_.access_token);
  params.end();
  request("server.connection.identify", params.text(), [this](const RpcReply& reply) {
    if (reply.kind == RpcReply::Kind::kTimeout) return unanswered("identify");
    if (is_unauthorized(reply)) return refused(reply.message, reply.code == kForbidden);
    // Other refusals ("already identified", an older Moonraker without the method) do not hinder anything.
    link_state_ = Link::kUp;
    connected_gauge_.set(1);
    ask_server();
  });
}

void MoonrakerAdapter::Impl::refused(std::string_view said, bool forbidden) {
  errors_.note("unauthorized", said);
  conditions_.seen(forbidden ? "forbidden" : "unauthorised", std::string(said) + ": " + std::string(kRefusedText));
  drop_link("refused", kRefusedText);
  // A person has to act: asking more often only fills Moonraker's log.
  if (reconnect_at_) reconnect_at_ = std::max<MonotonicTime>(*reconnect_at_, clock_.monotonic() + options_.refused_min);
}

// Of what Moonraker itself answers, whatever Klipper does.
void MoonrakerAdapter::Impl::unanswered(std::string_view method) {
  const std::string text = fmt::format("no answer to {}", method);
  conditions_.seen("moonraker_error", text);
  drop_link("timeout", text);
}

// Silence, and errors of Moonraker itself, beside those that only say that Klipper is away.
void MoonrakerAdapter::Impl::note_failure(std::string_view method, const RpcReply& reply) {
  if (!moonraker_failed(reply)) return;
  conditions_.seen("moonraker_error", reply.kind == RpcReply::Kind::kTimeout
                                          ? fmt::format("no answer to {}", method)
                                          : fmt::format("{}: {}: {}", method, reply.code, reply.message));
}

void MoonrakerAdapter::Impl::ask_server() {
  if (asking_ || setting_up_) return;
  asking_ = request("server.info", "", [this](const RpcReply& reply) {
    asking_ = false;
    on_server_info(reply);
  });
}

void MoonrakerAdapter::Impl::on_server_info(const RpcReply& reply) {
  if (is_unauthorized(reply)) return refused(reply.message, reply.code == kForbidden);
  if (reply.kind == RpcReply::Kind::kTimeout) return unanswered("server.info");
  if (!reply.ok() || !reply.result) {
    // Every Moonraker knows this one: no error of it is about Klipper.
    conditions_.seen("moonraker_error", fmt::format("server.info: {}: {}", reply.code, reply.message));
    return look_again("server.info", reply);
  }
  conditions_.gone("unauthorised");
  conditions_.gone("forbidden");
  has_spools_ = has_component(*reply.result, "spoolman");
  has_job_queue_ = has_component(*reply.result, "job_queue");
  has_power_ = has_component(*reply.result, "power");
  moonraker_version_ = short_text(*reply.result, "moonraker_version");
  if (const auto version = member(*reply.result, "api_version_string")) api_version_ = as_text(*version).value_or("");
  const auto state = text_member(*reply.result, "klippy_state");
  if (!state) errors_.note("server_info", "without klippy_state");
  if (!state || *state == "disconnected" || *state == "startup") {
    return klipper_not_ready(state.value_or("startup"), "");
  }
  if (subscribed_ && view_.now().klipper_state == *state) {
    if (*state != "ready") poll_later();  // a restart out of error or shutdown may come without a notification
    return;
  }
  klipper_state_ = std::string(*state);
  set_up();
}

// After a step of the handshake that led nowhere.  Klipper that is not ready is looked for often, because nobody tells
// of its return; Moonraker that fails is asked with the pauses of reads, for as long as the link lives.
void MoonrakerAdapter::Impl::look_again(std::string_view method, const RpcReply& reply) {
  note_failure(method, reply);
  if (!moonraker_failed(reply)) return poll_later();
  poll_at_ = clock_.monotonic() + read_pause(looks_in_vain_, random_);
  looks_in_vain_ = std::min(looks_in_vain_ + 1, kMaxReadRetries);
}

void MoonrakerAdapter::Impl::klipper_not_ready(std::string_view state, std::string_view text) {
  if (subscribed_) klipper_gone();
  if (state_.process_id != 0) state_.klipper_away = true;
  klipper_state_ = std::string(state);
  klipper_text_ = std::string(text);
  tell_connected();
  poll_later();
}

void MoonrakerAdapter::Impl::klipper_gone() {
  jobs_.on_klipper_gone();
  if (state_.process_id != 0) state_.klipper_away = true;
  subscribed_ = setting_up_ = false;
  ++session_;
  fold_.clear();
  view_.clear();
  klipper_state_ = "disconnected";
  klipper_text_.clear();
  poll_later();
}

void MoonrakerAdapter::Impl::set_up() {
  if (setting_up_) return;
  poll_at_.reset();
  setting_up_ = request("printer.info", "", [this, session = session_](const RpcReply& reply) {
    if (session == session_) on_printer_info(reply);
  });
}

void MoonrakerAdapter::Impl::on_printer_info(const RpcReply& reply) {
  if (is_unauthorized(reply)) return refused(reply.message, reply.code == kForbidden);
  const auto state = reply.result ? text_member(*reply.result, "state") : std::nullopt;
  if (!reply.ok() || !state || *state == "startup") {  // "Method not found" and 503 alike: not there yet
    setting_up_ = false;
    klipper_not_ready("startup", reply.result ? short_text(*reply.result, "state_message") : reply.message);
    return look_again("printer.info", reply);
  }
  klipper_version_ = short_text(*reply.result, "software_version");
  hostname_ = short_text(*reply.result, "hostname");
  const int64_t process = integer_member(*reply.result, "process_id").value_or(0);
  const int64_t before = std::exchange(state_.process_id, process);
  tell_connected();
  jobs_.on_process_id(process);
  if (std::exchange(state_.klipper_away, false) || (before != 0 && process != 0 && before != process)) {
    schema::FirmwareRestartedT restarted;
    restarted.process_id = process;
    restarted.previous_process_id = before;
    batch_.add(std::move(restarted));
  }
  list_objects();
}

void MoonrakerAdapter::Impl::list_objects() {
  request("printer.objects.list", "", [this, session = session_](const RpcReply& reply) {
    if (session != session_) return;
    const auto objects = reply.ok() && reply.result ? member(*reply.result, "objects") : std::nullopt;
    if (objects && objects->is_array()) return subscribe(*objects);
    setting_up_ = false;
    if (reply.ok()) errors_.note("objects_list", "without objects");
    klipper_not_ready("startup", reply.message);
    look_again("printer.objects.list", reply);
  });
}

void MoonrakerAdapter::Impl::subscribe(const Json& objects) {
  seen_.begin(objects);
  JsonWriter params;
  params.object().key("objects").object();
  size_t count = 0;
  for (const Json object : objects.get_array()) {
    const auto name = as_text(object);
    if (!name) errors_.note("objects_list", "a name that is no text: " + to_text(object).substr(0, 100));
    if (!name || !is_wanted(*name) || ++count > StatusFold::kMaxObjects) continue;
    params.key(*name).null();
  }
  params.end().end();
  request("printer.objects.subscribe", params.text(), [this, session = session_](const RpcReply& reply) {
    if (session == session_) on_subscribed(reply);
  });
}

void MoonrakerAdapter::Impl::on_subscribed(const RpcReply& reply) {
  setting_up_ = false;
  const auto status = reply.ok() && reply.result ? member(*reply.result, "status") : std::nullopt;
  if (!status || !status->is_object()) {
    if (reply.ok()) errors_.note("subscribe", "without a status");
    klipper_not_ready("startup", reply.message);
    return look_again("printer.objects.subscribe", reply);
  }
  const bool is_new = !std::exchange(subscribed_, true);
  if (is_new) {
    sampler_.begin();
    facts_.begin();
    disk_at_ = clock_.monotonic() + options_.disk_first;
  }
  attempts_ = looks_in_vain_ = 0;
  fold_.clear();
  fold_status(*status, number_member(*reply.result, "eventtime").value_or(0));
  if (view_.now().klipper_state.empty()) errors_.note("subscribe", "a status without the state of webhooks");
  update_machine_state();
  jobs_.on_snapshot(view_.now());
  desk_.on_status();
  facts_.on_versions(klipper_version_, moonraker_version_);
  if (is_new) read_printer_config();
  if (is_new && has_spools_) read_spool();
  if (view_.now().klipper_state != "ready") poll_later();
}

// The object configfile says what Klipper has read, with all includes; the file may have been edited since.
void MoonrakerAdapter::Impl::read_printer_config() {
  read_of_session("printer.objects.query", R"({"objects":{"configfile":["config","settings"]}})",
                  [this](const RpcReply& reply) {
                    if (!reply.ok() || !reply.result) return;
                    const auto status = member(*reply.result, "status");
                    const auto object = status ? member(*status, "configfile") : std::nullopt;
                    const auto config = object ? member(*object, "config") : std::nullopt;
                    if (config) facts_.on_printer_config(*config);
                    const auto settings = object ? member(*object, "settings") : std::nullopt;
                    if (settings) seen_.on_settings(*settings);
                    alarms_.limits_hold(limits_in_force());
                  });
}

void MoonrakerAdapter::Impl::read_spool() {
  read_of_session("server.spoolman.get_spool_id", "", [this](const RpcReply& reply) {
    if (reply.ok() && reply.result) facts_.on_spool(integer_member(*reply.result, "spool_id"));
  });
}

void MoonrakerAdapter::Impl::read_power_devices() {
  reads_.ask({.method = "machine.device_power.devices",
              .timeout = options_.request_timeout,
              .done = [this](const RpcReply& reply) {
                if (reply.ok() && reply.result) seen_.on_power_devices(*reply.result);
              }});
}

// How full the host's disk is comes with the list of a folder only.
void MoonrakerAdapter::Impl::read_disk_usage() {
  disk_at_ = clock_.monotonic() + options_.disk_interval;
  reads_.ask({.method = "server.files.get_directory",
              .params = R"({"path":"gcodes"})",
              .timeout = options_.request_timeout,
              .done = [this](const RpcReply& reply) {
                const auto usage = reply.ok() && reply.result ? member(*reply.result, "disk_usage") : std::nullopt;
                if (usage) sampler_.on_disk_usage(*usage);
              }});
}

// It is Moonraker's own and lives in its memory, whatever Klipper does.
void MoonrakerAdapter::Impl::read_job_queue() {
  reads_.ask(
      {.method = "server.job_queue.status", .timeout = options_.request_timeout, .done = [this](const RpcReply& reply) {
         if (!reply.ok() || !reply.result) return note_failure("server.job_queue.status", reply);
         if (!facts_.on_queue(*reply.result)) errors_.note("job_queue", "server.job_queue.status without a list");
       }});
}

void MoonrakerAdapter::Impl::tell_connected() {
  if (std::exchange(told_connected_, true)) return;
  state_.connected = true;
  schema::MachineConnectedT connected;
  connected.moonraker_version = moonraker_version_;
  connected.api_version = api_version_;
  connected.klipper_version = klipper_version_;
  connected.hostname = hostname_;
  connected.klipper_process_id = klipper_version_.empty() ? 0 : state_.process_id;
  batch_.add(std::move(connected));
  if (!disk_at_) disk_at_ = clock_.monotonic() + options_.disk_first;
  if (has_job_queue_) read_job_queue();
  if (has_power_) read_power_devices();
}

void MoonrakerAdapter::Impl::read_history(bool from_start) {
  if (from_start) backfill_.begin();
  history_retry_at_.reset();
  MachineRead page;
  page.method = "server.history.list";
  page.params = backfill_.params();
  page.timeout = options_.request_timeout;
  page.wanted = [this, session = session_] { return session == session_; };
  page.failed = [this, session = session_](const RpcReply& reply) {
    if (session == session_) history_failed(what_was_said(reply));
  };
  page.done = [this, session = session_](const RpcReply& reply) {
    if (session == session_) on_history_page(reply);
  };
  reads_.ask(std::move(page));
}

void MoonrakerAdapter::Impl::on_history_page(const RpcReply& reply) {
  if (!reply.ok() || !reply.result) {
    const bool absent = reply.code == -32601 && reply.message.find("Method not found") != std::string::npos;
    return absent ? no_history() : retry_history(what_was_said(reply));
  }
  switch (backfill_.on_page(*reply.result, [this](const HistoryRow& row) { return jobs_.is_settled(row); })) {
    case HistoryBackfill::Step::kMore:
      return read_history(false);
    case HistoryBackfill::Step::kMalformed:
      return retry_history("an answer without jobs");
    case HistoryBackfill::Step::kDone:
      history_attempts_ = 0;
      conditions_.gone("history_unreadable");
      if (backfill_.truncated()) conditions_.seen("history_incomplete", kIncompleteText);
      history_gauge_.set(1);
      return jobs_.on_history(backfill_.take_rows());
  }
}

// An older Moonraker, or one that is told to keep none.
void MoonrakerAdapter::Impl::no_history() {
  history_gauge_.set(0);
  jobs_.on_history_failed(true);
}

// History that cannot be read never blocks the live part.
void MoonrakerAdapter::Impl::history_failed(const std::string& said) {
  history_gauge_.set(0);
  jobs_.on_history_failed(false);
  errors_.note("history", "server.history.list failed; it is tried again");
  history_attempts_ = std::min(history_attempts_ + 1, kMaxHistoryDoublings);
  // Once may be a restart that goes on just now.
  if (history_attempts_ > 1) conditions_.seen("history_unreadable", "server.history.list: " + said);
}

// Where asking for the page again did not help, all of it is read anew later, for ever.
void MoonrakerAdapter::Impl::retry_history(const std::string& said) {
  history_failed(said);
  history_retry_at_ =
      clock_.monotonic() + backoff(history_attempts_ - 1, options_.reconnect_min, options_.reconnect_max, random_);
}

// For a print that has no row yet (L2): the message may have been lost, the row not.
void MoonrakerAdapter::Impl::read_recent_rows() {
  read_of_session("server.history.list", R"({"limit":5,"start":0,"order":"desc"})", [this](const RpcReply& reply) {
    if (!reply.ok() || !reply.result) return;
    HistoryBackfill recent(errors_);
    recent.begin();
    recent.on_page(*reply.result, [](const HistoryRow&) { return true; });
    jobs_.on_recent_rows(recent.take_rows());
  });
}

}  // namespace millrace
