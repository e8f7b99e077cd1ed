// SPDX-License-Identifier: Apache-2.0
#include "producers/outbox_runner.h"

#include <gtest/gtest.h>

#include "bus/file_io.h"
#include "bus/logging.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/fake_mqtt.h"

namespace millrace {
namespace {

using namespace testing;
using Sequences = std::vector<uint64_t>;

class OutboxRunnerTest : public ::testing::Test {
 protected:
  void open(OutboxOptions outbox = {}, OutboxRunnerOptions options = {}) {
    runner_.reset();
    options.producer = "m1";
    options.max_outbox_bytes = outbox.max_bytes;
    runner_ =
        OutboxRunner::open(options, Outbox::open(directory_ / "m1", outbox).value(), mqtt_, topics_, clock_, *metrics_)
            .value();
    epoch_ = runner_->next_id().epoch;
  }

  void emit_facts(int count, const std::string& state = "s") {
    for (int i = 0; i < count; ++i) {
      schema::MachineStateChangedT payload;
      payload.text = std::string(100, 'x');
      emit(draft_of(std::move(payload), "m1", noon()), state);
    }
  }
  void emit_telemetry() { emit(draft_of(schema::TelemetrySampledT{}, "m1", noon()), "s"); }
  void emit(EventDraft draft, const std::string& state) {
    std::vector<EventDraft> drafts;
    drafts.push_back(std::move(draft));
    runner_->emit(std::move(drafts), state);
  }

  void confirm(uint64_t sequence, Confirmation::Status status = Confirmation::Status::kOk) {
    runner_->on_confirmation({"log", {epoch_, sequence}, status});
  }

  // Sequences in each publish since the last call.
  std::vector<Sequences> published() {
    std::vector<Sequences> batches;
    for (const auto& message : mqtt_.published) {
      Sequences sequences;
      const auto batch = decode_batch(message.payload).value();
      for (const auto& entry : batch.entries) sequences.push_back(entry.order.sequence);
      batches.push_back(std::move(sequences));
      last_header_ = batch.header;
    }
    mqtt_.published.clear();
    return batches;
  }

  void pass(Micros time) {
    clock_.advance(time);
    if (runner_->next_deadline() && *runner_->next_deadline() <= clock_.monotonic()) runner_->on_timer();
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  FakeMqtt mqtt_;
  Topics topics_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::unique_ptr<OutboxRunner> runner_;
  uint64_t epoch_ = 0;
  BatchHeader last_header_;
};

TEST_F(OutboxRunnerTest, NothingGoesOutWithoutAConnection) {
  open();
  emit_facts(3);
  EXPECT_TRUE(published().empty());
  runner_->on_connected();
  EXPECT_EQ(published(), (std::vector<Sequences>{{1, 2, 3, 4}}));
  EXPECT_EQ(last_header_.sender_epoch, epoch_);
}

TEST_F(OutboxRunnerTest, LoneEventGoesAtOnce) {
  open();
  runner_->on_connected();
  confirm(1);
  (void)published();
  emit_facts(1);
  EXPECT_EQ(published(), (std::vector<Sequences>{{2}}));
}

TEST_F(OutboxRunnerTest, EventsUnderWayWaitFiveMillisecondsForCompany) {
  open();
  runner_->on_connected();
  (void)published();
  emit_facts(3);
  EXPECT_TRUE(published().empty());
  pass(std::chrono::milliseconds(4));
  EXPECT_TRUE(published().empty());
  pass(std::chrono::milliseconds(1));
  EXPECT_EQ(published(), (std::vector<Sequences>{{2, 3, 4}}));
}

TEST_F(OutboxRunnerTest, FullBatchDoesNotWait) {
  open();
  runner_->on_connected();
  (void)published();
  emit_facts(64);
  const auto batches = published();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].size(), 64u);
}

TEST_F(OutboxRunnerTest, BatchStaysBelowItsBytes) {
  open({}, {.batch_bytes = 1000});
  runner_->on_connected();
  (void)published();
  emit_facts(6);
  const auto batches = published();
  ASSERT_GE(batches.size(), 1u);
  EXPECT_LE(batches[0].size(), 4u);
}

TEST_F(OutboxRunnerTest, UnderLoadAPublishTakesMoreAndWaitsNoLonger) {
  open();
  runner_->on_connected();
  (void)published();
  emit_facts(8 * 64 - 1);  // with EpochOpened 512 are on their way then
  for (const auto& batch : published()) EXPECT_LE(batch.size(), 64u);
  pass(std::chrono::milliseconds(5));
  (void)published();
  emit_facts(223);
  EXPECT_TRUE(published().empty()) << "64 are no longer enough";
  emit_facts(1);
  const auto batches = published();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].size(), 224u);
  emit_facts(3);
  pass(std::chrono::milliseconds(5));
  EXPECT_EQ(published().at(0).size(), 3u);
  confirm(600);
  emit_facts(64);
  EXPECT_EQ(published().at(0).size(), 64u) << "less is on its way again";
}

