// SPDX-License-Identifier: Apache-2.0
#include "consumers/intake.h"

#include <gtest/gtest.h>

#include "bus/random.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using Sequences = std::vector<uint64_t>;

struct Sending {
  EventOrder oldest;          // {0, 0}: everything can still be sent
  uint64_t sender_epoch = 0;  // 0: the batch's
};

class IntakeTest : public ::testing::Test {
 protected:
  IntakeTest() { restart(); }

  void restart() {
    LogInfo info = log_->info().value();
    intake_ = std::make_unique<Intake>(IntakeOptions{}, info, clock_, *metrics_);
  }

  void send(const std::vector<Envelope>& events, Sending sending = {}) {
    std::vector<std::string_view> bytes;
    for (const auto& event : events) bytes.push_back(event.bytes());
    send_bytes(std::string(events[0].producer()), events[0].order(), bytes, sending);
  }

  void send_bytes(const std::string& producer, EventOrder first, const std::vector<std::string_view>& bytes,
                  Sending sending = {}) {
    BatchHeader header{producer, first, sending.oldest, sending.sender_epoch};
    if (header.oldest == EventOrder{}) header.oldest = {1, 1};
    if (header.sender_epoch == 0) header.sender_epoch = first.epoch;
    intake_->take(producer, "t/" + producer, encode_batch(header, bytes));
  }

  void commit() {
    if (!intake_->group().empty()) {
      const auto marks = intake_->marks();
      const auto ended = intake_->ended();
      ASSERT_TRUE(log_->append({intake_->group(), marks, noon(), std::nullopt, {}, ended}));
    }
    intake_->committed();
  }

  // Sequences in the log of one producer's epoch.
  Sequences logged(const std::string& producer, uint64_t epoch = 1) {
    Sequences found;
    const auto read = log_->read({}, {}, {}).value();
    for (const auto& event : read.events) {
      if (event.envelope.producer() == producer && event.envelope.epoch() == epoch) {
        found.push_back(event.envelope.sequence());
      }
    }
    return found;
  }

  template <class Table>
  std::vector<RecordedEvent> events_of(EventType type) {
    EventFilter filter;
    filter.types = {type};
    return log_->read({}, {}, filter).value().events;
  }

  Confirmation confirmation(const std::string& producer) { return intake_->take_confirmations().at(producer); }

  ManualClock clock_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::unique_ptr<EventLog> log_ = make_memory_event_log(77);
  std::unique_ptr<Intake> intake_;
};

TEST_F(IntakeTest, NewEventsAreAppendedAndConfirmed) {
  send({epoch_opened("a", 1), fact("a", 1, 2), fact("a", 1, 3)});
  EXPECT_TRUE(intake_->take_confirmations().empty());
  commit();
  EXPECT_EQ(confirmation("a").recorded, (EventOrder{1, 3}));
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 3}));
}

TEST_F(IntakeTest, DuplicateIsConfirmedButNotAppended) {
  send({epoch_opened("a", 1), fact("a", 1, 2), fact("a", 1, 3)});
  commit();
  send({fact("a", 1, 2), fact("a", 1, 3), fact("a", 1, 4)});
  commit();
  EXPECT_EQ(confirmation("a").recorded, (EventOrder{1, 4}));
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 3, 4}));
}

TEST_F(IntakeTest, DuplicateInsideOneGroupIsDropped) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 2}));
}

TEST_F(IntakeTest, GapAsksForAResendAndAppendsNothing) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  (void)intake_->take_confirmations();
  send({fact("a", 1, 5)});
  const auto asked = confirmation("a");
  EXPECT_EQ(asked.status, Confirmation::Status::kResend);
  EXPECT_EQ(asked.recorded, (EventOrder{1, 2}));
  send({fact("a", 1, 3), fact("a", 1, 4), fact("a", 1, 5)});
  commit();
  EXPECT_EQ(confirmation("a").status, Confirmation::Status::kOk);
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 3, 4, 5}));
}

TEST_F(IntakeTest, ResendIsNotAskedForEveryBatchBehindAGap) {
  send({epoch_opened("a", 1)});
  commit();
  (void)intake_->take_confirmations();
  send({fact("a", 1, 3)});
  EXPECT_EQ(intake_->take_confirmations().size(), 1u);
  send({fact("a", 1, 4)});
  EXPECT_TRUE(intake_->take_confirmations().empty());
  clock_.advance(std::chrono::seconds(1));
  send({fact("a", 1, 5)});
  EXPECT_EQ(intake_->take_confirmations().size(), 1u);
}

