// SPDX-License-Identifier: Apache-2.0
// The adapters role: one event loop serves every machine, each with its link, adapter, outbox and runner.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/clock_watch.h"
#include "bus/confirmation.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/outbox.h"
#include "bus/topics.h"
#include "net/io_loop.h"
#include "producers/moonraker/moonraker_adapter.h"

namespace millrace {

struct AdapterMachine {
  MoonrakerAdapterOptions adapter;
  std::string moonraker_url;  // http://host:port
};

struct AdaptersOptions {
  std::vector<AdapterMachine> machines;
  std::filesystem::path outbox_directory;  // a folder per machine lies in it
  OutboxOptions outbox;
};

class Adapters {
 public:
  // `subscriber` and `publisher` are started by the owner after start(), stopped before this is destroyed; all
  // references outlive this.  `loop` is run by the owner, and this is used from its thread only, except where said.
  Adapters(IoLoop& loop, AdaptersOptions options, MqttClient& subscriber, MqttClient& publisher, Topics topics,
           const Clock& clock, Metrics& metrics, Health& health);
  ~Adapters();

  // Opens the outboxes and begins to connect.  An error names the machine and what is wrong; nothing is started then.
  Result<void> start();
  // Says goodbye in an event for each connected machine, which stays in the outbox if the broker is away.
  void stop();

  // Events that the log has not confirmed, of all machines.
  uint64_t unconfirmed() const;

 private:
  class Machine;

  void receive(const MqttClient::Message& message);  // on the broker's thread
  void deliver();                                    // on the loop's
  void connection_changed(bool connected);
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
  ClockWatch clock_watch_;
  LoopTimer clock_timer_;

  // What arrived and the loop has not yet seen: per machine only the latest counts, so this is bounded.
  std::mutex mutex_;
  std::map<std::string, Confirmation> arrived_;
  bool hub_came_ = false;
  bool delivery_posted_ = false;
};

}  // namespace millrace
