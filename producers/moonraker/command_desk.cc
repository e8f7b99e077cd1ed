// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/command_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "bus/crc32.h"
#include "bus/json_writer.h"
#include "producers/moonraker/command_effect.h"
#include "producers/moonraker/snapshot_view.h"
#include "safety/command_effects.h"

namespace millrace {
namespace {

constexpr size_t kMaxSaid = 2'000;  // of the machine's words, in an event
constexpr std::chrono::seconds kClocksAgree{1};
constexpr int64_t kServerError = 500;
constexpr int64_t kMethodNotFound = -32601;
// What may be otherwise once the machine has told what became of the commands before.
constexpr std::array<std::string_view, 6> kOfTheMoment = {"not_homed",      "position_unknown",    "position_limit",
                                                          "velocity_limit", "motion_during_print", "cold_extrusion"};

std::string shortened(std::string_view text) { return std::string(text.substr(0, kMaxSaid)); }

std::string text_of(const RpcReply& reply) {
  if (!reply.result) return "";
  const auto text = as_text(*reply.result);
  return shortened(text ? std::string(*text) : to_text(*reply.result));
}

bool is_klippy_gone(const RpcReply& reply) {
  return reply.kind == RpcReply::Kind::kError && reply.message.find("Klippy Disconnected") != std::string::npos;
}

bool is_restart(CommandKind kind) { return kind == CommandKind::kFirmwareRestart || kind == CommandKind::kHostRestart; }

// What makes a machine safer is sent however often others failed: one that may not arrive is better than none.
bool is_calming(const Command& command) {
  switch (command.kind) {
    case CommandKind::kPause:
    case CommandKind::kCancel:
    case CommandKind::kCoolDown:
    case CommandKind::kFirmwareRestart:
    case CommandKind::kHostRestart:
      return true;
    case CommandKind::kSetTemperature:
      return command.as<TemperatureArguments>().target == 0;
    default:
      return false;
  }
}

std::string_view failure_code(const RpcReply& reply) {
  if (reply.code == kMethodNotFound) return "not_available";
  if (reply.code == 503) return "klipper_not_ready";
  return reply.code >= kServerError ? "moonraker_error" : "machine_error";
}

std::vector<std::unique_ptr<schema::RefusalT>> in_event(const std::vector<Refusal>& reasons) {
  std::vector<std::unique_ptr<schema::RefusalT>> told;
  for (const Refusal& reason : reasons) {
    auto refusal = std::make_unique<schema::RefusalT>();
    refusal->rule = reason.rule;
    refusal->detail = shortened(reason.detail);
    told.push_back(std::move(refusal));
  }
  return told;
}

// "bed" and "chamber" mean the machine's only heater of that kind: so people name them.  What the machine itself calls
// a heater goes first.
void name_as_the_machine_does(Command& command, const MachineSnapshot& machine) {
  auto* wanted = std::get_if<TemperatureArguments>(&command.arguments);
  if (wanted == nullptr || heater_of(machine, wanted->heater) != nullptr) return;
  const HeaterSnapshot* meant = nullptr;
  for (const HeaterSnapshot& heater : machine.heaters) {
    const bool of_kind = heater.kind == HeaterKind::kBed || heater.kind == HeaterKind::kChamber;
    if (!of_kind || name_of(heater.kind) != wanted->heater) continue;
    if (meant != nullptr) return;
    meant = &heater;
  }
  if (meant != nullptr) wanted->heater = meant->name;
}

// "gcodes/parts" of "parts/benchy.gcode".
std::string folder_of(const std::string& filename) {
  const size_t slash = filename.rfind('/');
  return slash == std::string::npos ? "gcodes" : "gcodes/" + filename.substr(0, slash);
}

std::string name_in_folder(const std::string& filename) {
  const size_t slash = filename.rfind('/');
  return slash == std::string::npos ? filename : filename.substr(slash + 1);
}

bool is_of_the_moment(const Refusal& reason) {
  return std::find(kOfTheMoment.begin(), kOfTheMoment.end(), reason.rule) != kOfTheMoment.end();
}

std::string one_param(std::string_view name, std::string_view value) {
  JsonWriter json;
  json.object().field(name, value).end();
  return json.take();
}

}  // namespace

std::string reply_json(std::string_view machine, const CommandMessage& message, std::string_view status,
                       const std::vector<Refusal>& reasons, std::string_view code, std::string_view text, WallTime at) {
  JsonWriter json;
  json.object().field("command_id", message.id).field("machine", machine);
  json.field("command", message.command).field("status", status).key("reasons").array();
  for (const Refusal& reason : reasons) json.object().field("rule", reason.rule).field("detail", reason.detail).end();
  json.end().text_or_null("code", code).text_or_null("text", text).field("at", to_rfc3339(at)).end();
  return json.take();
}

CommandDesk::CommandDesk(CommandDeskOptions options, const Clock& clock, EventBatch& out, CommandMemory& memory,
                         CircuitBreaker& breaker, Machine machine)
    : options_(std::move(options)),
      clock_(clock),
      out_(out),
      memory_(memory),
      machine_(std::move(machine)),
      breaker_(breaker) {}

void CommandDesk::begin() {
  for (const UnderWay& left : std::exchange(memory_.under_way, {})) {
    schema::CommandNotConfirmedT event;
    event.command_id = left.id;
    event.command = left.command;
    event.text = "the adapter was started anew before the machine had answered";
    out_.add_for(std::move(event), left.actor, left.id);
  }
}

void CommandDesk::take(AskedCommand asked) {
  CommandMessage& message = asked.message;
  const bool has_id = !message.id.empty();
  if (!has_id) message.id = new_id();
  if (answered_before(asked)) return;
  if (is_replayed(asked)) return reject_replayed(std::move(asked));
  std::optional<Command> command;
  std::optional<Refusal> refused = asked.refused;
  if (!refused) {
    JsonReader reader(kMaxCommandBytes, 12);
    const auto args = reader.parse(message.args);
    const auto parsed = args ? parse_command(message.command, *args) : Result<Command>(args.error());
    if (parsed) {
      command = *parsed;
      message.args = args_json(*command);
    } else {
      refused =
          Refusal{parsed.error().code == Errc::kNotFound ? "unknown_command" : "invalid_args", parsed.error().context};
    }
  }
  if (!refused && answered_by_key(asked, has_id, refused)) return;
  if (!message.recorded) tell_request(asked, message.args);
  if (refused) return reject(asked, {*refused});
  const uint64_t number = ++last_number_;
  Pending& pending = pending_[number];
  pending.asked = std::move(asked);
  pending.command = std::move(*command);
  pending.influence = influence_of(pending.command, machine_.snapshot().macros);
  if (clock_.monotonic() > expires(pending.asked)) return expire(number);
  if (pending_.size() > kMaxPending) {
    const AskedCommand refused_one = std::move(pending.asked);
    pending_.erase(number);
    return reject(refused_one, {{"too_many_commands",
                                 fmt::format("{} commands wait at this machine: wait for one to end", kMaxPending)}});
  }
  pending.deadline = expires(pending.asked);
  if (is_calming(pending.command)) take_turn(number);
  take_turns();
}

// A burst, or a Moonraker that was busy for a moment, fills the place of those under way for less than a command may
// wait.
void CommandDesk::take_turns() {
  while (is_free()) {
    const auto next =
        std::ranges::find_if(pending_, [](const auto& entry) { return entry.second.stage == Stage::kWaitingForTurn; });
    if (next == pending_.end()) return;
    take_turn(next->first);
  }
}

bool CommandDesk::is_free() const {
  const auto under_way = std::ranges::count_if(pending_, [](const auto& entry) {
    const Stage stage = entry.second.stage;
    return stage == Stage::kReadingFile || stage == Stage::kWaitingForState || stage == Stage::kSent;
  });
  return static_cast<size_t>(under_way) < kMaxUnderWay;
}

void CommandDesk::take_turn(uint64_t number) {
  Pending& pending = pending_.at(number);
  pending.deadline.reset();
  // Who may not start anything makes Moonraker look for no file.
  const bool has_file =
      pending.command.kind == CommandKind::kStart && may_ask(pending.asked.scopes, CommandKind::kStart);
  has_file ? read_file(number) : judge_and_send(number);
}

bool CommandDesk::answered_before(const AskedCommand& asked) {
  const auto same = [&](const auto& entry) { return entry.second.asked.message.id == asked.message.id; };
  if (std::any_of(pending_.begin(), pending_.end(), same)) return true;
  const auto ended = ended_.find(asked.message.id);
  if (ended == ended_.end()) return false;
  machine_.reply({asked.message.id, ended->second, asked.response_topic, asked.correlation_data});
  return true;
}

std::string CommandDesk::new_id() const {
  const EventId id = out_.next_id();
  return fmt::format("{:x}-{:x}-{:08x}", id.epoch, id.sequence, crc32_of(options_.machine));
}

// The hub's commands come in their order, so what is not above the newest one has been here, perhaps before this
// process was, or has been kept back.
bool CommandDesk::is_replayed(const AskedCommand& asked) {
  const EventOrder& order = asked.message.order;
  if (order == EventOrder{}) return false;  // nobody signed it
  if (order <= memory_.newest) return true;
  memory_.newest = order;
  return false;
}

// Under an id of its own: what became of the one that it was made from stays.
void CommandDesk::reject_replayed(AskedCommand asked) {
  CommandMessage& message = asked.message;
  const Refusal reason{"replayed", fmt::format("command {} of '{}' was sent once more, by somebody who is not the hub",
                                               message.id, message.actor)};
  message.id = new_id();
  message.claimed_actor = message.actor;
  message.actor = message.client = "mqtt";
  message.key_id.clear();
  message.address.clear();
  message.idempotency_key.clear();
  tell_request(asked, message.args);
  reject(asked, {reason});
}

// The same key of the same actor asks for the same command once.  What the hub has recorded it has looked up itself.
bool CommandDesk::answered_by_key(AskedCommand& asked, bool has_id, std::optional<Refusal>& refused) {
  CommandMessage& message = asked.message;
  if (message.idempotency_key.empty()) return false;
  const std::string name = message.actor + '\n' + message.claimed_actor + '\n' + message.idempotency_key;
  const Sha256 args = Sha256Digester().digest(message.args);
  const auto [found, is_new] = keyed_.try_emplace(name, Keyed{message.id, message.command, args});
  if (is_new || message.recorded) return false;
  const Keyed& earlier = found->second;
  if (earlier.command != message.command || earlier.args != args) {
    refused =
        Refusal{"idempotency_key_used",
                fmt::format("idempotency_key '{}' was used for another {}, command {}: a new command needs a new key",
                            message.idempotency_key, earlier.command, earlier.id)};
    message.idempotency_key.clear();  // it stays the other one's
    return false;
  }
  CommandMessage same = message;
  same.id = earlier.id;
  const auto ended = ended_.find(earlier.id);
  std::string told = ended != ended_.end() ? ended->second
                                           : reply_json(options_.machine, same, "requested", {}, "", "", clock_.wall());
  // An id that was made for it is given to the next command.
  const std::string& told_as = has_id ? message.id : earlier.id;
  machine_.reply({told_as, std::move(told), asked.response_topic, asked.correlation_data});
  return true;
}

void CommandDesk::tell_request(const AskedCommand& asked, const std::string& args) {
  const CommandMessage& message = asked.message;
  schema::CommandRequestedT event;
  event.command_id = message.id;
  event.command = message.command;
  event.args = recorded_args(args);
  event.client = message.client;
  event.address = message.address;
  event.key_id = message.key_id;
  event.claimed_actor = message.claimed_actor;
  event.idempotency_key = message.idempotency_key;
  event.expires_in_s = message.expires_in_s;
  event.expected_state_version = message.expected_state_version;
  event.expected_job_id = message.expected_job_id;
  out_.add_for(std::move(event), message.actor, message.id);
}

// By receipt, and by the sender's clock too where both agree (decision 14).
MonotonicTime CommandDesk::expires(const AskedCommand& asked) const {
  const auto allowed = std::chrono::duration_cast<Micros>(std::chrono::duration<double>(asked.message.expires_in_s));
  MonotonicTime until = asked.received + allowed;
  if (asked.message.sent_at == WallTime{}) return until;
  const WallTime received = clock_.wall() - (clock_.monotonic() - asked.received);
  const Micros on_the_way = received - asked.message.sent_at;
  if (on_the_way > Micros(0) && on_the_way <= kClocksAgree) until -= on_the_way;
  return until;
}

void CommandDesk::read_file(uint64_t number) {
  Pending& pending = pending_.at(number);
  if (!machine_.snapshot().link_up) return judge_and_send(number);
  pending.stage = Stage::kReadingFile;
  read(number, "server.files.metadata", one_param("filename", pending.command.as<StartArguments>().filename),
       &CommandDesk::on_metadata);
}

// Not asked again once the command's time is over.
void CommandDesk::read(uint64_t number, std::string method, std::string params,
                       void (CommandDesk::*on_reply)(uint64_t, const RpcReply&)) {
  MachineRead wanted;
  wanted.method = std::move(method);
  wanted.params = std::move(params);
  wanted.timeout = options_.file_max;
  wanted.until = expires(pending_.at(number).asked);
  wanted.done = [this, number, on_reply](const RpcReply& reply) { (this->*on_reply)(number, reply); };
  machine_.read(std::move(wanted));
}

void CommandDesk::on_metadata(uint64_t number, const RpcReply& reply) {
  const auto found = pending_.find(number);
  if (found == pending_.end()) return;
  if (moonraker_failed(reply)) return judge_and_send(number);
  if (!reply.ok() || !reply.result) return look_for_file(number);
  found->second.file = file_snapshot(found->second.command.as<StartArguments>().filename, *reply.result);
  judge_and_send(number);
}

// Moonraker has no metadata of a file that is not there, nor of one that no slicer wrote.
void CommandDesk::look_for_file(uint64_t number) {
  const std::string& filename = pending_.at(number).command.as<StartArguments>().filename;
  read(number, "server.files.get_directory", one_param("path", folder_of(filename)), &CommandDesk::on_directory);
}

void CommandDesk::on_directory(uint64_t number, const RpcReply& reply) {
  const auto found = pending_.find(number);
  if (found == pending_.end()) return;
  FileSnapshot file;
  file.filename = found->second.command.as<StartArguments>().filename;
  const auto files = reply.ok() && reply.result ? member(*reply.result, "files") : std::nullopt;
  simdjson::dom::array list;
  if (files && files->get_array().get(list) == simdjson::SUCCESS) {
    file.exists = false;
    for (const Json entry : list) {
      if (text_member(entry, "filename") == name_in_folder(file.filename)) file.exists = true;
    }
  } else if (reply.kind == RpcReply::Kind::kError && (reply.code == 400 || reply.code == kMethodNotFound)) {
    file.exists = false;  // there is not even such a folder
  }
  found->second.file = std::move(file);
  judge_and_send(number);
}

void CommandDesk::judge_and_send(uint64_t number) {
  Pending& pending = pending_.at(number);
  if (clock_.monotonic() > expires(pending.asked)) return expire(number);
  if (pending.command.kind == CommandKind::kSetTemperature) {
    name_as_the_machine_does(pending.command, machine_.snapshot());
  }
  std::vector<Refusal> reasons = reasons_against(pending);
  if (has_to_wait(number)) {
    if (std::all_of(reasons.begin(), reasons.end(), is_of_the_moment)) return wait_for_state(number);
  }
  if (!reasons.empty()) {
    const AskedCommand asked = std::move(pending.asked);
    pending_.erase(number);
    return reject(asked, reasons);
  }
  schema::CommandAcceptedT event;
  event.command_id = pending.asked.message.id;
  event.command = pending.asked.message.command;
  event.state_version = machine_.snapshot().state_version;
  out_.add_for(std::move(event), pending.asked.message.actor, pending.asked.message.id);
  reply(pending.asked, "accepted", {}, "", "");
  moonraker_call(pending.command).method.empty() ? do_at_desk(number) : send(number);
}

bool CommandDesk::has_to_wait(uint64_t number) const {
  const CommandInfluence& influence = pending_.at(number).influence;
  if (influence.needs_motion && !motion_told_) return true;
  if (influence.needs_print && !print_told_) return true;
  for (const auto& [other, before] : pending_) {
    if (other >= number) break;
    if (before.stage == Stage::kReadingFile) continue;
    // In the order in which they came.
    if (before.stage == Stage::kWaitingForState && (influence.needs_print || influence.leaves_motion)) return true;
    if (influence.needs_motion && before.influence.leaves_motion) return true;
    if (influence.needs_print && before.influence.leaves_print) return true;
  }
  return false;
}

void CommandDesk::wait_for_state(uint64_t number) {
  Pending& pending = pending_.at(number);
  pending.stage = Stage::kWaitingForState;
  pending.deadline = expires(pending.asked);
}

void CommandDesk::judge_waiting() {
  std::vector<uint64_t> waiting;
  for (const auto& [number, pending] : pending_) {
    if (pending.stage == Stage::kWaitingForState) waiting.push_back(number);
  }
  for (const uint64_t number : waiting) {
    if (pending_.contains(number)) judge_and_send(number);
  }
}

std::vector<Refusal> CommandDesk::reasons_against(const Pending& pending) {
  MachineSnapshot machine = machine_.snapshot();
  machine.file = pending.file;
  const CommandMessage& message = pending.asked.message;
  std::vector<Refusal> reasons =
      judge(pending.command, {pending.asked.scopes, message.expected_state_version, message.expected_job_id}, machine,
            machine_.limits());
  const bool sends = !moonraker_call(pending.command).method.empty();
  if (sends && !is_calming(pending.command) && !breaker_.lets_through()) {
    reasons.push_back(
        {"machine_not_answering",
         fmt::format("Moonraker failed {} times in a row: the next command is tried in {} s",
                     CircuitBreakerOptions{}.failures, std::max<int64_t>(0, breaker_.remaining().count()))});
  }
  const bool owned = motion_.under_way > 0 || clock_.monotonic() < motion_.until;
  if (pending.influence.moves && owned && motion_.owner != owner_of(pending.asked)) {
    reasons.push_back({"motion_owned", fmt::format("{} moves the machine: wait until that has ended", motion_.owner)});
  }
  return reasons;
}

std::string CommandDesk::owner_of(const AskedCommand& asked) {
  const CommandMessage& message = asked.message;
  if (!message.key_id.empty()) return message.actor.empty() ? "key " + message.key_id : message.actor;
  if (!message.actor.empty()) return message.actor + (message.address.empty() ? "" : " at " + message.address);
  return message.claimed_actor.empty() ? message.client : message.claimed_actor;
}

void CommandDesk::send(uint64_t number) {
  Pending& pending = pending_.at(number);
  const MoonrakerCall call = moonraker_call(pending.command);
  pending.stage = Stage::kSent;
  pending.deadline.reset();
  pending.sent = clock_.monotonic();
  const bool sent = machine_.call(call.method, call.params, call.timeout,
                                  [this, number](const RpcReply& reply) { on_answer(number, reply); });
  if (!pending_.contains(number)) return;  // the link went with it
  if (!sent) return fail(number, "not_sent", "the connection to Moonraker takes nothing now");
  breaker_.began();
  if (pending.influence.moves) {
    motion_.owner = owner_of(pending.asked);
    ++motion_.under_way;
  }
  schema::CommandSentT event;
  event.command_id = pending.asked.message.id;
  event.command = pending.asked.message.command;
  event.method = call.method;
  event.waited_us = (pending.sent - pending.asked.received).count();
  out_.add_for(std::move(event), pending.asked.message.actor, pending.asked.message.id);
  memory_.under_way.push_back({pending.asked.message.id, pending.asked.message.command, pending.asked.message.actor});
}

void CommandDesk::do_at_desk(uint64_t number) {
  const Pending& pending = pending_.at(number);
  if (pending.command.kind == CommandKind::kPlateCleared) {
    machine_.clear_plate(pending.asked);
  } else if (pending.command.kind == CommandKind::kResetEmergency) {
    machine_.reset_emergency(pending.asked, pending.command.as<ReasonArguments>().reason);
  } else {
    return fail(number, "not_available", "this adapter cannot do it");
  }
  complete(number, "");
}

void CommandDesk::on_answer(uint64_t number, const RpcReply& reply) {
  const auto found = pending_.find(number);
  if (found == pending_.end()) return;
  const CommandKind kind = found->second.command.kind;
  if (reply.kind == RpcReply::Kind::kTimeout) {
    breaker_.failed();
    return leave_unknown(number, "Moonraker did not answer");
  }
  if (is_klippy_gone(reply)) {
    breaker_.succeeded();
    if (is_restart(kind)) return complete(number, "Klipper is restarting");
    return leave_unknown(number, "Klipper went away before it had answered");
  }
  if (reply.ok()) {
    breaker_.succeeded();
    return expect_effect(number, text_of(reply));
  }
  moonraker_failed(reply) ? breaker_.failed() : breaker_.succeeded();
  fail(number, failure_code(reply), shortened(reply.message));
}

// "ok" means that Klipper took it, not that it was done.
void CommandDesk::expect_effect(uint64_t number, const std::string& text) {
  Pending& pending = pending_.at(number);
  pending.said = text;
  const auto seen = effect_seen(pending);
  const auto state = machine_.snapshot().state;
  const bool stopped = state == schema::MachineState::shutdown || state == schema::MachineState::error;
  if (stopped && !is_restart(pending.command.kind) && seen != std::optional<bool>(true)) {
    return leave_unknown(number, "Klipper was shut down while it ran");
  }
  if (!seen || *seen) return complete(number, text);
  pending.stage = Stage::kWaitingForEffect;
  pending.deadline = clock_.monotonic() + options_.effect_max;
}

std::optional<bool> CommandDesk::effect_seen(const Pending& pending) const {
  return effect_shows(pending.command, {machine_.snapshot(), machine_.print_file(), machine_.factor("speed_factor"),
                                        machine_.factor("extrude_factor"), clock_.monotonic() - pending.sent});
}

void CommandDesk::on_status() {
  std::vector<uint64_t> done;
  for (const auto& [number, pending] : pending_) {
    if (pending.stage == Stage::kWaitingForEffect && effect_seen(pending).value_or(true)) done.push_back(number);
  }
  for (const uint64_t number : done) complete(number, pending_.at(number).said);
  motion_told_ = print_told_ = true;
  judge_waiting();
}

void CommandDesk::on_link_lost() {
  std::vector<uint64_t> numbers;
  for (const auto& [number, pending] : pending_) numbers.push_back(number);
  for (const uint64_t number : numbers) {
    Pending& pending = pending_.at(number);
    if (pending.stage == Stage::kSent || pending.stage == Stage::kWaitingForEffect) {
      leave_unknown(number, "the connection to Moonraker was lost before it had answered");
      continue;
    }
    const AskedCommand asked = std::move(pending.asked);
    pending_.erase(number);
    reject(asked, {{"link_down", "the connection to Moonraker was lost: try again when the machine is connected"}});
  }
}

std::optional<MonotonicTime> CommandDesk::next_deadline() const {
  std::optional<MonotonicTime> next;
  for (const auto& [number, pending] : pending_) {
    if (pending.deadline && (!next || *pending.deadline < *next)) next = pending.deadline;
  }
  return next;
}

void CommandDesk::on_timer() {
  std::vector<uint64_t> late;
  for (const auto& [number, pending] : pending_) {
    if (pending.deadline && *pending.deadline <= clock_.monotonic()) late.push_back(number);
  }
  for (const uint64_t number : late) {
    if (pending_.at(number).stage == Stage::kWaitingForTurn) {
      expire(number);
    } else if (pending_.at(number).stage == Stage::kWaitingForState) {
      reject_unsettled(number);
    } else if (effect_seen(pending_.at(number)).value_or(true)) {
      complete(number, pending_.at(number).said);
    } else {
      leave_unknown(number, "the machine answered ok, but its state does not show it");
    }
  }
}

void CommandDesk::reject(const AskedCommand& asked, const std::vector<Refusal>& reasons) {
  schema::CommandRejectedT event;
  event.command_id = asked.message.id;
  event.command = asked.message.command;
  event.reasons = in_event(reasons);
  out_.add_for(std::move(event), asked.message.actor, asked.message.id);
  reply(asked, "rejected", reasons, "", "");
}

// Its time is over before the machine has told what it would have to be judged by.
void CommandDesk::reject_unsettled(uint64_t number) {
  std::vector<Refusal> reasons = reasons_against(pending_.at(number));
  reasons.push_back({"state_unsettled",
                     "an earlier command of this machine has not ended, or the machine did not tell yet where that "
                     "left it: ask again when it has"});
  const auto entry = pending_.extract(number);
  reject(entry.mapped().asked, reasons);
}

void CommandDesk::complete(uint64_t number, const std::string& text) {
  const Pending& pending = pending_.at(number);
  schema::CommandCompletedT event;
  event.command_id = pending.asked.message.id;
  event.command = pending.asked.message.command;
  event.text = text;
  event.took_us = pending.sent == MonotonicTime{} ? 0 : (clock_.monotonic() - pending.sent).count();
  out_.add_for(std::move(event), pending.asked.message.actor, pending.asked.message.id);
  end(number, "completed", "", text);
}

void CommandDesk::fail(uint64_t number, std::string_view code, const std::string& text) {
  const Pending& pending = pending_.at(number);
  schema::CommandFailedT event;
  event.command_id = pending.asked.message.id;
  event.command = pending.asked.message.command;
  event.code = code;
  event.text = text;
  event.took_us = pending.sent == MonotonicTime{} ? 0 : (clock_.monotonic() - pending.sent).count();
  out_.add_for(std::move(event), pending.asked.message.actor, pending.asked.message.id);
  end(number, "failed", code, text);
}

void CommandDesk::leave_unknown(uint64_t number, const std::string& text) {
  const Pending& pending = pending_.at(number);
  schema::CommandNotConfirmedT event;
  event.command_id = pending.asked.message.id;
  event.command = pending.asked.message.command;
  event.text = text;
  out_.add_for(std::move(event), pending.asked.message.actor, pending.asked.message.id);
  end(number, "not_confirmed", "", text);
}

void CommandDesk::expire(uint64_t number) {
  const Pending& pending = pending_.at(number);
  schema::CommandExpiredT event;
  event.command_id = pending.asked.message.id;
  event.command = pending.asked.message.command;
  event.waited_us = (clock_.monotonic() - pending.asked.received).count();
  out_.add_for(std::move(event), pending.asked.message.actor, pending.asked.message.id);
  end(number, "expired", "", "it came too late and was not carried out");
}

void CommandDesk::end(uint64_t number, std::string_view status, std::string_view code, const std::string& text) {
  const auto entry = pending_.extract(number);
  const Pending& pending = entry.mapped();
  std::erase_if(memory_.under_way, [&](const UnderWay& one) { return one.id == pending.asked.message.id; });
  if (pending.sent != MonotonicTime{}) {
    motion_told_ = motion_told_ && !pending.influence.leaves_motion;
    print_told_ = print_told_ && !pending.influence.leaves_print;
  }
  if (pending.sent != MonotonicTime{} && pending.influence.moves) {
    motion_.under_way = std::max(0, motion_.under_way - 1);
    motion_.until = clock_.monotonic() + options_.motion_lease;
  }
  reply(pending.asked, status, {}, code, text);
}

void CommandDesk::reply(const AskedCommand& asked, std::string_view status, const std::vector<Refusal>& reasons,
                        std::string_view code, std::string_view text) {
  std::string told = reply_json(options_.machine, asked.message, status, reasons, code, text, clock_.wall());
  if (status != "accepted") {
    if (ended_.emplace(asked.message.id, told).second) ended_order_.push_back(asked.message.id);
    while (ended_order_.size() > kMaxRemembered) {
      std::erase_if(keyed_, [&](const auto& entry) { return entry.second.id == ended_order_.front(); });
      ended_.erase(ended_order_.front());
      ended_order_.pop_front();
    }
  }
  machine_.reply({asked.message.id, std::move(told), asked.response_topic, asked.correlation_data});
}

}  // namespace millrace