TEST_F(IntakeTest, HoleThatNobodyCanFillIsNamed) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  send({fact("a", 1, 6)}, {.oldest = {1, 6}});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 6}));
  const auto dropped = events_of<schema::EventsDropped>(EventType::EventsDropped);
  ASSERT_EQ(dropped.size(), 1u);
  const auto* table = dropped[0].envelope.as<schema::EventsDropped>();
  EXPECT_EQ(table->from_sequence(), 3u);
  EXPECT_EQ(table->to_sequence(), 5u);
  EXPECT_EQ(table->count(), 3u);
  EXPECT_EQ(text(table->producer()), "a");
  EXPECT_EQ(dropped[0].envelope.producer(), "hub");
  EXPECT_EQ(dropped[0].envelope.epoch(), 77u);
}

// As after a restore: the log has another incarnation, and every mark is the backup's.
class RestoredIntakeTest : public IntakeTest {
 protected:
  void restore(std::chrono::milliseconds patience = {}) {
    LogInfo info = log_->info().value();
    info.incarnation_number = 78;
    info.restored_at = noon();
    for (const ProducerMark& mark : info.marks) info.restored.insert(mark.producer);
    IntakeOptions options;
    options.restored_patience = patience;
    intake_ = std::make_unique<Intake>(options, info, clock_, *metrics_);
  }

  struct Dropped {
    uint64_t epoch, from, to, count;
    std::string reason;
    bool operator==(const Dropped&) const = default;
  };
  std::vector<Dropped> dropped() {
    std::vector<Dropped> found;
    for (const auto& event : events_of<schema::EventsDropped>(EventType::EventsDropped)) {
      const auto* told = event.envelope.as<schema::EventsDropped>();
      found.push_back({told->epoch(), told->from_sequence(), told->to_sequence(), told->count(),
                       std::string(text(told->reason()))});
    }
    return found;
  }
};

TEST_F(RestoredIntakeTest, HoleBehindTheBackupIsNamedAsRestored) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  restore();
  send({fact("a", 1, 6)}, {.oldest = {1, 6}});
  commit();
  send({fact("a", 1, 9)}, {.oldest = {1, 9}});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 6, 9}));
  EXPECT_EQ(dropped(), (std::vector<Dropped>{{1, 3, 5, 3, "restored"}, {1, 7, 8, 2, "outbox_lost"}}));
}

TEST_F(RestoredIntakeTest, HoleIsNamedAsRestoredWhenTheFirstAppendFails) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  restore();
  send({fact("a", 1, 6)}, {.oldest = {1, 6}});
  intake_->failed();
  send({fact("a", 1, 6)}, {.oldest = {1, 6}});
  commit();
  EXPECT_EQ(dropped(), (std::vector<Dropped>{{1, 3, 5, 3, "restored"}}));
}

TEST_F(RestoredIntakeTest, WhatAnOutboxStillHoldsLeavesNoHole) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  restore();
  send({fact("a", 1, 2), fact("a", 1, 3)}, {.oldest = {1, 2}});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 3}));
  EXPECT_TRUE(dropped().empty());
}

TEST_F(RestoredIntakeTest, ProducerThatDoesNotKnowYetIsAskedFirst) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  restore(std::chrono::seconds(3));
  send({fact("a", 1, 6)}, {.oldest = {1, 6}});  // it still believes the lost log's confirmation of 5
  EXPECT_TRUE(intake_->group().empty());
  EXPECT_EQ(confirmation("a").status, Confirmation::Status::kResend);
  send({fact("a", 1, 3), fact("a", 1, 4), fact("a", 1, 5), fact("a", 1, 6)}, {.oldest = {1, 1}});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(dropped().empty());
}

TEST_F(RestoredIntakeTest, HoleIsNamedWhenAskingDoesNotHelp) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  restore(std::chrono::seconds(3));
  for (int second = 0; second < 3; ++second) {
    send({fact("a", 1, 6)}, {.oldest = {1, 6}});
    send({fact("b", 1, 4)}, {.oldest = {1, 4}});  // the backup does not know it
    EXPECT_TRUE(intake_->group().empty());
    clock_.advance(std::chrono::seconds(1));
  }
  send({fact("a", 1, 6)}, {.oldest = {1, 6}});
  send({fact("b", 1, 4)}, {.oldest = {1, 4}});
  commit();
  EXPECT_EQ(dropped(), (std::vector<Dropped>{{1, 3, 5, 3, "restored"}, {1, 1, 3, 3, "restored"}}));
}