TEST_F(OutboxRunnerTest, GoesOnAtOnceWhenThePublisherHasRoom) {
  open();
  runner_->on_connected();
  confirm(1);
  (void)published();
  mqtt_.full = true;
  emit_facts(1);
  EXPECT_TRUE(published().empty());
  mqtt_.full = false;
  runner_->on_room();
  EXPECT_EQ(published(), (std::vector<Sequences>{{2}}));
  runner_->on_room();
  EXPECT_TRUE(published().empty());
}

TEST_F(OutboxRunnerTest, ResendBeginsBehindTheConfirmation) {
  open();
  runner_->on_connected();
  emit_facts(4);
  pass(std::chrono::milliseconds(5));
  (void)published();
  confirm(2, Confirmation::Status::kResend);
  EXPECT_EQ(published(), (std::vector<Sequences>{{3, 4, 5}}));
}

TEST_F(OutboxRunnerTest, SilenceSendsAgainWithDoublingPauses) {
  open();
  runner_->on_connected();
  (void)published();
  pass(std::chrono::seconds(5));
  EXPECT_EQ(published(), (std::vector<Sequences>{{1}}));
  pass(std::chrono::seconds(9));
  EXPECT_TRUE(published().empty());
  pass(std::chrono::seconds(1));
  EXPECT_EQ(published(), (std::vector<Sequences>{{1}}));
  confirm(1);
  pass(std::chrono::minutes(10));
  EXPECT_TRUE(published().empty());
  EXPECT_FALSE(runner_->next_deadline());
}

TEST_F(OutboxRunnerTest, NewConnectionSendsWhatIsNotConfirmed) {
  open();
  runner_->on_connected();
  emit_facts(2);
  pass(std::chrono::milliseconds(5));
  confirm(1);
  (void)published();
  runner_->on_disconnected();
  emit_facts(1);
  runner_->on_connected();
  EXPECT_EQ(published(), (std::vector<Sequences>{{2, 3, 4}}));
}

TEST_F(OutboxRunnerTest, WindowBoundsWhatIsUnderWay) {
  open({}, {.batch_events = 2, .window_events = 4});
  runner_->on_connected();
  emit_facts(9);
  pass(std::chrono::milliseconds(5));
  size_t events = 0;
  for (const auto& batch : published()) events += batch.size();
  EXPECT_LE(events, 5u);
  confirm(4);
  EXPECT_FALSE(published().empty());
}

