// SPDX-License-Identifier: Apache-2.0
// Takes what producers publish, appends it to the log in groups, and confirms it once it is durable.
//
// The broker's acknowledgement is not durability, so confirmation is end to end: a producer keeps an event until
// recorded/<producer> says that it is in the log.  What was seen before is dropped and confirmed again; on a gap the
// last confirmation is repeated and the producer sends from there.
//
// Threads: a broker thread only copies bytes into the bounded queue; one recorder thread does everything else.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/topics.h"
#include "consumers/recording.h"

namespace millrace {

struct RecorderOptions {
  size_t max_queue_bytes =
      64u << 20;  // above what all producers' windows hold; beyond it batches are dropped and resent
  size_t max_queue_batches = 65'536;
  size_t max_hub_writes = 1024;
  std::chrono::milliseconds retry_after_failure{1'000};  // doubles while the log cannot be recovered
  std::chrono::milliseconds retry_after_failure_max{8'000};
  std::chrono::milliseconds repeat_resend{250};  // of a request that changed nothing
  // For storage that wears out with every fsync: a group that holds only telemetry waits so long for more.  Facts never
  // wait.
  std::chrono::milliseconds telemetry_linger{0};
};

class Recorder {
 public:
  // `subscriber` receives, `publisher` sends confirmations: two connections, because a lone confirmation on the
  // receiving one would wait 40 ms for a delayed acknowledgement.  Both are started by the owner after start().  All
  // outlive this. `on_commit` runs on the recorder thread after each append, before its confirmation; a group that came
  // to light when the log was opened again is handed on in the same way.
  Recorder(RecorderOptions options, EventLog& log, MqttClient& subscriber, MqttClient& publisher, Topics topics,
           const Clock& clock, Metrics& metrics, Health& health,
           std::function<void(std::shared_ptr<const Commit>)> on_commit);
  ~Recorder();

  void start();
  void stop();  // appends what is queued, then joins

  // From any thread; returns at once.  kFull when too many wait; while the log is down, why it is.
  void submit(HubWrite write);

 private:
  void receive(const MqttClient::Message& message);
  void run();
  struct Work {
    std::vector<Recording::Received> received;
    std::vector<HubWrite> writes;
  };

  Work wait_for_work();
  bool stopping();
  void wait_for_recovery();
  void announce_everything();

  const RecorderOptions options_;
  MqttClient& subscriber_;
  MqttClient& publisher_;
  const Topics topics_;
  const Clock& clock_;
  Health& health_;
  Counter& dropped_batches_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Recording::Received> queue_;
  size_t queue_bytes_ = 0;
  std::vector<HubWrite> writes_;
  bool announce_ = false;  // a connection is new: ask every producer for what is not confirmed, and say "online"
  bool stopping_ = false;
  std::optional<Error> down_;  // why the log takes no appends, as the recorder's thread last saw it

  Recording recording_;  // the recorder thread's own
  std::thread thread_;
};

}  // namespace millrace
