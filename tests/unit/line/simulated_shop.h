// SPDX-License-Identifier: Apache-2.0
// Producers and a hub of the product's own code around a FakeBroker, in one thread: each is stepped, killed and started
// again by the test.
#pragma once

#include <filesystem>
#include <memory>
#include <set>
#include <string>

#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/outbox.h"
#include "bus/topics.h"
#include "consumers/recording.h"
#include "producers/outbox_runner.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/forwarding_event_log.h"
#include "tests/unit/line/fake_broker.h"
#include "tests/unit/line/ledger.h"

namespace millrace::testing {

// A log in memory whose appends can be made to fail.
class FlakyLog final : public ForwardingEventLog {
 public:
  FlakyLog() : ForwardingEventLog(make_memory_event_log(77)) {}
  Result<Commit> append(const AppendBatch& batch) override;

  int refuse = 0;              // so many appends write nothing
  bool leave_unclear = false;  // the next one is written and says that it failed; after it nothing is until reopen()
  bool broken() const { return broken_; }
  void reopen() { broken_ = false; }
  Result<void> recover() override {
    reopen();
    return {};
  }

 private:
  bool broken_ = false;
};

// What the simulated processes share.  All of it outlives them.
struct SimulatedWorld {
  explicit SimulatedWorld(uint64_t seed) : random(seed) {}

  SeededRandom random;
  ManualClock clock;
  Topics topics;
  Health health;
  std::unique_ptr<Metrics> metrics = make_metrics();
  FakeBroker broker{random, clock};
  FlakyLog log;
  Ledger ledger{log};
};

// A hub's process, up to its death.
class SimulatedHub {
 public:
  struct Options {
    RecordingOptions recording;
    size_t max_queue_batches = 10'000;
    double writes_of_its_own = 0;  // probability per step
  };
  SimulatedHub(SimulatedWorld& world, Options options);

  void step();
  // It dies between its next append and the confirmation.
  void die_after_append() { dies_ = true; }
  bool dead() const { return dead_; }

 private:
  void receive(const MqttClient::Message& message);

  SimulatedWorld& world_;
  const Options options_;
  std::unique_ptr<MqttClient> link_;
  std::unique_ptr<Recording> recording_;
  std::vector<Recording::Received> queue_;
  bool announce_ = false;
  bool dies_ = false;
  bool dead_ = false;
};

// A producer's folder, and its process while that runs.
class SimulatedProducer {
 public:
  struct Options {
    OutboxOptions outbox;
    OutboxRunnerOptions runner;
  };
  SimulatedProducer(SimulatedWorld& world, std::filesystem::path directory, Options options);
  ~SimulatedProducer();

  void start();
  void kill();
  // The end of a host without power: some of what was written last is gone.
  void lose_power();
  bool running() const { return runner_ != nullptr; }
  bool fenced() const { return fenced_; }
  uint64_t unconfirmed() const { return runner_->unconfirmed(); }
  // A newer epoch of its name is in the log.
  bool superseded() const;
  std::string describe() const;  // for a complaint

  void emit(uint64_t events);
  void step();

  // Of the folder as it is now, while the process runs or not; restore() kills the process.
  void back_up();
  void restore();

 private:
  class WatchedOutbox;

  void hear(const MqttClient::Message& message);
  void lose_what_is_missing(EventOrder last);
  const std::string& name() const { return options_.runner.producer; }
  std::filesystem::path copy() const { return directory_.string() + ".copy"; }

  SimulatedWorld& world_;
  const std::filesystem::path directory_;
  const Options options_;
  std::set<EventOrder> open_;  // stored in this folder and not confirmed
  bool damaged_ = false;       // the folder is not as the last process left it
  bool fenced_ = false;
  uint64_t emitted_ = 0;
  uint64_t stored_ = 0;  // by the emit() that runs
  std::unique_ptr<MqttClient> link_;
  std::unique_ptr<OutboxRunner> runner_;
};

}  // namespace millrace::testing
