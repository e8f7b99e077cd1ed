// SPDX-License-Identifier: Apache-2.0
// The two broker connections of a role: one that only subscribes and one that only publishes.  A lone message on a
// connection that does both waits for the other side's delayed acknowledgement.
#pragma once

#include <memory>
#include <string>

#include "bus/mqtt_client.h"
#include "bus/topics.h"
#include "cli/config.h"

namespace millrace {

struct BrokerConnections {
  std::unique_ptr<MqttClient> subscriber;
  std::unique_ptr<MqttClient> publisher;

  // `role` names the status topic on which the broker says "offline" when the publisher is gone.
  static BrokerConnections make(const Config& config, const Topics& topics, const std::string& role);
  void start();
  void stop();
};

// A connection of its own for commands, which speaks MQTT 5.
std::unique_ptr<MqttClient> make_command_client(const Config& config);

}  // namespace millrace
