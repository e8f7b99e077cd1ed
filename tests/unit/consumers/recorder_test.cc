// SPDX-License-Identifier: Apache-2.0
// The recorder with its real thread, fed from other threads as the broker's library does; also run under
// ThreadSanitizer.
#include "consumers/recorder.h"

#include <gtest/gtest.h>

#include "bus/batch.h"
#include "bus/confirmation.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/fake_mqtt.h"
#include "tests/support/forwarding_event_log.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using namespace testing;

// The library holds one lock of the whole process while it runs a message callback, and takes it to publish: whoever
// publishes while holding what a callback waits for stops everything.
std::mutex library;

// FakeMqtt with locks: the recorder publishes on its thread while the test looks.
class SharedMqtt final : public MqttClient {
 public:
  void on_message(std::function<void(const Message&)> callback) override { fake_.on_message(std::move(callback)); }
  void on_connected(std::function<void()> callback) override { connected_ = std::move(callback); }
  void on_disconnected(std::function<void(std::string)>) override {}
  void on_room(std::function<void()>) override {}
  void subscribe(std::string filter, int qos) override { fake_.subscribe(std::move(filter), qos); }
  void start() override {}
  void stop() override {}
  bool connected() const override {
    std::lock_guard lock(mutex_);
    return fake_.up;
  }
  Result<void> publish(std::string_view topic, std::string_view payload, int qos, Retain retain) override {
    std::scoped_lock lock(library, mutex_);
    return fake_.publish(topic, payload, qos, retain);
  }

  void set_up(bool up) {
    std::lock_guard lock(mutex_);
    fake_.up = up;
  }
  void connect() {
    set_up(true);
    connected_();
  }
  void deliver(const std::string& topic, const std::string& payload) {
    std::lock_guard lock(library);
    fake_.deliver(topic, payload);
  }
  std::vector<std::string> subscriptions() const { return fake_.subscriptions; }
  std::vector<FakeMqtt::Published> published(const std::string& topic) const {
    std::lock_guard lock(mutex_);
    std::vector<FakeMqtt::Published> found;
    for (const auto& message : fake_.published) {
      if (message.topic == topic) found.push_back(message);
    }
    return found;
  }

 private:
  std::function<void()> connected_;
  mutable std::mutex mutex_;
  FakeMqtt fake_;
};

// A log whose next appends fail, or wait until they are let through.  It stays down until it is allowed to recover; a
// failed group may come to light then.
class UnreliableLog final : public ForwardingEventLog {
 public:
  UnreliableLog() : ForwardingEventLog(make_memory_event_log()) {}

  Result<Commit> append(const AppendBatch& batch) override {
    {
      std::unique_lock lock(mutex_);
      waiting_ = true;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !held_; });
      waiting_ = false;
      if (failures_ > 0) {
        --failures_;
        down_ = true;
        if (surfaces_)
          surfacing_.emplace(
              Copy{{batch.envelopes.begin(), batch.envelopes.end()}, {batch.marks.begin(), batch.marks.end()}});
        return make_error(Errc::kSyncFailed, "no space");
      }
    }
    EXPECT_FALSE(down_) << "append to a log that was not recovered";
    return log_->append(batch);
  }
  Result<void> recover() override {
    std::lock_guard lock(mutex_);
    ++recoveries_;
    if (!recovers_) return make_error(Errc::kFull, "still no space");
    down_ = false;
    if (surfacing_) {
      EXPECT_TRUE(log_->append({surfacing_->envelopes, surfacing_->marks, noon()}));
      surfacing_.reset();
    }
    return {};
  }

  void fail(int times) {
    std::lock_guard lock(mutex_);
    failures_ = times;
  }
  void stay_down(bool down) {
    std::lock_guard lock(mutex_);
    recovers_ = !down;
  }
  void surface_failed_groups() { surfaces_ = true; }
  int recoveries() {
    std::lock_guard lock(mutex_);
    return recoveries_;
  }
  void hold() {
    std::lock_guard lock(mutex_);
    held_ = true;
  }
  void let_go() {
    std::lock_guard lock(mutex_);
    held_ = false;
    changed_.notify_all();
  }
  // An append has begun and is held.
  void wait_until_held() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [this] { return waiting_; }));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  struct Copy {
    std::vector<Envelope> envelopes;
    std::vector<ProducerMark> marks;
  };

  int failures_ = 0;
  bool down_ = false;
  bool recovers_ = true;
  bool surfaces_ = false;
  std::optional<Copy> surfacing_;
  int recoveries_ = 0;
  bool held_ = false;
  bool waiting_ = false;
};