TEST_F(RestoredIntakeTest, LostEpochsAreNamedAsFarAsTheyAreKnown) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  restore();
  send({epoch_opened("a", 9, {5, 40})}, {.oldest = {9, 1}});
  commit();
  EXPECT_EQ(dropped(), (std::vector<Dropped>{{1, 3, 0, 0, "restored"}, {5, 1, 40, 40, "restored"}}));
}

TEST_F(RestoredIntakeTest, ProducerThatTheBackupDoesNotKnowIsJudgedByItsEpoch) {
  restore();
  const auto ms = static_cast<uint64_t>(kNoonUs / 1000);
  send({fact("b", ms - 5, 4)}, {.oldest = {ms - 5, 4}});
  send({fact("c", ms + 5, 4)}, {.oldest = {ms + 5, 4}});
  commit();
  EXPECT_EQ(dropped(), (std::vector<Dropped>{{ms - 5, 1, 3, 3, "restored"}, {ms + 5, 1, 3, 3, "outbox_lost"}}));
}

TEST_F(RestoredIntakeTest, HubNumbersItsEventsFromOneInTheNewIncarnation) {
  send({fact("a", 1, 4)}, {.oldest = {1, 4}});
  commit();
  EXPECT_EQ(logged("hub", 77), (Sequences{1}));
  restore();
  send({fact("a", 1, 6)}, {.oldest = {1, 6}});
  commit();
  EXPECT_EQ(logged("hub", 78), (Sequences{1}));
}

TEST_F(IntakeTest, NewEpochFollowsTheOldOne) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  send({epoch_opened("a", 5, {1, 2}), fact("a", 5, 2)});
  commit();
  EXPECT_EQ(confirmation("a").recorded, (EventOrder{5, 2}));
  EXPECT_EQ(logged("a", 5), (Sequences{1, 2}));
}

TEST_F(IntakeTest, NewEpochWaitsForTheRestOfTheOldOne) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  (void)intake_->take_confirmations();
  send({epoch_opened("a", 5, {1, 4})}, {.oldest = {1, 1}});
  EXPECT_EQ(confirmation("a").status, Confirmation::Status::kResend);
  send({fact("a", 1, 3), fact("a", 1, 4)}, {.sender_epoch = 5});
  send({epoch_opened("a", 5, {1, 4})});
  commit();
  EXPECT_EQ(logged("a", 1), (Sequences{1, 2, 3, 4}));
  EXPECT_EQ(logged("a", 5), (Sequences{1}));
}

TEST_F(IntakeTest, RestOfAnEpochThatIsLostIsNamed) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  send({epoch_opened("a", 5, {1, 4})}, {.oldest = {5, 1}});
  commit();
  const auto dropped = events_of<schema::EventsDropped>(EventType::EventsDropped);
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_EQ(dropped[0].envelope.as<schema::EventsDropped>()->from_sequence(), 3u);
  EXPECT_EQ(dropped[0].envelope.as<schema::EventsDropped>()->to_sequence(), 4u);
  EXPECT_EQ(logged("a", 5), (Sequences{1}));
}

// An outbox that was deleted takes with it what nobody can count.
TEST_F(IntakeTest, AnOutboxThatIsGoneIsNamed) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  send({epoch_opened("a", 5), fact("a", 5, 2)});
  commit();
  send({epoch_opened("a", 9, {5, 2})});
  commit();
  EXPECT_EQ(logged("a", 5), (Sequences{1, 2}));
  const auto dropped = events_of<schema::EventsDropped>(EventType::EventsDropped);
  ASSERT_EQ(dropped.size(), 1u) << "a start with the outbox of before is nothing to tell";
  const auto* table = dropped[0].envelope.as<schema::EventsDropped>();
  EXPECT_EQ(table->epoch(), 1u);
  EXPECT_EQ(table->from_sequence(), 3u);
  EXPECT_EQ(table->to_sequence(), 0u) << "how many there were is not known";
  EXPECT_EQ(text(table->reason()), "outbox_lost");
}

TEST_F(IntakeTest, OlderEpochIsFencedOnceANewerIsOpen) {
  send({epoch_opened("a", 5)});
  commit();
  (void)intake_->take_confirmations();
  send({epoch_opened("a", 3), fact("a", 3, 2)});
  const auto answer = confirmation("a");
  EXPECT_EQ(answer.status, Confirmation::Status::kFenced);
  EXPECT_EQ(answer.recorded, (EventOrder{5, 1}));
  EXPECT_TRUE(intake_->group().empty());
}

