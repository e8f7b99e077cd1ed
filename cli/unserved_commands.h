// SPDX-License-Identifier: Apache-2.0
// Commands over the broker for machines that nobody serves: no adapter hears them, so the hub answers and records them
// as rejected.  However many come, the log grows by a few a minute.
//
// A thread of its own, which looks machines up in the views.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/topics.h"
#include "cli/held_back.h"
#include "consumers/recording.h"
#include "net/io_loop.h"
#include "producers/command_reception.h"
#include "web/edge/access/denial_record.h"

namespace millrace {

struct UnservedCommandsOptions {
  // Before the answer, and then the machine is looked up again: the adapter of one that is new may be heard a moment
  // before what it has to say of itself is recorded.
  std::chrono::milliseconds patience{1'000};
  size_t max_held = 256;  // meanwhile; further ones are answered at once
};

class UnservedCommands {
 public:
  struct Reason {
    Refusal refusal;
    bool is_known = false;  // there is such a machine, and it has a history
  };
  struct Parts {                         // references outlive this
    std::unique_ptr<MqttClient> client;  // speaks MQTT 5, not started, used for nothing else
    Topics topics;
    CommandReceptionOptions reception;  // `wanted` is set here
    // Why nobody serves the machine; nullopt: somebody may.  On this thread.
    std::function<std::optional<Reason>(const std::string& machine)> why;
    std::function<void(HubWrite)> submit;  // the recorder's
    const Clock& clock;
    Metrics& metrics;
  };

  UnservedCommands(UnservedCommandsOptions options, Parts parts);
  ~UnservedCommands();  // stop()

  void start();
  // Those that are held are answered by nobody.
  void stop();

 private:
  bool is_unserved(const Topics::MachineAndCommand& address);
  void refuse(AskedCommand asked);
  void record(CommandMessage message, std::vector<Refusal> reasons);

  const UnservedCommandsOptions options_;
  Parts parts_;
  Counter& refused_;
  IoLoop loop_;
  HeldBack<AskedCommand> held_;
  DenialRecord told_;
  std::unique_ptr<CommandReception> reception_;
  std::thread thread_;
};

}  // namespace millrace