class RecorderTest : public ::testing::Test {
 protected:
  void start(RecorderOptions options = {}) {
    options.retry_after_failure = options.retry_after_failure_max = std::chrono::milliseconds(1);
    recorder_ =
        std::make_unique<Recorder>(options, log_, subscriber_, publisher_, topics_, clock_, *metrics_, health_,
                                   [this](std::shared_ptr<const Commit> commit) { committed_ = commit->last.value; });
    recorder_->start();
  }

  std::string batch(const std::string& producer, uint64_t first, uint64_t last) {
    std::vector<Envelope> events;
    for (uint64_t s = first; s <= last; ++s)
      events.push_back(s == 1 ? epoch_opened(producer, 1) : fact(producer, 1, s));
    std::vector<std::string_view> bytes;
    for (const Envelope& event : events) bytes.push_back(event.bytes());
    return encode_batch({producer, {1, first}, {1, 1}, 1}, bytes);
  }
  void send(const std::string& producer, uint64_t first, uint64_t last) {
    subscriber_.deliver(topics_.ingest(producer), batch(producer, first, last));
  }

  std::optional<Confirmation> confirmation(const std::string& producer) {
    const auto messages = publisher_.published(topics_.recorded(producer));
    if (messages.empty()) return std::nullopt;
    return decode_confirmation(messages.back().payload).value();
  }
  bool confirmed(const std::string& producer, uint64_t sequence) {
    return eventually([&] {
      const auto last = confirmation(producer);
      return last && last->status == Confirmation::Status::kOk && last->recorded == EventOrder{1, sequence};
    });
  }
  bool asked_to_resend(const std::string& producer) {
    return eventually([&] {
      const auto last = confirmation(producer);
      return last && last->status == Confirmation::Status::kResend;
    });
  }
  // What is in the log of a producer, in its order.
  std::vector<uint64_t> logged(const std::string& producer) {
    std::vector<uint64_t> found;
    const auto read = log_.read({}, {.events = 100'000}, {}).value();
    for (const auto& event : read.events) {
      if (event.envelope.producer() == producer) found.push_back(event.envelope.sequence());
    }
    return found;
  }
  static std::vector<uint64_t> up_to(uint64_t last) {
    std::vector<uint64_t> numbers;
    for (uint64_t s = 1; s <= last; ++s) numbers.push_back(s);
    return numbers;
  }
  double counted(const std::string& name) { return metrics_->counter(name, "").value(); }

  double gauged(const std::string& name) { return metrics_->gauge(name, "").value(); }

  ManualClock clock_;
  UnreliableLog log_;
  SharedMqtt subscriber_, publisher_;
  const Topics topics_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  Health health_;
  std::atomic<uint64_t> committed_ = 0;
  std::unique_ptr<Recorder> recorder_;
};

TEST_F(RecorderTest, ConfirmsOnceItIsInTheLog) {
  start();
  log_.hold();
  send("m1", 1, 3);
  log_.wait_until_held();
  EXPECT_EQ(confirmation("m1"), std::nullopt);
  log_.let_go();
  ASSERT_TRUE(confirmed("m1", 3));
  EXPECT_EQ(logged("m1"), up_to(3));
  EXPECT_EQ(committed_, 3u);
  EXPECT_EQ(publisher_.published(topics_.recorded("m1")).back().retain, Retain::kYes);
  EXPECT_EQ(subscriber_.subscriptions(), std::vector<std::string>{topics_.ingest_all()});
}

TEST_F(RecorderTest, ANewConnectionAndArrivingEventsDoNotWaitForEachOther) {
  start();
  std::thread reconnecting([this] {
    for (int i = 0; i < 300; ++i) {
      subscriber_.connect();
      publisher_.connect();
    }
  });
  for (uint64_t s = 1; s <= 3000; ++s) send("m1", s, s);
  reconnecting.join();
  send("m1", 3001, 3001);  // behind the last announcement, which asks for what follows 3000
  EXPECT_TRUE(confirmed("m1", 3001));
}

TEST_F(RecorderTest, WritesOfTheHubAreNumberedAppendedAndAnswered) {
  start();
  std::atomic<uint64_t> answered{0};
  for (int i = 0; i < 50; ++i) {
    std::vector<EventDraft> drafts;
    drafts.push_back(draft_of(schema::ClockJumpedT{}, "", noon()));
    drafts.push_back(draft_of(schema::ClockJumpedT{}, "", noon()));
    recorder_->submit({std::move(drafts), {}, [&](Result<Position> position) { answered += position ? 1 : 1000; }});
    send("m1", static_cast<uint64_t>(i) + 1, static_cast<uint64_t>(i) + 1);
  }
  ASSERT_TRUE(eventually([&] { return answered >= 50; }));
  EXPECT_EQ(answered, 50u);
  EXPECT_EQ(logged("hub"), up_to(100));
  ASSERT_TRUE(confirmed("m1", 50));
  EXPECT_EQ(log_.mark("hub"), (EventOrder{log_.incarnation_number(), 100}));
}

TEST_F(RecorderTest, ARefusedWriteOfTheHubUsesNoNumber) {
  start();
  std::atomic<int> refused{0};
  const auto submit = [&](std::vector<EventDraft> drafts) {
    recorder_->submit({std::move(drafts), {}, [&](Result<Position> outcome) { refused += outcome ? 0 : 1; }});
  };
  submit({});
  schema::EventRejectedT large;
  large.detail.resize(Envelope::kMaxBytes);
  std::vector<EventDraft> drafts;
  drafts.push_back(draft_of(schema::ClockJumpedT{}, "", noon()));
  drafts.push_back(draft_of(std::move(large), "", noon()));
  submit(std::move(drafts));
  log_.fail(1);
  drafts.clear();
  drafts.push_back(draft_of(schema::ClockJumpedT{}, "", noon()));
  submit(std::move(drafts));
  ASSERT_TRUE(eventually([&] { return refused == 3; }));
  EXPECT_TRUE(logged("hub").empty());
  ASSERT_TRUE(eventually([&] { return gauged("millrace_log_writable") == 1; }));
  drafts.clear();
  drafts.push_back(draft_of(schema::ClockJumpedT{}, "", noon()));
  submit(std::move(drafts));
  EXPECT_TRUE(eventually([&] { return logged("hub") == up_to(1); }));
  recorder_->stop();
  submit({});
  EXPECT_EQ(refused, 4) << "after the end nothing is taken";
}

TEST_F(RecorderTest, RecordsEachProducerInOrderFromManyThreads) {
  start();
  std::vector<std::thread> threads;
  for (int t = 1; t <= 4; ++t) {
    threads.emplace_back([this, producer = "m" + std::to_string(t)] {
      for (uint64_t first = 1; first <= 500; first += 5) send(producer, first, first + 4);
    });
  }
  for (auto& thread : threads) thread.join();
  for (int t = 1; t <= 4; ++t) {
    ASSERT_TRUE(confirmed("m" + std::to_string(t), 500));
    EXPECT_EQ(logged("m" + std::to_string(t)), up_to(500));
  }
  EXPECT_EQ(counted("millrace_log_appended_events_total"), 2000);
}

TEST_F(RecorderTest, WithAnSdCardTelemetryWaitsAndFactsDoNot) {
  start({.telemetry_linger = std::chrono::milliseconds(50)});
  const auto send_telemetry = [this](uint64_t first, uint64_t last) {
    std::vector<Envelope> events;
    for (uint64_t s = first; s <= last; ++s) events.push_back(telemetry("m1", 1, s));
    std::vector<std::string_view> bytes;
    for (const Envelope& event : events) bytes.push_back(event.bytes());
    subscriber_.deliver(topics_.ingest("m1"), encode_batch({"m1", {1, first}, {1, 1}, 1}, bytes));
  };
  send("m1", 1, 1);
  ASSERT_TRUE(confirmed("m1", 1)) << "a fact";
  for (uint64_t s = 2; s <= 30; ++s) send_telemetry(s, s);
  std::this_thread::sleep_for(std::chrono::milliseconds(120));  // longer than it may wait, but the clock stands
  EXPECT_EQ(logged("m1"), up_to(1));
  clock_.advance(std::chrono::milliseconds(50));
  ASSERT_TRUE(confirmed("m1", 30));
  EXPECT_EQ(counted("millrace_log_groups_total"), 2) << "one fsync for all of it";
  send_telemetry(31, 31);
  send("m1", 32, 32);
  ASSERT_TRUE(confirmed("m1", 32)) << "a fact takes what waits along";
  EXPECT_EQ(counted("millrace_log_groups_total"), 3);
  EXPECT_EQ(metrics_->gauge("millrace_log_fsyncs_last_hour", "").value(), 3);
  send_telemetry(33, 33);
  recorder_->stop();
  EXPECT_EQ(logged("m1"), up_to(33)) << "nothing is left behind at the end";
  clock_.advance(std::chrono::hours(2));
}

TEST_F(RecorderTest, WhatArrivesDuringAnAppendBecomesOneGroup) {
  start();
  log_.hold();
  send("m1", 1, 1);
  log_.wait_until_held();
  for (uint64_t s = 2; s <= 40; ++s) send("m1", s, s);
  log_.let_go();
  ASSERT_TRUE(confirmed("m1", 40));
  EXPECT_EQ(counted("millrace_log_groups_total"), 2);
}

TEST_F(RecorderTest, FullQueueDropsAndCountsAndTheRestIsSentAgain) {
  start({.max_queue_batches = 2});
  log_.hold();
  send("m1", 1, 1);
  log_.wait_until_held();
  for (uint64_t s = 2; s <= 6; ++s) send("m1", s, s);  // 2 and 3 wait
  EXPECT_EQ(counted("millrace_recorder_queue_dropped_batches_total"), 3);
  log_.let_go();
  ASSERT_TRUE(confirmed("m1", 3));
  send("m1", 7, 7);
  ASSERT_TRUE(asked_to_resend("m1"));
  send("m1", 4, 7);
  ASSERT_TRUE(confirmed("m1", 7));
  EXPECT_EQ(logged("m1"), up_to(7));
}

TEST_F(RecorderTest, QueueIsBoundedInBytesToo) {
  const size_t size = batch("m1", 2, 2).size();
  start({.max_queue_bytes = 2 * size});
  log_.hold();
  send("m1", 1, 1);
  log_.wait_until_held();
  for (uint64_t s = 2; s <= 6; ++s) send("m1", s, s);
  EXPECT_EQ(counted("millrace_recorder_queue_dropped_batches_total"), 3);
  log_.let_go();
  ASSERT_TRUE(confirmed("m1", 3));
}

TEST_F(RecorderTest, FailedAppendAsksForTheEventsAgain) {
  log_.fail(3);
  start();
  for (int attempt = 0; attempt < 3; ++attempt) {
    const size_t before = publisher_.published(topics_.recorded("m1")).size();
    send("m1", 1, 5);
    ASSERT_TRUE(eventually([&] { return publisher_.published(topics_.recorded("m1")).size() > before; }));
    EXPECT_EQ(confirmation("m1")->status, Confirmation::Status::kResend);
    EXPECT_EQ(confirmation("m1")->recorded, EventOrder{});
  }
  send("m1", 1, 5);
  ASSERT_TRUE(confirmed("m1", 5));
  EXPECT_EQ(logged("m1"), up_to(5));
  EXPECT_EQ(counted("millrace_log_failed_appends_total"), 3);
  EXPECT_TRUE(health_.parts().at("log").ready);
}

TEST_F(RecorderTest, WhileTheLogIsDownReadinessSaysWhyAndBatchesWait) {
  log_.fail(1);
  log_.stay_down(true);
  start({.max_queue_batches = 3});
  send("m1", 1, 5);
  ASSERT_TRUE(eventually([&] { return log_.recoveries() > 2; }));
  EXPECT_FALSE(health_.ready());
  EXPECT_EQ(health_.parts().at("log").text, "still no space");
  EXPECT_EQ(gauged("millrace_log_writable"), 0);
  for (int i = 0; i < 5; ++i) send("m1", 1, 5);  // nothing is appended, nobody is asked: what finds no room is dropped
  EXPECT_EQ(counted("millrace_recorder_queue_dropped_batches_total"), 2);
  EXPECT_EQ(confirmation("m1"), std::nullopt);
  std::string refusal;
  recorder_->submit({{}, {}, [&](Result<Position> outcome) { refusal = outcome.error().context; }});
  EXPECT_EQ(refusal, "still no space") << "a write of the hub is answered at once";
  log_.stay_down(false);
  ASSERT_TRUE(confirmed("m1", 5));
  EXPECT_EQ(logged("m1"), up_to(5));
  EXPECT_TRUE(health_.parts().at("log").ready);
  EXPECT_EQ(gauged("millrace_log_writable"), 1);
}

TEST_F(RecorderTest, AGroupThatComesToLightIsConfirmedAndNotStoredAgain) {
  start();
  send("m1", 1, 3);
  ASSERT_TRUE(confirmed("m1", 3));
  log_.fail(1);
  log_.surface_failed_groups();
  send("m1", 4, 9);
  ASSERT_TRUE(asked_to_resend("m1"));
  EXPECT_EQ(confirmation("m1")->recorded, (EventOrder{1, 9})) << "what the log turned out to hold";
  EXPECT_EQ(committed_, 9u) << "whoever follows the log is told of it";
  send("m1", 4, 12);
  ASSERT_TRUE(confirmed("m1", 12));
  EXPECT_EQ(logged("m1"), up_to(12));
}

TEST_F(RecorderTest, MayBeStoppedWhileTheLogIsDown) {
  log_.fail(1);
  log_.stay_down(true);
  start();
  send("m1", 1, 5);
  ASSERT_TRUE(eventually([&] { return log_.recoveries() > 0; }));
  recorder_->stop();
  EXPECT_EQ(logged("m1"), std::vector<uint64_t>{});
}

TEST_F(RecorderTest, SendersThatObeyConfirmationsGetEverythingRecordedOnce) {
  log_.fail(5);
  start({.max_queue_batches = 4});
  std::vector<std::thread> threads;
  std::atomic<int> complete = 0;
  for (int t = 1; t <= 3; ++t) {
    threads.emplace_back([&, producer = "m" + std::to_string(t)] {
      constexpr uint64_t kLast = 200;
      const auto recorded = [&] { return confirmation(producer).value_or(Confirmation{}).recorded.sequence; };
      for (int round = 0; round < 1000 && recorded() < kLast; ++round) {
        const uint64_t begin = recorded();
        for (uint64_t first = begin + 1; first <= kLast; first += 10) send(producer, first, std::min(first + 9, kLast));
        eventually([&] { return recorded() > begin; }, std::chrono::milliseconds(20));
      }
      complete += recorded() == kLast;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(complete, 3);
  for (int t = 1; t <= 3; ++t) EXPECT_EQ(logged("m" + std::to_string(t)), up_to(200));
}

TEST_F(RecorderTest, StopAppendsWhatIsQueued) {
  start();
  log_.hold();
  send("m1", 1, 1);
  log_.wait_until_held();
  send("m1", 2, 9);
  std::thread stopper([this] { recorder_->stop(); });
  log_.let_go();
  stopper.join();
  EXPECT_EQ(logged("m1"), up_to(9));
  ASSERT_TRUE(confirmed("m1", 9));
}

TEST_F(RecorderTest, MayBeStoppedWhileBatchesArrive) {
  start();
  std::atomic<bool> begun = false;
  std::thread sender([&] {
    for (uint64_t s = 1; s <= 2000; ++s) {
      send("m1", s, s);
      begun = true;
    }
  });
  ASSERT_TRUE(eventually([&] { return begun.load(); }));
  recorder_->stop();
  sender.join();
  const auto recorded = logged("m1");
  EXPECT_EQ(recorded, up_to(recorded.size()));
  EXPECT_EQ(confirmation("m1").value_or(Confirmation{}).recorded.sequence, recorded.size());
}

TEST_F(RecorderTest, NewConnectionIsAnnouncedAndAsksEveryProducer) {
  start();
  send("m1", 1, 2);
  ASSERT_TRUE(confirmed("m1", 2));
  const size_t online = publisher_.published(topics_.status("hub")).size();
  subscriber_.connect();
  ASSERT_TRUE(asked_to_resend("m1"));
  EXPECT_EQ(confirmation("m1")->recorded, (EventOrder{1, 2}));
  ASSERT_TRUE(eventually([&] { return publisher_.published(topics_.status("hub")).size() > online; }));
  const auto status = publisher_.published(topics_.status("hub")).back();
  EXPECT_EQ(status.payload, "online");
  EXPECT_EQ(status.retain, Retain::kYes);
  EXPECT_TRUE(health_.parts().at("recorder").ready);
}

TEST_F(RecorderTest, ConfirmationWaitsForTheConnection) {
  publisher_.set_up(false);
  start();
  send("m1", 1, 2);
  ASSERT_TRUE(eventually([this] { return committed_ == 2; }));
  publisher_.connect();
  ASSERT_TRUE(eventually([this] { return confirmation("m1").has_value(); }));
  EXPECT_EQ(confirmation("m1")->recorded, (EventOrder{1, 2}));
}

TEST_F(RecorderTest, BytesThatAreNoBatchAreRecordedAsRejected) {
  start();
  subscriber_.deliver(topics_.ingest("m1"), "garbage");
  subscriber_.deliver("elsewhere/v1/ingest/m1", batch("m1", 1, 1));  // not ours: ignored
  send("m2", 1, 2);
  ASSERT_TRUE(confirmed("m2", 2));
  EventFilter filter;
  filter.types = {EventType::EventRejected};
  const auto rejected = log_.read({}, {}, filter)->events;
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(text(rejected[0].envelope.as<schema::EventRejected>()->reason()), "malformed_batch");
  EXPECT_EQ(logged("m1"), std::vector<uint64_t>{});
}

}  // namespace
}  // namespace millrace
