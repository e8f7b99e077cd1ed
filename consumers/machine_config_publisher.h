// SPDX-License-Identifier: Apache-2.0
// Says on the broker which machines there are and how each is reached, retained, so that adapters take up, change and
// leave machines at once.  Everything is said again at each connection: a broker may forget.
//
// Any thread; nothing blocks but stop().  A thread of its own publishes, because publish() may wait.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "bus/machine_connection.h"
#include "bus/mqtt_client.h"
#include "bus/topics.h"

namespace millrace {

class MachineConfigPublisher {
 public:
  // A machine as the events say; without a connection it was removed.
  struct Entry {
    std::string id;
    uint64_t version = 0;  // position of the event
    std::optional<MachineConnection> connection;
  };

  // The publisher's connection is started by the owner afterwards; it outlives this.
  MachineConfigPublisher(MqttClient& publisher, const Topics& topics);
  ~MachineConfigPublisher();  // stop()

  void start();
  void stop();

  // All machines that there are and were.  Nothing is said before: a list of half of them would end the others.
  void begin(std::vector<Entry> all);
  // One that is older than what is known changes nothing.
  void changed(Entry entry);
  // The position of the event that latched the machine last, 0 where it is not; also of machines that come later.
  void latched(const std::string& machine, uint64_t position);

  // Publishes what is due.  False when it has to be tried again.  What the thread calls.
  bool publish_due();

 private:
  void keep(Entry entry);
  void run();
  bool publish_all(const std::vector<std::string>& list, const std::map<std::string, std::string>& messages);

  MqttClient& publisher_;
  const Topics topics_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Entry> known_;
  std::map<std::string, uint64_t> latches_;
  std::set<std::string> due_;
  bool begun_ = false;
  bool list_due_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace millrace
