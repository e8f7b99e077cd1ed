// SPDX-License-Identifier: Apache-2.0
// Takes what producers publish, appends it to the log in groups, and confirms it once it is durable.
//
// The broker's acknowledgement is not durability, so confirmation is end to end: a producer keeps an event until
// recorded/<producer> says that it is in the log.  What was seen before is dropped and confirmed again; on a gap the
// last confirmation is repeated and the producer sends from there.
//
// Threads: a broker thread only copies bytes into the bounded queue; one recorder thread does everything else.
#pragma once

#include <array>
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
#include "consumers/intake.h"

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

// Events born in the hub, appended as one group (decision 7).
struct HubWrite {
  std::vector<EventDraft> events;  // 1 to EventLog::kMaxGroupEvents
  std::optional<Position> remove_telemetry_through = std::nullopt;
  // On the recorder's thread, once: the position of the last event, or why nothing was appended.  kUnavailable when the
  // recorder stops first; after kSyncFailed it may be appended all the same.
  std::function<void(Result<Position>)> done;
};

// How many there were in the last hour, minute by minute.
class FsyncCounter {
 public:
  FsyncCounter(const Clock& clock, Gauge& last_hour) : clock_(clock), last_hour_(last_hour) {}
  void add();

 private:
  const Clock& clock_;
  Gauge& last_hour_;
  std::array<uint64_t, 60> minutes_{};
  int64_t minute_ = 0;  // of the clock that never goes back
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
  struct Received {
    std::string producer;  // of the topic
    std::string topic;
    std::string payload;
  };

  void receive(const MqttClient::Message& message);
  void run();
  struct Work {
    std::vector<Received> received;
    std::vector<HubWrite> writes;
    bool empty() const { return received.empty() && writes.empty(); }
  };

  Work wait_for_work();
  void record(std::vector<Received>& received);
  void write(HubWrite& write);
  Result<Position> append_group(std::optional<Position> remove_telemetry_through = std::nullopt);
  void refused(const Error& error);
  bool may_wait();
  void set_down(const Error& error);
  void recover_log();
  Result<void> resume_from_log(Position before);
  void confirm();
  void announce_everything();

  const RecorderOptions options_;
  EventLog& log_;
  MqttClient& subscriber_;
  MqttClient& publisher_;
  const Topics topics_;
  const Clock& clock_;
  Health& health_;
  const std::function<void(std::shared_ptr<const Commit>)> on_commit_;

  Counter& appended_;
  Counter& groups_;
  Counter& dropped_batches_;
  Counter& failed_appends_;
  Counter& recoveries_;
  Counter& failed_recoveries_;
  Gauge& writable_;
  Gauge& queue_bytes_gauge_;
  Gauge& last_position_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Received> queue_;
  size_t queue_bytes_ = 0;
  std::vector<HubWrite> writes_;
  bool announce_ = false;  // a connection is new: ask every producer for what is not confirmed, and say "online"
  bool stopping_ = false;
  std::optional<Error> down_;  // why the log takes no appends; set and cleared by the recorder's thread

  // The recorder thread's own.
  Intake intake_;
  FsyncCounter fsyncs_;
  std::optional<MonotonicTime> linger_until_;  // of the group that waits
  std::thread thread_;
};

}  // namespace millrace
