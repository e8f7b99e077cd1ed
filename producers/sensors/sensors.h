// SPDX-License-Identifier: Apache-2.0
// The producer of the [[sensor]] entries: listens to their topics on the broker, and sends what they say as samples of
// their machines, through an outbox of its own under the name "sensors".
//
// Connections of its own, so that a sensor that floods its topic does not hold up what the adapters hear.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bus/confirmation.h"
#include "bus/health.h"
#include "bus/mqtt_client.h"
#include "bus/outbox.h"
#include "bus/topics.h"
#include "net/io_loop.h"
#include "producers/outbox_runner.h"
#include "producers/sensors/sensor_readings.h"

namespace millrace {

struct SensorsOptions {
  std::vector<SensorEntry> entries;
  std::filesystem::path outbox_directory;  // the folder "sensors" lies in it
  OutboxOptions outbox;
};

class Sensors {
 public:
  // `subscriber` and `publisher` are started by the owner after start(), stopped before this is destroyed; all
  // references outlive this.  `loop` is run by the owner, and this is used from its thread only.
  Sensors(IoLoop& loop, SensorsOptions options, MqttClient& subscriber, MqttClient& publisher, Topics topics,
          const Clock& clock, Metrics& metrics, Health& health);
  ~Sensors();

  // Opens the outbox and subscribes.  An error says what is wrong with the outbox.
  Result<void> start();
  void stop();

 private:
  struct Arrived {
    std::string payload;
    size_t size = 0;  // also of one that was too large to be kept
    bool retained = false;
  };

  void receive(const MqttClient::Message& message);  // on the broker's thread
  void deliver();                                    // on the loop's, like the rest
  void drive(const std::function<void()>& call);

  IoLoop& loop_;
  const SensorsOptions options_;
  MqttClient& subscriber_;
  MqttClient& publisher_;
  const Topics topics_;
  const Clock& clock_;
  Metrics& metrics_;
  Health& health_;
  const std::set<std::string, std::less<>> wanted_;  // the topics of the entries
  SensorReadings readings_;
  std::unique_ptr<OutboxRunner> runner_;
  LoopTimer timer_;
  bool stopped_ = false;

  // What arrived and the loop has not yet seen.  Of each topic the latest message, so this is bounded.
  std::mutex mutex_;
  std::map<std::string, Arrived, std::less<>> arrived_;
  std::optional<Confirmation> confirmation_;
  bool hub_came_ = false;
  bool delivery_posted_ = false;
};

}  // namespace millrace
