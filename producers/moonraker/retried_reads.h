// SPDX-License-Identifier: Apache-2.0
// Requests that change nothing at the machine, asked again while Moonraker does not answer them or fails: at most
// kMaxReadRetries times, read_pause() apart.  Errors that would come again (no such file, Klipper is away) are answers.
// Commands never come this way.
//
// They share the machine's circuit breaker with the commands: while it rests, a read waits for it.  A read that nobody
// answered counts as a failure, an answer as a success; an error of Moonraker's own counts as neither, because it tells
// of one of its parts alone: a database that is locked must not keep commands from Klipper.
//
// One thread.  Knows no socket.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "bus/clock.h"
#include "bus/random.h"
#include "producers/moonraker/circuit_breaker.h"
#include "producers/moonraker/json_rpc.h"
#include "producers/moonraker/read_pause.h"

namespace millrace {

struct MachineRead {
  std::string method;
  std::string params;  // JSON; empty: none
  std::chrono::milliseconds timeout{30'000};
  // Nobody wants the answer any more after that: it is not asked for again.  nullopt: whenever it comes.
  std::optional<MonotonicTime> until;
  // Asked before each further attempt: false drops the read without a word.  Empty: always wanted.
  std::function<bool()> wanted;
  // The answer, or the last failure.  Not called after clear().
  JsonRpc::Callback done;
  // Each failure that is followed by another attempt.  May be empty.
  JsonRpc::Callback failed;
};

class RetriedReads {
 public:
  static constexpr size_t kMaxReads = 64;  // at a time; further ones fail at once
  // Sends a request; its answer, or that there is none, goes to the callback, unless the link goes first.
  using Send = std::function<void(const std::string& method, const std::string& params,
                                  std::chrono::milliseconds timeout, JsonRpc::Callback callback)>;

  // References outlive it.
  RetriedReads(const Clock& clock, Random& random, CircuitBreaker& breaker, Send send);

  // May call `done` before it returns.
  void ask(MachineRead read);
  std::optional<MonotonicTime> next_deadline() const;
  void on_timer();
  // Forgets all of them without calling back: the connection is gone.
  void clear() { reads_.clear(); }

 private:
  struct Asked {
    MachineRead read;
    int retries = 0;
    std::optional<MonotonicTime> due;  // nullopt: its answer is outstanding
  };

  void attempt(uint64_t number);
  void on_reply(uint64_t number, const RpcReply& reply);
  // False: it is too late for another attempt at that time.
  bool wait_until(Asked& asked, MonotonicTime due) const;
  void finish(uint64_t number, const RpcReply& reply);

  const Clock& clock_;
  Random& random_;
  CircuitBreaker& breaker_;
  const Send send_;
  uint64_t last_number_ = 0;
  std::map<uint64_t, Asked> reads_;
};

}  // namespace millrace
