// SPDX-License-Identifier: Apache-2.0
// The desk at which a machine's commands arrive: each is judged on the machine's own present state, handed to
// Moonraker, and followed to its end.  Every step is an event.  docs/commands.md has the rules.
//
// One thread, the adapter's.  Knows no socket, broker or log.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/command_message.h"
#include "bus/sha256.h"
#include "producers/moonraker/circuit_breaker.h"
#include "producers/moonraker/command_calls.h"
#include "producers/moonraker/command_influence.h"
#include "producers/moonraker/command_memory.h"
#include "producers/moonraker/event_batch.h"
#include "producers/moonraker/json_rpc.h"
#include "producers/moonraker/retried_reads.h"
#include "safety/guard.h"

namespace millrace {

// A command as it came in.
struct AskedCommand {
  CommandMessage message;
  ScopeSet scopes;             // of who asks
  MonotonicTime received{};    // when the broker handed it over
  std::string response_topic;  // MQTT 5; empty: none
  std::string correlation_data;
  std::optional<Refusal> refused;  // it cannot even be judged: retained, not understood, a wrong signature or key
};

// What the sender is told, at each of the steps accepted and end.
struct CommandReply {
  std::string command_id;
  std::string json;  // {command_id, machine, command, status, reasons, code, text, at}
  std::string response_topic;
  std::string correlation_data;
};

// The JSON of a reply.  `code` and `text` may be empty.
std::string reply_json(std::string_view machine, const CommandMessage& message, std::string_view status,
                       const std::vector<Refusal>& reasons, std::string_view code, std::string_view text, WallTime at);

struct CommandDeskOptions {
  std::string machine;
  std::chrono::seconds effect_max{5};    // for the machine's state to show what was answered with "ok"
  std::chrono::seconds motion_lease{2};  // after a motion, until somebody else may move the machine
  std::chrono::seconds file_max{5};      // for what Moonraker knows of a file that is to be started
};

class CommandDesk {
 public:
  static constexpr size_t kMaxUnderWay =
      32;  // unanswered by Moonraker or waiting for the state; further ones wait their turn
  static constexpr size_t kMaxPending = 512;     // with those that wait; further ones are refused
  static constexpr size_t kMaxRemembered = 512;  // ends, for commands that come twice

  // What the desk needs of the adapter.  `call` is false when nothing can be sent.
  struct Machine {
    std::function<MachineSnapshot()> snapshot;
    std::function<double(const std::string& what)> factor;  // "speed_factor" or "extrude_factor" of gcode_move; NaN
    std::function<std::string()> print_file;                // print_stats.filename
    std::function<Limits()> limits;
    std::function<bool(const std::string& method, const std::string& params, std::chrono::milliseconds timeout,
                       JsonRpc::Callback)>
        call;
    std::function<void(MachineRead)> read;  // of an open link; asked again while Moonraker fails
    std::function<void(CommandReply)> reply;
    std::function<void(const AskedCommand&)> clear_plate;
    std::function<void(const AskedCommand&, const std::string& reason)> reset_emergency;
  };

  // References outlive it; `memory` is a part of the adapter's state, `breaker` is the machine's.
  CommandDesk(CommandDeskOptions options, const Clock& clock, EventBatch& out, CommandMemory& memory,
              CircuitBreaker& breaker, Machine machine);

  // What an adapter before this one left without an end: CommandNotConfirmed.
  void begin();
  void take(AskedCommand asked);
  // After each frame: what waits for an effect may see it.
  void on_status();
  // After each input: those that wait and now have their turn.
  void take_turns();
  // No answer will come any more.
  void on_link_lost();

  std::optional<MonotonicTime> next_deadline() const;
  void on_timer();

 private:
  enum class Stage { kWaitingForTurn, kReadingFile, kWaitingForState, kSent, kWaitingForEffect };
  struct Pending {
    AskedCommand asked;
    Command command;
    CommandInfluence influence;
    Stage stage = Stage::kWaitingForTurn;
    MonotonicTime sent{};
    std::optional<MonotonicTime> deadline;
    std::string said;  // with the answer
    std::optional<FileSnapshot> file;
  };
  struct Motion {
    std::string owner;
    int under_way = 0;
    MonotonicTime until{};
  };

  bool is_free() const;
  void take_turn(uint64_t number);
  bool answered_before(const AskedCommand& asked);
  bool is_replayed(const AskedCommand& asked);
  void reject_replayed(AskedCommand asked);
  std::string new_id() const;
  bool answered_by_key(AskedCommand& asked, bool has_id, std::optional<Refusal>& refused);
  void tell_request(const AskedCommand& asked, const std::string& args);
  void read_file(uint64_t number);
  void read(uint64_t number, std::string method, std::string params,
            void (CommandDesk::*on_reply)(uint64_t, const RpcReply&));
  void on_metadata(uint64_t number, const RpcReply& reply);
  void look_for_file(uint64_t number);
  void on_directory(uint64_t number, const RpcReply& reply);
  void judge_and_send(uint64_t number);
  // What was sent before may have changed what this one is judged by, and the machine did not tell of it yet.
  bool has_to_wait(uint64_t number) const;
  void wait_for_state(uint64_t number);
  void judge_waiting();
  std::vector<Refusal> reasons_against(const Pending& pending);
  void send(uint64_t number);
  void on_answer(uint64_t number, const RpcReply& reply);
  void expect_effect(uint64_t number, const std::string& text);
  // nullopt: nothing of the machine's state would show it.
  std::optional<bool> effect_seen(const Pending& pending) const;
  void do_at_desk(uint64_t number);

  void reject(const AskedCommand& asked, const std::vector<Refusal>& reasons);
  void reject_unsettled(uint64_t number);
  void complete(uint64_t number, const std::string& text);
  void fail(uint64_t number, std::string_view code, const std::string& text);
  void leave_unknown(uint64_t number, const std::string& text);
  void expire(uint64_t number);
  void end(uint64_t number, std::string_view status, std::string_view code, const std::string& text);
  void reply(const AskedCommand& asked, std::string_view status, const std::vector<Refusal>& reasons,
             std::string_view code, std::string_view text);

  MonotonicTime expires(const AskedCommand& asked) const;
  static std::string owner_of(const AskedCommand& asked);

  const CommandDeskOptions options_;
  const Clock& clock_;
  EventBatch& out_;
  CommandMemory& memory_;
  const Machine machine_;
  CircuitBreaker& breaker_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, Pending> pending_;  // by number, so in the order in which they came
  Motion motion_;
  // Commands that had this influence have ended, and nothing was heard of the machine since.
  bool motion_told_ = true;
  bool print_told_ = true;
  std::map<std::string, std::string> ended_;  // command id -> its last reply
  struct Keyed {
    std::string id;
    std::string command;
    Sha256 args{};
  };
  std::map<std::string, Keyed> keyed_;  // who asked and idempotency key -> the command, as long as its id is remembered
  std::deque<std::string> ended_order_;
};

}  // namespace millrace
