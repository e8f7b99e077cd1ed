// SPDX-License-Identifier: Apache-2.0
#include "projections/command_history.h"

#include <algorithm>
#include <array>

#include "projections/job_history_keys.h"
#include "projections/record.h"

namespace millrace {
namespace {

using schema::CommandViewT;

constexpr size_t kMaxIdBytes = 64;
constexpr size_t kMaxLooked = 10'000;
constexpr std::array<EventType, 8> kTypes = {EventType::CommandRequested, EventType::CommandAccepted,
                                             EventType::CommandRejected,  EventType::CommandSent,
                                             EventType::CommandCompleted, EventType::CommandFailed,
                                             EventType::CommandExpired,   EventType::CommandNotConfirmed};

std::string command_key(std::string_view id) { return "c/" + std::string(id); }
std::string in_order(uint64_t position) { return job_keys::big_endian_of(~position); }
std::string machine_prefix(std::string_view machine) { return "m/" + std::string(machine) + "/"; }
constexpr std::string_view kAllPrefix = "t/";

std::string repeat_key(std::string_view machine, std::string_view actor, std::string_view key) {
  std::string text = "i/";
  // Lengths keep parts apart that may hold any byte.
  text += std::string(machine) + "/" + std::to_string(actor.size()) + "/" + std::string(actor) + "/" + std::string(key);
  return text;
}

// One event on its way into the view.
class Fold {
 public:
  Fold(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed)
      : event_(event), batch_(batch), changed_(changed), at_us_(to_unix_us(event.envelope.observed_at())) {}

  void run() {
    const Envelope& envelope = event_.envelope;
    if (const auto* requested = envelope.as<schema::CommandRequested>()) {
      on(requested, [&](CommandViewT& command) { request(command, *requested); });
    } else if (const auto* accepted = envelope.as<schema::CommandAccepted>()) {
      on(accepted, [&](CommandViewT& command) {
        advance(command, "accepted");
        command.accepted_us = at_us_;
      });
    } else if (const auto* rejected = envelope.as<schema::CommandRejected>()) {
      on(rejected, [&](CommandViewT& command) { reject(command, *rejected); });
    } else if (const auto* sent = envelope.as<schema::CommandSent>()) {
      on(sent, [&](CommandViewT& command) {
        advance(command, "sent");
        command.sent_us = at_us_;
        command.method = text(sent->method());
      });
    } else if (const auto* completed = envelope.as<schema::CommandCompleted>()) {
      on(completed, [&](CommandViewT& command) { end(command, "completed", text(completed->text())); });
    } else if (const auto* failed = envelope.as<schema::CommandFailed>()) {
      on(failed, [&](CommandViewT& command) {
        if (end(command, "failed", text(failed->text()))) command.code = text(failed->code());
      });
    } else if (const auto* expired = envelope.as<schema::CommandExpired>()) {
      on(expired, [&](CommandViewT& command) { end(command, "expired", ""); });
    } else if (const auto* unknown = envelope.as<schema::CommandNotConfirmed>()) {
      on(unknown, [&](CommandViewT& command) { end(command, "not_confirmed", text(unknown->text())); });
    }
  }

 private:
  template <class Payload, class Change>
  void on(const Payload* payload, const Change& change) {
    const std::string_view id = text(payload->command_id());
    if (id.empty() || id.size() > kMaxIdBytes) return;
    CommandViewT command;
    if (const auto stored = batch_.get(command_key(id))) {
      auto decoded = decode_record<schema::CommandView>(*stored);
      if (!decoded) return batch_.fail(make_error(Errc::kCorrupt, "commands: record '" + std::string(id) + "'"));
      command = std::move(*decoded);
    } else {
      begin(command, id, text(payload->command()));
    }
    change(command);
    command.last_position = event_.position.value;
    batch_.put(command_key(id), encode_record<schema::CommandView>(command));
    changed_.insert(command_key(id));
  }

  void begin(CommandViewT& command, std::string_view id, std::string_view name) {
    command.id = id;
    command.machine = event_.envelope.machine();
    command.command = name;
    command.status = "requested";
    command.first_position = event_.position.value;
    const std::string order = in_order(command.first_position);
    batch_.put(std::string(kAllPrefix) + order, command.id);
    batch_.put(machine_prefix(command.machine) + order, command.id);
  }

