// SPDX-License-Identifier: Apache-2.0
// The line in one process, of real parts: producers with outboxes, a Mosquitto, and a hub's recorder with its log.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "bus/mqtt_client.h"
#include "bus/outbox.h"
#include "bus/topics.h"
#include "consumers/recorder.h"
#include "net/io_loop.h"
#include "producers/outbox_runner.h"
#include "tests/support/process.h"

namespace millrace::testing {

// The recorder on the log in `directory`, as the hub runs it.  Under ThreadSanitizer, which does not see RocksDB's
// locks, on one in memory, which stays as long as the process.
class LineHub {
 public:
  LineHub(const std::filesystem::path& directory, const std::string& broker_url);
  ~LineHub();
  const EventLog& log() const { return *log_; }

 private:
  SystemClock clock_;
  Topics topics_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  Health health_;
  std::shared_ptr<EventLog> log_;
  std::unique_ptr<MqttClient> subscriber_;
  std::unique_ptr<MqttClient> publisher_;
  std::unique_ptr<Recorder> recorder_;
};

// A producer on a thread of its own.  Destroyed as a process that ends: what is not confirmed stays in its outbox.
class LineProducer {
 public:
  LineProducer(std::string name, const std::filesystem::path& directory, const std::string& broker_url,
               OutboxOptions outbox = {});
  ~LineProducer();

  // Facts and telemetry in turn.  Returns at once.
  void emit(uint64_t events);
  uint64_t unconfirmed() const { return unconfirmed_; }
  // Of all events that emit() was asked for, those that are in the outbox.
  uint64_t stored() const { return stored_; }
  bool fenced() const { return fenced_; }

 private:
  void drive(const std::function<void()>& call);

  const std::string name_;
  SystemClock clock_;
  Topics topics_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  IoLoop loop_;
  LoopTimer timer_{loop_};
  std::unique_ptr<MqttClient> subscriber_;
  std::unique_ptr<MqttClient> publisher_;
  std::unique_ptr<OutboxRunner> runner_;
  std::atomic<uint64_t> unconfirmed_{0};
  std::atomic<uint64_t> stored_{0};
  std::atomic<bool> fenced_{false};
  uint64_t emitted_ = 0;
  std::thread thread_;
};

}  // namespace millrace::testing
