// SPDX-License-Identifier: Apache-2.0
// Producers as adapters are: each with an outbox and a thread of its own, all on the two connections of one role.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/metrics.h"
#include "bus/topics.h"
#include "cli/broker_connection.h"
#include "producers/outbox_runner.h"

namespace millrace {

class BenchProducer {
 public:
  BenchProducer(const std::string& name, const std::filesystem::path& directory, size_t batch_events,
                MqttClient& publisher, const Topics& topics, const Clock& clock, Metrics& metrics);

  // From the broker's thread.
  void confirmed(const Confirmation& confirmation);

  void room();

  // The rest from one thread.  Publishes what is in the outbox, and from now on at once.
  void connect() { runner_->on_connected(); }
  // Emits the events, `at_once` in each call, and returns when the last one is confirmed.
  void produce(std::vector<EventDraft> events, size_t at_once);

 private:
  void take_what_arrived();
  void wait();

  const Clock& clock_;
  std::unique_ptr<OutboxRunner> runner_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Confirmation> arrived_;
  bool room_ = false;
};

struct BenchProducersOptions {
  uint64_t count = 1;
  size_t batch_events = 64;  // of one publish
};

class BenchProducers {
 public:
  // Connects.  kTimeout when the broker does not answer.  `config`, `clock` and `metrics` outlive this.
  static Result<std::unique_ptr<BenchProducers>> start(const BenchProducersOptions& options,
                                                       const std::filesystem::path& directory, const Config& config,
                                                       const Clock& clock, Metrics& metrics);
  ~BenchProducers();

  // Each emits so many events of `size` bytes on a thread of its own, 64 in each call, up to the last confirmation.
  // Seconds that it took; making the drafts, which is the machine's part, is not counted.
  double produce(uint64_t each, uint64_t size);
  BenchProducer& first() { return *producers_.begin()->second; }

 private:
  BenchProducers(const Config& config, const Clock& clock);

  const Clock& clock_;
  const Topics topics_;
  BrokerConnections connections_;
  std::map<std::string, std::unique_ptr<BenchProducer>> producers_;
};

}  // namespace millrace
