// SPDX-License-Identifier: Apache-2.0
// The emergency stop, for every process that can be asked for one (decision 13): a connection of its own to the
// Moonraker of each machine, kept warm, on a thread of its own, so that nothing else that the process does can hold a
// stop up.  No lock is shared with anything that reads a disk, talks to a broker or writes a log of its own.
//
// A stop is written on the warm connection at once.  When that is not there, breaks, or has not answered after
// `answer_patience`, a fresh connection is tried beside it: a stop that arrives twice does no harm.  It is confirmed
// when Moonraker answered 200 with "ok", which it does within milliseconds, also for a Klipper that is already shut
// down; 503 means that Moonraker has no Klipper to tell (POST /printer/emergency_stop of Moonraker's API).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bus/clock.h"
#include "bus/machine_secrets.h"
#include "bus/metrics.h"
#include "net/io_loop.h"

namespace millrace {

struct EmergencyTarget {
  std::string url;      // http://host:port or https://host:port; ws and wss mean the same
  std::string ca_file;  // PEM; empty: the system's authorities
  // Asked before each warm connection, on a thread that no stop waits for, so it may read a file.  Empty: no secret.
  std::function<MachineSecret()> secret;
};

struct EmergencyStopResult {
  bool confirmed = false;
  std::string text;                      // what the machine said last, or why nothing is known
  std::optional<Micros> sent_after;      // from the call to the first bytes handed to the kernel
  std::optional<Micros> answered_after;  // from the call to the answer that confirms
};

struct EmergencyStopperOptions {
  std::chrono::milliseconds keep_alive{15'000};        // between two questions that prove a warm connection alive
  std::chrono::milliseconds keep_alive_answer{5'000};  // one that takes longer to answer is made anew
  std::chrono::milliseconds reconnect_min{500};        // doubles up to reconnect_max, for ever
  std::chrono::milliseconds reconnect_max{15'000};
  std::chrono::milliseconds login_lifetime{1'800'000};  // Moonraker's tokens live for an hour
  std::chrono::milliseconds answer_patience{150};       // then a fresh connection is tried beside; doubles
  std::chrono::milliseconds retry_pause{250};           // after the first retry, which comes at once; doubles
  std::chrono::milliseconds total{5'000};               // then it is not confirmed
  int max_tries = 6;
};

class EmergencyStopper {
 public:
  using Done = std::function<void(const EmergencyStopResult&)>;
  using Results = std::vector<std::pair<std::string, EmergencyStopResult>>;  // by machine, in their order

  static constexpr size_t kMaxMachines = 4096;  // as many as the registry takes
  static constexpr size_t kMaxStops = 16;       // of one machine at a time; a further one shares the newest's outcome

  // Begins its threads.  `clock` and `metrics` outlive it.
  EmergencyStopper(const Clock& clock, Metrics& metrics, EmergencyStopperOptions options = {});
  // Calls end().
  ~EmergencyStopper();
  EmergencyStopper(const EmergencyStopper&) = delete;
  EmergencyStopper& operator=(const EmergencyStopper&) = delete;

  // All from any thread; none waits.

  // A machine that is new or is reached in another way now.  One of more than kMaxMachines is left out.
  void set(const std::string& machine, EmergencyTarget target);
  void remove(const std::string& machine);
  bool knows(const std::string& machine) const;
  std::vector<std::string> machines() const;
  // Whether a connection stands by that has answered lately.
  bool is_warm(const std::string& machine) const;

  // `done` is called once, on the stopper's thread, where it must not wait.  A machine that is not known is not
  // confirmed.
  void stop(const std::string& machine, Done done);
  // All that are known, at once; `done` comes when the last one has answered or its time is over.
  void stop_all(std::function<void(const Results&)> done);

  // Stops under way end as not confirmed, their callbacks are called before this returns.  From then on nothing is
  // sent, and what is asked is not confirmed at once, on the calling thread: others may still ask while a process ends.
  void end();

 private:
  struct Shared;
  class Machine;
  class Stop;

  bool has_ended() const;

  const std::unique_ptr<Shared> shared_;
  std::map<std::string, std::shared_ptr<Machine>> machines_;  // the loop's thread's own
  std::thread loop_thread_;
  std::thread preparing_thread_;
};

}  // namespace millrace
