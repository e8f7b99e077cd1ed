// SPDX-License-Identifier: Apache-2.0
// The adapters role as a process part: its loop and thread, its broker connections, its machines.
#pragma once

#include <memory>
#include <thread>

#include "bus/clock.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "cli/broker_connection.h"
#include "cli/config.h"
#include "net/io_loop.h"
#include "producers/adapters.h"
#include "producers/blob_uploader.h"
#include "producers/sensors/sensors.h"

namespace millrace {

// Who may ask for what over the broker.  `clock` outlives what is made of them.
CommandReceptionOptions command_reception_options(const Config& config, const Clock& clock);

class AdaptersRole {
 public:
  static Result<std::unique_ptr<AdaptersRole>> start(const Config& config, const Clock& clock, Metrics& metrics,
                                                     Health& health);
  // The machines of the configuration file from now on.  Any thread; at once, without waiting.
  void take_machines(const std::vector<MachineConfig>& machines);
  // Ends the adapters, gives the broker a moment for what is on its way, and keeps the rest in the outbox.
  ~AdaptersRole();

 private:
  AdaptersRole() = default;

  IoLoop loop_;
  BrokerConnections broker_;
  std::unique_ptr<BlobUploader> uploader_;  // only where the hub has another data folder; outlives the adapters
  std::unique_ptr<Adapters> adapters_;
  std::unique_ptr<MqttClient> commands_;
  BrokerConnections sensor_broker_;  // only where there are [[sensor]] entries
  std::unique_ptr<Sensors> sensors_;
  std::thread loop_thread_;
};

}  // namespace millrace
