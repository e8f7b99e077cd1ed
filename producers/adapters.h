// SPDX-License-Identifier: Apache-2.0
// The adapters role: one event loop serves every machine, each with its link, adapter, outbox and runner.  Those of the
// configuration file and of the hub's registry are taken up, changed and left while it runs.
#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/clock_watch.h"
#include "bus/confirmation.h"
#include "bus/emergency_record.h"
#include "bus/health.h"
#include "bus/machine_secrets.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/outbox.h"
#include "bus/random.h"
#include "bus/topics.h"
#include "net/emergency_stopper.h"
#include "net/io_loop.h"
#include "producers/command_reception.h"
#include "producers/moonraker/job_file_reader.h"
#include "producers/moonraker/moonraker_adapter.h"
#include "producers/moonraker/moonraker_socket.h"
#include "producers/registry_memory.h"

namespace millrace {

// A machine of this process's own configuration file.  It is served when it is enabled and a printer.
struct OwnMachine {
  MachineConnection connection;  // `tls_ca` is a path, or empty; `version` is 0
  MachineSecret secret;          // never logged

  bool operator==(const OwnMachine&) const = default;
};

struct AdaptersOptions {
  std::vector<OwnMachine> machines;     // at the start; they win over the registry's of the same id
  std::filesystem::path registry_file;  // what the hub says of machines, kept; empty: nothing is taken from it
  bool serve_registry = true;           // false: only limits and rules of the own machines are taken from it
  std::filesystem::path secrets_file;   // of the registry's machines; certificates lie in the same folder
  MoonrakerAdapterOptions adapter;      // what all machines have in common
  size_t max_frame_bytes = 16u << 20;
  KeepBlob keep_blob;  // for what is too large for an event; on a thread of its own; empty: that is left out
  std::filesystem::path outbox_directory;  // a folder per machine lies in it
  OutboxOptions outbox;
  CommandReceptionOptions commands;
};

class Adapters {
 public:
  // `subscriber` and `publisher` are started by the owner after start(), stopped before this is destroyed; all
  // references outlive this.  `loop` is run by the owner, and this is used from its thread only, except where said.
  Adapters(IoLoop& loop, AdaptersOptions options, MqttClient& subscriber, MqttClient& publisher, Topics topics,
           const Clock& clock, Metrics& metrics, Health& health);
  ~Adapters();

  // Opens the outboxes and begins to connect, to the registry's machines as they were last known.  An error names the
  // machine of the own file and what is wrong; nothing is started then.
  Result<void> start();
  // Says goodbye in an event for each connected machine, which stays in the outbox if the broker is away.
  void stop();

  // The machines of the own file from now on: new ones are taken up, changed ones connected anew, and those that are
  // gone or disabled left as disabled ones.  The others notice nothing.
  void take_own(std::vector<OwnMachine> machines);

  // Events that the log has not confirmed, of all machines, also of those that are no longer served.
  uint64_t unconfirmed() const;
  // The machines that are served now.
  size_t serving() const;

  // Takes commands that arrive on `client`, a connection of its own that speaks MQTT 5: started by the owner after
  // start(), stopped before this is destroyed.
  void take_commands(MqttClient& client);

 private:
  class Machine;
  // A machine that has to be served.
  struct Wanted : OwnMachine {
    bool own = false;  // of the own file; else of the registry, whose secrets are in their file

    bool operator==(const Wanted&) const = default;
  };

  // An emergency stop, and what is done when it has ended.
  struct Stop {
    EmergencyRecord record;
    bool again = false;                  // it was recorded when its id came first
    std::string api_key;                 // as it was shown
    std::optional<StopRequest> request;  // who waits for an answer
  };

  void receive(const MqttClient::Message& message);                                // on the broker's thread
  void take_stop(const std::string& machine, const MqttClient::Message& message);  // likewise
  void stopped(const EmergencyRecord& record);                                     // on the loop's
  void act_on(const std::string& machine, const schema::AlarmRaisedT& alarm);      // likewise
  void answer(const Stop& stop);                                                   // likewise
  void stop_at_once(EmergencyStopper& stopper, Stop stop);                         // any thread
  void deliver();                                                                  // likewise
  void connection_changed(bool connected);
  Result<Machine*> machine_of(const std::string& id);
  void take_latches(const std::map<std::string, std::string>& messages);
  void take_registry(const std::map<std::string, std::string>& messages);
  std::map<std::string, Wanted> wanted() const;
  void serve_wanted();
  void serve(const Wanted& wanted);
  std::function<MachineSecret()> secret_of(const Wanted& wanted) const;
  MoonrakerTarget target_of(const Wanted& wanted) const;
  void work_as_told();
  void forget_drained();
  void watch_clock();

  IoLoop& loop_;
  const AdaptersOptions options_;
  MqttClient& subscriber_;
  MqttClient& publisher_;
  const Topics topics_;
  const Clock& clock_;
  Metrics& metrics_;
  Health& health_;
  std::map<std::string, std::unique_ptr<Machine>> machines_;
  std::optional<RegistryMemory> registry_;
  std::vector<OwnMachine> own_;
  std::map<std::string, Wanted> served_;
  std::optional<size_t> told_serving_;
  bool broker_up_ = false;
  SeededRandom file_pauses_{random_seed()};  // of the reader's thread alone
  std::unique_ptr<JobFileReader> files_;
  std::unique_ptr<CommandReception> commands_;
  ClockWatch clock_watch_;
  LoopTimer clock_timer_;

  // What arrived and the loop has not yet seen: per machine only the latest counts, so this is bounded.
  std::mutex mutex_;
  std::shared_ptr<EmergencyStopper> stopper_;  // null from stop() on
  std::map<std::string, Confirmation> arrived_;
  std::map<std::string, std::string> registry_arrived_;  // by topic level, of which there are kMaxRegisteredMachines
  bool hub_came_ = false;
  bool delivery_posted_ = false;

  // The broker's thread's own.
  SeededRandom action_ids_{random_seed()};
  SeededRandom stop_ids_;
  std::deque<std::string> known_stops_;  // ids that came lately, so that a repeated message is recorded once
};

}  // namespace millrace