// Two processes had one name.  The older one was refused, and comes back with what it still has.
TEST_F(IntakeTest, WhatAFencedProcessLeftIsNamedOnceWhenItComesBack) {
  send({epoch_opened("a", 3), fact("a", 3, 2)});
  send({epoch_opened("a", 5)});
  commit();
  for (int start = 0; start < 2; ++start) {
    send({fact("a", 3, 2), fact("a", 3, 3), fact("a", 3, 4)}, {.oldest = {3, 2}, .sender_epoch = 7});
    commit();
    EXPECT_EQ(confirmation("a").recorded, (EventOrder{3, 4})) << "it may forget them";
    restart();
  }
  send({epoch_opened("a", 7, {3, 4})});
  commit();
  EXPECT_EQ(logged("a", 3), (Sequences{1, 2}));
  EXPECT_EQ(logged("a", 7), (Sequences{1}));
  const auto dropped = events_of<schema::EventsDropped>(EventType::EventsDropped);
  ASSERT_EQ(dropped.size(), 2u);
  EXPECT_EQ(dropped[0].envelope.as<schema::EventsDropped>()->to_sequence(), 0u) << "not known when the other one came";
  const auto* table = dropped[1].envelope.as<schema::EventsDropped>();
  EXPECT_EQ(table->epoch(), 3u);
  EXPECT_EQ(table->from_sequence(), 3u);
  EXPECT_EQ(table->to_sequence(), 4u);
  EXPECT_EQ(text(table->reason()), "fenced");
}

TEST_F(IntakeTest, NewEpochWaitsForTheRestOfOneThatAnotherEnded) {
  send({epoch_opened("a", 3), fact("a", 3, 2)});
  send({epoch_opened("a", 5)});
  commit();
  (void)intake_->take_confirmations();
  send({epoch_opened("a", 7, {3, 4})}, {.oldest = {3, 3}});
  EXPECT_TRUE(intake_->group().empty());
  EXPECT_EQ(confirmation("a").status, Confirmation::Status::kResend);
}

TEST_F(IntakeTest, NothingIsTakenForKnownOfAProducerWhoseFirstGroupFailed) {
  send({epoch_opened("a", 5)});
  send({epoch_opened("a", 3)}, {.sender_epoch = 5});
  intake_->failed();
  EXPECT_EQ(confirmation("a").recorded, (EventOrder{0, 0}));
}

TEST_F(IntakeTest, OldEventsOfThePresentSenderAreKnownNotFenced) {
  send({epoch_opened("a", 3), fact("a", 3, 2)});
  send({epoch_opened("a", 5, {3, 2})});
  commit();
  (void)intake_->take_confirmations();
  send({epoch_opened("a", 3), fact("a", 3, 2)}, {.sender_epoch = 5});
  EXPECT_EQ(confirmation("a").status, Confirmation::Status::kOk);
}

TEST_F(IntakeTest, FailedAppendForgetsTheGroupAndAsksAgain) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  intake_->failed();
  EXPECT_TRUE(intake_->group().empty());
  const auto asked = confirmation("a");
  EXPECT_EQ(asked.status, Confirmation::Status::kResend);
  EXPECT_EQ(asked.recorded, (EventOrder{0, 0}));
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 2}));
}

TEST_F(IntakeTest, GoesOnFromTheLogsMarks) {
  send({epoch_opened("a", 1), fact("a", 1, 2)});
  commit();
  restart();
  send({fact("a", 1, 2), fact("a", 1, 3)});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 2, 3}));
}

TEST_F(IntakeTest, UnreadableEventIsRejectedInItsPlace) {
  const auto first = epoch_opened("a", 1);
  const auto third = fact("a", 1, 3);
  send_bytes("a", {1, 1}, {first.bytes(), "garbage!", third.bytes()});
  commit();
  EXPECT_EQ(logged("a"), (Sequences{1, 3}));
  const auto rejected = events_of<schema::EventRejected>(EventType::EventRejected);
  ASSERT_EQ(rejected.size(), 1u);
  const auto* table = rejected[0].envelope.as<schema::EventRejected>();
  EXPECT_EQ(text(table->reason()), "malformed_event");
  EXPECT_EQ(table->sequence(), 2u);
  EXPECT_EQ(table->bytes()->size(), 8u);
  EXPECT_EQ(confirmation("a").recorded, (EventOrder{1, 3}));
}

TEST_F(IntakeTest, EventOfUnknownTypeIsRejectedWithAllItsBytes) {
  const auto envelope = fact("a", 1, 2);
  std::string bytes(envelope.bytes());
  auto* table = flatbuffers::GetMutableRoot<flatbuffers::Table>(bytes.data());
  ASSERT_TRUE(table->SetField<uint8_t>(schema::Envelope::VT_PAYLOAD_TYPE, 250, 0));
  send({epoch_opened("a", 1)});
  send_bytes("a", {1, 2}, {bytes});
  commit();
  const auto rejected = events_of<schema::EventRejected>(EventType::EventRejected);
  ASSERT_EQ(rejected.size(), 1u);
  EXPECT_EQ(text(rejected[0].envelope.as<schema::EventRejected>()->reason()), "unknown_type");
  EXPECT_EQ(rejected[0].envelope.as<schema::EventRejected>()->bytes()->size(), bytes.size());
}

