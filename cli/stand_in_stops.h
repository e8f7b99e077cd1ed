// SPDX-License-Identifier: Apache-2.0
// Emergency stops over the broker that no adapter took, because none is there: the hub, which has connections of its
// own to each machine, does them instead.  Twice does no harm.
//
// A connection and a thread of its own, on which nothing waits.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/random.h"
#include "bus/topics.h"
#include "cli/held_back.h"
#include "net/emergency_stopper.h"
#include "net/io_loop.h"
#include "producers/mqtt_stop.h"

namespace millrace {

struct StandInStopsOptions {
  // An adapter tells by then what came of it; it confirms within milliseconds.
  std::chrono::milliseconds patience{500};
  size_t max_held = 256;  // meanwhile; further ones are done at once
};

class StandInStops {
 public:
  struct Parts {                         // references outlive this
    std::unique_ptr<MqttClient> client;  // speaks MQTT 5, not started, used for nothing else
    Topics topics;
    CommandReceptionOptions keys;  // whose they are
    EmergencyStopper& stopper;
    std::function<void(EmergencyRecord)> record;  // what was done, on this thread
    const Clock& clock;
    Metrics& metrics;
  };

  StandInStops(StandInStopsOptions options, Parts parts);
  ~StandInStops();  // stop()

  void start();
  // After the stopper's end().
  void stop();

 private:
  struct Held {
    MqttStop asked;
    std::string response_topic;
    std::string correlation_data;
    MonotonicTime received{};
  };

  void receive(const MqttClient::Message& message);
  void note_result(const std::string& result, MonotonicTime now);
  void do_now(const Held& held);
  bool was_answered(const Held& held, const std::string& machine) const;  // by an adapter
  void ended(const Held& held, EmergencyRecord record);

  const StandInStopsOptions options_;
  Parts parts_;
  Counter& done_;
  IoLoop loop_;
  SeededRandom ids_;  // the broker's thread's own
  HeldBack<Held> held_;
  std::map<std::string, MonotonicTime> answered_;  // machine -> when an adapter last told what came of a stop
  std::deque<std::string> own_answers_;            // ids
  std::thread thread_;
};

}  // namespace millrace