TEST_F(OutboxRunnerTest, RestartOpensANewEpochBehindTheOldEvents) {
  open();
  emit_facts(2, "kept");
  const uint64_t old_epoch = epoch_;
  clock_.advance(std::chrono::seconds(1));
  open();
  EXPECT_GT(epoch_, old_epoch);
  EXPECT_EQ(runner_->state(), "kept");
  runner_->on_connected();
  const auto batches = published();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0], (Sequences{1, 2, 3}));  // the old epoch's; the new one's opening waits for company
  pass(std::chrono::milliseconds(5));
  EXPECT_EQ(published(), (std::vector<Sequences>{{1}}));
  EXPECT_EQ(last_header_.first.epoch, epoch_);
}

TEST_F(OutboxRunnerTest, FencedRunnerStops) {
  open();
  runner_->on_connected();
  (void)published();
  bool told = false;
  runner_->on_fenced = [&] { told = true; };
  runner_->on_confirmation({"log", {epoch_ + 9, 1}, Confirmation::Status::kFenced});
  EXPECT_TRUE(told);
  emit_facts(3);
  pass(std::chrono::minutes(5));
  EXPECT_TRUE(published().empty());
}

TEST_F(OutboxRunnerTest, FencingOfAnOlderProcessIsNotOurs) {
  open();
  runner_->on_connected();
  (void)published();
  confirm(1, Confirmation::Status::kFenced);
  emit_facts(1);
  EXPECT_EQ(published(), (std::vector<Sequences>{{2}}));
}

TEST_F(OutboxRunnerTest, ConfirmationBeyondWhatWasSentIsNotBelieved) {
  open();
  emit_facts(2);
  confirm(99);
  EXPECT_EQ(runner_->unconfirmed(), 3u);
}

// A process of the same name had an epoch between two of ours, or this outbox is a copy put back.
TEST_F(OutboxRunnerTest, ConfirmationOfAnothersEpochForgetsNothing) {
  open();
  emit_facts(2);
  const uint64_t old_epoch = epoch_;
  clock_.advance(std::chrono::seconds(1));
  open();
  ASSERT_GT(epoch_, old_epoch + 1);
  runner_->on_confirmation({"log", {old_epoch + 1, 50}, Confirmation::Status::kOk});
  EXPECT_EQ(runner_->unconfirmed(), 4u);
  runner_->on_confirmation({"log", {old_epoch, 3}, Confirmation::Status::kOk});
  EXPECT_EQ(runner_->unconfirmed(), 1u);
}

TEST_F(OutboxRunnerTest, SilenceIsWatchedUntilTheLastIsConfirmed) {
  open();
  runner_->on_connected();
  emit_facts(4);
  pass(std::chrono::milliseconds(5));
  (void)published();
  confirm(3);  // and then nothing more comes
  ASSERT_TRUE(runner_->next_deadline().has_value());
  pass(std::chrono::seconds(5));
  EXPECT_EQ(published(), (std::vector<Sequences>{{4, 5}}));
}

TEST_F(OutboxRunnerTest, FencedProcessStartsAboveTheOneThatWon) {
  open();
  runner_->on_confirmation({"log", {epoch_ + 1'000'000, 1}, Confirmation::Status::kFenced});
  const uint64_t winner = epoch_ + 1'000'000;  // its clock was ahead
  open();
  EXPECT_GT(epoch_, winner);
}

TEST_F(OutboxRunnerTest, WhatAKilledProcessDroppedIsToldByTheNext) {
  const OutboxOptions outbox{.max_bytes = 20'000, .segment_bytes = 2'000};
  open(outbox);
  while (metrics_->counter("millrace_producer_dropped_events_total", "", {{"producer", "m1"}}).value() < 3) {
    emit_telemetry();
  }
  open(outbox);  // it starts, though the outbox is full
  runner_->on_connected();
  confirm(1);
  for (int start = 0; start < 2; ++start) {
    emit_facts(1);
    confirm(runner_->next_id().sequence - 1);
    clock_.advance(std::chrono::seconds(1));
    open(outbox);
  }
  uint64_t told = 0;
  for (const auto& message : mqtt_.published) {
    const auto batch = decode_batch(message.payload).value();
    for (const auto& entry : batch.entries) {
      if (const auto* dropped = entry.envelope->as<schema::EventsDropped>()) told += dropped->count();
    }
  }
  EXPECT_EQ(told, 3u) << "once";
}