TEST_F(IntakeTest, EventInAnothersNameIsRejected) {
  const auto forged = fact("b", 1, 2);
  send({epoch_opened("a", 1)});
  send_bytes("a", {1, 2}, {forged.bytes()});
  commit();
  EXPECT_TRUE(logged("b").empty());
  EXPECT_EQ(events_of<schema::EventRejected>(EventType::EventRejected).size(), 1u);
}

TEST_F(IntakeTest, BatchOnAnothersTopicAndInTheHubsNameAreRejected) {
  const auto event = epoch_opened("a", 1);
  intake_->take("b", "t/b", encode_batch({"a", {1, 1}, {1, 1}, 1}, std::vector{event.bytes()}));
  const auto hub = epoch_opened("hub", 1);
  intake_->take("hub", "t/hub", encode_batch({"hub", {1, 1}, {1, 1}, 1}, std::vector{hub.bytes()}));
  commit();
  EXPECT_TRUE(logged("a").empty());
  EXPECT_EQ(events_of<schema::EventRejected>(EventType::EventRejected).size(), 2u);
}

TEST_F(IntakeTest, FloodOfGarbageIsWrittenAFewTimesAndCounted) {
  for (int i = 0; i < 1000; ++i) intake_->take("a", "t/a", "garbage");
  commit();
  EXPECT_EQ(events_of<schema::EventRejected>(EventType::EventRejected).size(), 10u);
  clock_.advance(std::chrono::minutes(2));
  intake_->take("a", "t/a", "garbage");
  commit();
  const auto rejected = events_of<schema::EventRejected>(EventType::EventRejected);
  ASSERT_EQ(rejected.size(), 11u);
  EXPECT_EQ(rejected[10].envelope.as<schema::EventRejected>()->suppressed(), 990u);
}

TEST_F(IntakeTest, OversizedAndTruncatedBatchesAreRejected) {
  intake_->take("a", "t/a", std::string(kMaxBatchBytes + 1, 'x'));
  std::string batch = encode_batch({"a", {1, 1}, {1, 1}, 1}, std::vector{epoch_opened("a", 1).bytes()});
  intake_->take("a", "t/a", std::string_view(batch).substr(0, batch.size() / 2));
  commit();
  const auto rejected = events_of<schema::EventRejected>(EventType::EventRejected);
  ASSERT_EQ(rejected.size(), 2u);
  EXPECT_EQ(text(rejected[0].envelope.as<schema::EventRejected>()->reason()), "too_large");
  EXPECT_EQ(text(rejected[1].envelope.as<schema::EventRejected>()->reason()), "malformed_batch");
}

// Whatever arrives in whatever order, however often: each event is in the log once, in each producer's order.
TEST_F(IntakeTest, AnyDeliveryGivesEachEventOnceAndInOrder) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    log_ = make_memory_event_log(77);
    restart();
    SeededRandom random(seed);
    std::vector<Envelope> events{epoch_opened("a", 1)};
    for (uint64_t s = 2; s <= 60; ++s) events.push_back(s % 2 == 0 ? telemetry("a", 1, s) : fact("a", 1, s));
    size_t confirmed = 0;
    for (int turn = 0; turn < 5000 && confirmed < events.size(); ++turn) {
      const size_t from =
          static_cast<size_t>(random.between(0, 1.2) * static_cast<double>(confirmed + 3)) % events.size();
      const size_t count = 1 + static_cast<size_t>(random.between(0, 9));
      send({events.begin() + static_cast<long>(from),
            events.begin() + static_cast<long>(std::min(events.size(), from + count))});
      const double fate = random.unit();
      if (fate < 0.1) {
        intake_->failed();
      } else if (fate < 0.5) {
        commit();
      }
      if (fate > 0.9) {
        intake_->failed();  // the hub dies before the append, and comes back
        restart();
      }
      for (const auto& [producer, said] : intake_->take_confirmations()) {
        confirmed = std::max(confirmed, static_cast<size_t>(said.recorded.sequence));
      }
    }
    commit();
    Sequences expected;
    for (uint64_t s = 1; s <= 60; ++s) expected.push_back(s);
    ASSERT_EQ(logged("a"), expected);
  }
}

}  // namespace
}  // namespace millrace
