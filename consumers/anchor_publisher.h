// SPDX-License-Identifier: Apache-2.0
// Says the root of the log's chain on the broker once a day, retained, so that whoever subscribes keeps a proof outside
// of the hub's disk: `millrace log verify --anchor` takes the message as it is.
#pragma once

#include <functional>
#include <optional>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "bus/mqtt_client.h"
#include "bus/periodic_thread.h"
#include "bus/topics.h"
#include "consumers/recorder.h"

namespace millrace {

struct AnchorOptions {
  std::chrono::hours every{24};
  std::chrono::seconds look{60};  // how often it asks whether it is time; also the pause after a failed attempt
};

class AnchorPublisher {
 public:
  // All outlive this.  A thread of its own, because publish() may wait for the broker's library.  `submit` is the
  // recorder's: the log itself tells which roots were given out.
  AnchorPublisher(AnchorOptions options, const EventLog& log, MqttClient& publisher, const Topics& topics,
                  std::function<void(HubWrite)> submit, const Clock& clock);
  ~AnchorPublisher();

  void start();
  void stop();

  // Publishes when it is time, the log holds something and the broker is there.  What the thread calls.
  void tick();

 private:
  const AnchorOptions options_;
  const EventLog& log_;
  MqttClient& publisher_;
  const std::string topic_;
  const std::function<void(HubWrite)> submit_;
  const Clock& clock_;
  std::optional<MonotonicTime> published_;

  PeriodicThread thread_;  // ends before what it works on
};

}  // namespace millrace