TEST_F(OutboxRunnerTest, AnotherLogGetsAgainWhatIsStillOnTheDisk) {
  open();
  runner_->on_connected();
  emit_facts(5);
  confirm(6);
  EXPECT_EQ(runner_->unconfirmed(), 0u);
  (void)published();
  // Restored from a backup that ends at 2.
  runner_->on_confirmation({"restored log", {epoch_, 2}, Confirmation::Status::kResend});
  EXPECT_EQ(published(), (std::vector<Sequences>{{3, 4, 5, 6}}));
  EXPECT_EQ(last_header_.oldest, (EventOrder{epoch_, 3}));
  runner_->on_confirmation({"restored log", {epoch_, 6}, Confirmation::Status::kOk});
  EXPECT_EQ(runner_->unconfirmed(), 0u);
  emit_facts(1);
  EXPECT_EQ(published(), (std::vector<Sequences>{{7}}));
}

TEST_F(OutboxRunnerTest, CountOfDropsThatCannotBeNotedIsSaidOnce) {
  const std::string file = directory_ / "program.log";
  ASSERT_TRUE(start_logging({.level = LogLevel::kError, .file = file}));
  std::filesystem::create_directories(directory_ / "m1" / "drops");  // no file can be written there
  open({.max_bytes = 20'000, .segment_bytes = 2'000});
  for (int i = 0; i < 1000; ++i) emit_telemetry();
  ASSERT_TRUE(start_logging({}));
  const std::string said = read_file(file).value();
  const size_t first = said.find("in memory only");
  ASSERT_NE(first, std::string::npos) << said;
  EXPECT_EQ(said.find("in memory only", first + 1), std::string::npos) << "once, not with every event";
}

TEST_F(OutboxRunnerTest, FullOutboxDropsTelemetryFirstAndSaysSo) {
  open({.max_bytes = 20'000, .segment_bytes = 2'000});
  uint64_t stored = 1;
  while (metrics_->counter("millrace_producer_dropped_events_total", "", {{"producer", "m1"}}).value() == 0) {
    emit_telemetry();
    ++stored;
    ASSERT_LT(stored, 1000u);
  }
  const uint64_t before = runner_->unconfirmed();
  emit_facts(1);
  EXPECT_EQ(runner_->unconfirmed(), before + 1) << "a fact still finds room";
  emit_telemetry();
  EXPECT_EQ(runner_->unconfirmed(), before + 1);
  runner_->on_connected();
  confirm(before + 1);
  (void)published();
  emit_facts(1);
  pass(std::chrono::milliseconds(5));
  bool said = false;
  for (const auto& message : mqtt_.published) {
    const auto batch = decode_batch(message.payload).value();
    for (const auto& entry : batch.entries) {
      const auto* dropped = entry.envelope->as<schema::EventsDropped>();
      if (dropped == nullptr) continue;
      said = true;
      EXPECT_EQ(dropped->count(), 2u);
      EXPECT_EQ(text(dropped->reason()), "outbox_full");
    }
  }
  EXPECT_TRUE(said);
}

TEST_F(OutboxRunnerTest, TooLargeEventLeavesARejectionInItsPlace) {
  open();
  schema::MachineStateChangedT payload;
  payload.text = std::string(Envelope::kMaxBytes + 1, 'x');
  emit(draft_of(std::move(payload), "m1", noon()), "s");
  runner_->on_connected();
  const auto batch = decode_batch(mqtt_.published.at(0).payload).value();
  ASSERT_EQ(batch.entries.size(), 2u);
  EXPECT_EQ(batch.entries[1].envelope->type(), EventType::EventRejected);
}

}  // namespace
}  // namespace millrace
