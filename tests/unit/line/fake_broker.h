// SPDX-License-Identifier: Apache-2.0
// A broker in the test's own thread and time, that may do what real ones do: lose what it acknowledged, say things
// twice or late, mix the order of different topics, forget what it retained, and break connections.
//
// Within one topic the order of one connection is kept, as MQTT promises; a repetition may come at any time.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/mqtt_client.h"
#include "bus/random.h"

namespace millrace::testing {

// Probabilities per message, 0..1, and the longest ways.
struct BrokerFaults {
  double lost = 0;
  double repeated = 0;
  double refused = 0;  // publish() answers kFull
  Micros delay_max{0};
  Micros repeat_delay_max{0};
};

class FakeBroker {
 public:
  FakeBroker(Random& random, const Clock& clock) : random_(random), clock_(clock) {}

  // Connects by itself whenever the broker runs.  To destroy it is the death of its process: what it has sent may still
  // arrive.  The broker outlives it.
  std::unique_ptr<MqttClient> link();

  BrokerFaults faults;
  void start() { running_ = true; }
  void stop();  // breaks every connection; what is under way is gone
  void forget_retained() { retained_.clear(); }
  void cut_one();  // breaks a connection
  bool running() const { return running_; }

  // Connects who waits and delivers what is due.
  void step();

 private:
  class Link;
  struct Message {
    std::string topic;
    std::string payload;
    bool retain = false;
    bool retained = false;  // sent because of a new subscription
  };
  struct Way {  // of messages with one topic between one connection and the broker
    std::deque<std::pair<MonotonicTime, Message>> messages;
  };
  using WayKey = std::pair<uint64_t, std::string>;  // connection, topic

  void accept(uint64_t connection, Message message);
  void put(std::map<WayKey, Way>& ways, uint64_t connection, Message message);
  void arrive(const Message& message);
  void deliver(uint64_t connection, const Message& message);
  void welcome(Link& link);
  template <class Take>
  void take_due(std::map<WayKey, Way>& ways, const Take& take);
  Micros up_to(Micros longest) {
    return Micros{static_cast<int64_t>(random_.unit() * static_cast<double>(longest.count()))};
  }
  bool chance(double probability) { return random_.unit() < probability; }

  Random& random_;
  const Clock& clock_;
  bool running_ = false;
  uint64_t next_connection_ = 1;
  std::vector<Link*> links_;
  std::map<std::string, Message> retained_;
  std::map<WayKey, Way> inbound_, outbound_;
  std::vector<std::pair<MonotonicTime, Message>> repetitions_;  // inbound, at any time
};

}  // namespace millrace::testing