  void request(CommandViewT& command, const schema::CommandRequested& event) {
    command.command = text(event.command());
    command.args = text(event.args());
    command.actor = text(event_.envelope.table().actor());
    command.client = text(event.client());
    command.address = text(event.address());
    command.key_id = text(event.key_id());
    command.claimed_actor = text(event.claimed_actor());
    command.idempotency_key = text(event.idempotency_key());
    command.expected_state_version = text(event.expected_state_version());
    command.expected_job_id = text(event.expected_job_id());
    command.expires_in_s = event.expires_in_s();
    command.requested_us = at_us_;
    if (command.idempotency_key.empty()) return;
    batch_.put(repeat_key(command.machine, command.actor, command.idempotency_key), command.id);
  }

  static void advance(CommandViewT& command, std::string_view status) {
    if (!is_final_command_status(command.status)) command.status = status;
  }

  void reject(CommandViewT& command, const schema::CommandRejected& event) {
    if (!end(command, "rejected", "") || event.reasons() == nullptr) return;
    for (const auto* reason : *event.reasons()) {
      auto copy = std::make_unique<schema::RefusalT>();
      reason->UnPackTo(copy.get());
      command.reasons.push_back(std::move(copy));
    }
  }

  // What the machine itself told wins over what a witness had to suppose.
  bool end(CommandViewT& command, std::string_view status, std::string_view said) {
    const bool supposed = command.status == "expired" || command.status == "not_confirmed";
    if (is_final_command_status(command.status) && !supposed) return false;
    if (supposed && (status == "expired" || status == "not_confirmed")) return false;
    command.status = status;
    command.ended_us = at_us_;
    command.text = said;
    return true;
  }

  const RecordedEvent& event_;
  ViewBatch& batch_;
  ChangedKeys& changed_;
  const int64_t at_us_;
};

class CommandHistory final : public Projection {
 public:
  std::string_view name() const override { return kCommandsView; }
  uint32_t version() const override { return 1; }
  std::set<EventType> types() const override { return {kTypes.begin(), kTypes.end()}; }
  void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed) const override {
    if (event.envelope.machine().find('/') == std::string_view::npos) Fold(event, batch, changed).run();
  }
};

}  // namespace

std::unique_ptr<const Projection> make_command_history() { return std::make_unique<CommandHistory>(); }

bool is_final_command_status(std::string_view status) {
  return status == "completed" || status == "rejected" || status == "failed" || status == "expired" ||
         status == "not_confirmed";
}

Result<std::optional<CommandViewT>> find_command(const ViewReader& reader, std::string_view id) {
  const auto stored = reader.get(kCommandsView, command_key(id));
  if (!stored) return stored.error();
  if (!*stored) return std::optional<CommandViewT>{};
  auto decoded = decode_record<schema::CommandView>(**stored);
  if (!decoded) return make_error(Errc::kCorrupt, "commands: record '" + std::string(id) + "'");
  return std::optional<CommandViewT>(std::move(*decoded));
}

Result<std::optional<CommandViewT>> find_repeated_command(const ViewReader& reader, std::string_view machine,
                                                          std::string_view actor, std::string_view idempotency_key) {
  const auto id = reader.get(kCommandsView, repeat_key(machine, actor, idempotency_key));
  if (!id) return id.error();
  if (!*id) return std::optional<CommandViewT>{};
  return find_command(reader, **id);
}

Result<CommandPage> list_commands(const ViewReader& reader, std::string_view machine, uint64_t after, size_t limit,
                                  const std::function<bool(const CommandViewT&)>& wanted) {
  const std::string prefix = machine.empty() ? std::string(kAllPrefix) : machine_prefix(machine);
  KeyRange range = KeyRange::prefix(prefix);
  if (after != 0) range.from = prefix + in_order(after - 1);
  CommandPage page;
  std::optional<Error> failed;
  size_t looked = 0;
  uint64_t last = 0;
  const auto scanned = reader.scan(kCommandsView, range, [&](std::string_view, std::string_view id) {
    if (page.items.size() == limit || looked == kMaxLooked) {
      page.next_after = last;
      return false;
    }
    ++looked;
    auto found = find_command(reader, id);
    if (!found) failed = found.error();
    if (failed || !*found) return !failed;
    last = (*found)->first_position;
    if (wanted(**found)) page.items.push_back(std::move(**found));
    return true;
  });
  if (!scanned) return scanned.error();
  if (failed) return *failed;
  return page;
}

}  // namespace millrace
