// SPDX-License-Identifier: Apache-2.0
// Producers with their outboxes, and a hub whose disk fails and whose power goes: what was confirmed to a producer, and
// so is gone from its outbox, is in the log; in the end everything is there once.
#include <gtest/gtest.h>

#include <iostream>
#include <mutex>

#include "bus/confirmation.h"
#include "bus/outbox.h"
#include "consumers/recorder.h"
#include "producers/outbox_runner.h"
#include "tests/component/faults/ledger.h"
#include "tests/support/fake_mqtt.h"
#include "tests/support/faults/fault_file_system.h"
#include "tests/support/log_checks.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using namespace testing;

// The hub's connection: what it publishes on the recorder's thread is kept until the test hands it on.
class HubConnection final : public MqttClient {
 public:
  void on_message(std::function<void(const Message&)> callback) override { message_ = std::move(callback); }
  void on_connected(std::function<void()>) override {}
  void on_disconnected(std::function<void(std::string)>) override {}
  void on_room(std::function<void()>) override {}
  void subscribe(std::string, int) override {}
  void start() override {}
  void stop() override {}
  bool connected() const override { return true; }
  Result<void> publish(std::string_view topic, std::string_view payload, int, Retain) override {
    std::lock_guard lock(mutex_);
    published_.emplace_back(topic, payload);
    return {};
  }
  std::vector<std::pair<std::string, std::string>> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(published_, {});
  }
  void deliver(std::string_view topic, std::string_view payload) { message_({topic, payload, false}); }

 private:
  std::function<void(const Message&)> message_;
  std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> published_;
};

// Carries what a producer publishes to the hub of the moment, if there is one.
class ProducerConnection final : public MqttClient {
 public:
  explicit ProducerConnection(HubConnection*& hub) : hub_(hub) {}
  void on_message(std::function<void(const Message&)>) override {}
  void on_connected(std::function<void()>) override {}
  void on_disconnected(std::function<void(std::string)>) override {}
  void on_room(std::function<void()>) override {}
  void subscribe(std::string, int) override {}
  void start() override {}
  void stop() override {}
  bool connected() const override { return hub_ != nullptr; }
  Result<void> publish(std::string_view topic, std::string_view payload, int, Retain) override {
    if (hub_ != nullptr) hub_->deliver(topic, payload);
    return {};
  }

 private:
  HubConnection*& hub_;
};

struct RunningHub {
  RunningHub(const std::filesystem::path& disk, rocksdb::Env* env, const Clock& clock) {
    LogStoreOptions store;
    store.write_buffer_bytes = 64u << 10;
    store.reserve_bytes = 0;
    store.env = env;
    auto opened = open_rocksdb_event_log(disk, clock, store);
    if (!opened) {
      error = opened.error().message();
      return;
    }
    log = std::move(*opened);
    RecorderOptions options;
    options.retry_after_failure = options.retry_after_failure_max = std::chrono::milliseconds(1);
    recorder = std::make_unique<Recorder>(options, *log, connection, connection, Topics(), clock, *metrics, health,
                                          [this](std::shared_ptr<const Commit> commit) {
                                            followed_in_order &= commit->first == followed + 1;
                                            followed = commit->last;
                                          });
    followed = log->last();
    recorder->start();
  }

  HubConnection connection;
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  std::unique_ptr<EventLog> log;
  Position followed;  // by whoever is handed the commits
  bool followed_in_order = true;
  std::string error;
  std::unique_ptr<Recorder> recorder;  // last: ends first
};

class LineFaultsTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  static constexpr int kProducers = 3;

  void SetUp() override {
    quiet_logging();
    for (int i = 0; i < kProducers; ++i) {
      OutboxRunnerOptions options;
      options.producer = "p" + std::to_string(i);
      options.silence_min = options.silence_max = std::chrono::milliseconds(100);
      auto outbox = Outbox::open(directory_ / options.producer, {}).value();
      runners_.push_back(
          OutboxRunner::open(options, std::move(outbox), connection_, topics_, clock_, *metrics_).value());
    }
  }

  void start_hub(const std::filesystem::path& disk, rocksdb::Env* env) {
    hub_ = std::make_unique<RunningHub>(disk, env, clock_);
    if (!hub_->log) return;
    hub_connection_ = &hub_->connection;
    for (auto& runner : runners_) runner->on_connected();
  }
  void end_hub() {
    if (hub_->recorder) hub_->recorder->stop();
    hand_on();  // a confirmation that was sent counts
    EXPECT_TRUE(hub_->followed_in_order);
    hub_connection_ = nullptr;
    for (auto& runner : runners_) runner->on_disconnected();
    hub_.reset();
  }

  void emit(SeededRandom& random) {
    auto& runner = *runners_[random.next() % kProducers];
    std::vector<EventDraft> drafts;
    for (uint64_t i = 1 + random.next() % 30; i > 0; --i) {
      schema::MachineStateChangedT state;
      state.text = std::string(random.next() % 300, 'x');
      drafts.push_back(draft_of(std::move(state), runner.next_id().producer, clock_.wall()));
    }
    emitted_ += drafts.size();
    runner.emit(std::move(drafts), "");
  }
  void hand_on() {
    if (!hub_) return;
    for (const auto& [topic, payload] : hub_->connection.take()) {
      const auto producer = topics_.producer_of_recorded(topic);
      const auto confirmation = decode_confirmation(payload);
      if (!producer || !confirmation) continue;
      runners_[static_cast<size_t>(producer->back() - '0')]->on_confirmation(*confirmation);
    }
    for (auto& runner : runners_) {
      if (runner->next_deadline() && clock_.monotonic() >= *runner->next_deadline()) runner->on_timer();
    }
  }
  bool all_confirmed() {
    hand_on();
    for (const auto& runner : runners_) {
      if (runner->unconfirmed() > 0) return false;
    }
    return true;
  }

  TemporaryDirectory directory_;
  SystemClock clock_;
  Topics topics_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  HubConnection* hub_connection_ = nullptr;
  ProducerConnection connection_{hub_connection_};
  std::vector<std::unique_ptr<OutboxRunner>> runners_;
  std::unique_ptr<RunningHub> hub_;
  uint64_t emitted_ = 0;
};

TEST_P(LineFaultsTest, WhatWasConfirmedIsThereAfterEveryLossOfPower) {
  const uint64_t seed = number_from("MILLRACE_POWER_SEED", random_seed() % 1'000'000'000) + GetParam();
  std::cout << "seed " << seed << " (MILLRACE_POWER_SEED)\n";
  SeededRandom random(seed);
  const uint64_t cuts = number_from("MILLRACE_POWER_CUTS", 3);
  uint64_t confirmed_at_cuts = 0;
  for (uint64_t cut = 0; cut < cuts; ++cut) {
    FaultFileSystem disk(directory_ / std::to_string(cut), directory_ / "kept", random.next());
    disk.cut_power_after(1 + random.next() % 800);
    start_hub(directory_ / std::to_string(cut), disk.env());
    ASSERT_TRUE(hub_->log || !disk.has_power()) << hub_->error;
    for (int turn = 0; turn < 2000 && disk.has_power(); ++turn) {
      emit(random);
      hand_on();
      if (random.next() % 64 == 0) disk.fail_syncs(1);
    }
    disk.cut_power();
    end_hub();
    for (const auto& runner : runners_) confirmed_at_cuts += runner->confirmed().sequence;
    disk.crash_image(directory_ / std::to_string(cut + 1));
  }
  start_hub(directory_ / std::to_string(cuts), nullptr);
  ASSERT_TRUE(hub_->log) << hub_->error;
  ASSERT_TRUE(eventually([this] { return all_confirmed(); }));
  hub_->recorder->stop();
  const auto last = check_order(*hub_->log);
  for (const auto& runner : runners_) {
    const EventId next = runner->next_id();
    EXPECT_EQ(last.at(next.producer), (EventOrder{next.epoch, next.sequence - 1}));
  }
  EXPECT_EQ(hub_->log->last().value, emitted_ + kProducers) << "each event and each EpochOpened once, no EventsDropped";
  EXPECT_GT(confirmed_at_cuts, 0u);
  end_hub();
}

INSTANTIATE_TEST_SUITE_P(Seeds, LineFaultsTest, ::testing::Range(uint64_t{0}, uint64_t{6}));

}  // namespace
}  // namespace millrace
