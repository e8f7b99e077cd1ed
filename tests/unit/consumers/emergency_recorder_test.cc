// SPDX-License-Identifier: Apache-2.0
// Emergency stops on their way into a log that may refuse, hang, or have them already.
#include "consumers/emergency_recorder.h"

#include <gtest/gtest.h>

#include "consumers/emergency_latches.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/forwarding_event_log.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

class EmergencyRecorderTest : public ::testing::Test {
 protected:
  void open() {
    recorder = std::make_unique<EmergencyRecorder>(
        EmergencyRecorderOptions{.retry = 10ms}, EmergencyFile(directory / "stops.jsonl"), *log,
        [this](HubWrite write) { take(std::move(write)); }, clock, *metrics);
    recorder->start();
  }
  // As after kill -9: nothing is told to the one before.
  void take(HubWrite write) {
    std::lock_guard lock(mutex);
    ++attempts;
    if (refusal && !appends_although_refused) return write.done(*refusal);
    std::vector<Envelope> envelopes;
    for (EventDraft& draft : write.events) envelopes.push_back(event({"hub", 1, ++sequence}, std::move(draft)));
    const ProducerMark mark{"hub", {1, sequence}};
    const auto commit = log->append({.envelopes = envelopes, .marks = {&mark, 1}, .recorded_at = clock.wall()});
    ASSERT_TRUE(commit);
    if (refusal) return write.done(*refusal);
    write.done(commit->last);
  }
  void refuse(std::optional<Error> why, bool appends = false) {
    std::lock_guard lock(mutex);
    refusal = std::move(why);
    appends_although_refused = appends;
  }
  int attempts_made() {
    std::lock_guard lock(mutex);
    return attempts;
  }
  EmergencyRecord stop(const std::string& id) {
    EmergencyRecord record;
    record.machine = "voron-2";
    record.command_id = id;
    record.client = "http";
    record.asked_at = clock.wall();
    return record;
  }
  std::vector<std::string> recorded() {
    std::vector<std::string> ids;
    for (const RecordedEvent& each : log->read({}, {}, {}).value().events) {
      ids.emplace_back(text(each.envelope.as<schema::EmergencyStopped>()->command_id()));
    }
    return ids;
  }
  size_t in_file() { return EmergencyFile(directory / "stops.jsonl").read().value().records.size(); }
  bool all_recorded() {
    return eventually([this] { return recorder->waiting() == 0 && in_file() == 0; });
  }

  TemporaryDirectory directory;
  SystemClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  std::unique_ptr<EventLog> log = make_memory_event_log();
  std::mutex mutex;
  std::optional<Error> refusal;
  bool appends_although_refused = false;
  uint64_t sequence = 0;
  int attempts = 0;
  std::unique_ptr<EmergencyRecorder> recorder;
};

using Ids = std::vector<std::string>;

TEST_F(EmergencyRecorderTest, AStopIsRecordedAndLeavesTheFile) {
  open();
  recorder->record(stop("a"));
  recorder->record(stop("b"));
  ASSERT_TRUE(all_recorded());
  EXPECT_EQ(recorded(), (Ids{"a", "b"}));
}

TEST_F(EmergencyRecorderTest, WhatTheLogRefusesWaitsInTheFile) {
  refuse(make_error(Errc::kFull, "the disk is full"));
  open();
  recorder->record(stop("a"));
  EXPECT_TRUE(eventually([this] { return in_file() == 1 && attempts_made() > 3; }));
  EXPECT_EQ(recorded(), Ids{});
  refuse(std::nullopt);
  ASSERT_TRUE(all_recorded());
  EXPECT_EQ(recorded(), Ids{"a"});
}

TEST_F(EmergencyRecorderTest, WhatAProcessBeforeLeftIsTakenUpOnce) {
  refuse(make_error(Errc::kUnavailable, "the log is down"));
  open();
  recorder->record(stop("a"));
  EXPECT_TRUE(eventually([this] { return in_file() == 1; }));
  recorder.reset();
  refuse(std::nullopt);
  open();
  ASSERT_TRUE(all_recorded());
  recorder.reset();
  open();
  EXPECT_EQ(recorded(), Ids{"a"});
}

TEST_F(EmergencyRecorderTest, WhatTheLogHasAlreadyIsNotRecordedAgain) {
  // The fsync failed, and the write came to light all the same.
  refuse(make_error(Errc::kSyncFailed, "nobody knows"), true);
  open();
  recorder->record(stop("a"));
  ASSERT_TRUE(all_recorded());
  EXPECT_EQ(recorded(), Ids{"a"});
  // Killed between the log and the file.
  ASSERT_TRUE(EmergencyFile(directory / "stops.jsonl").append(stop("a")));
  recorder.reset();
  refuse(std::nullopt);
  open();
  ASSERT_TRUE(all_recorded());
  EXPECT_EQ(recorded(), Ids{"a"});
}

TEST_F(EmergencyRecorderTest, TheSameStopToldTwiceIsOne) {
  refuse(make_error(Errc::kFull, "later"));
  open();
  recorder->record(stop("a"));
  recorder->record(stop("a"));
  EXPECT_TRUE(eventually([this] { return attempts_made() > 2; }));
  refuse(std::nullopt);
  ASSERT_TRUE(all_recorded());
  EXPECT_EQ(recorded(), Ids{"a"});
}

TEST_F(EmergencyRecorderTest, WithoutAPlaceForItsFileAStopIsRecordedAllTheSame) {
  std::filesystem::create_directories(directory / "stops.jsonl");
  recorder = nullptr;
  open();
  recorder->record(stop("a"));
  EXPECT_TRUE(eventually([this] { return recorder->waiting() == 0; }));
  EXPECT_EQ(recorded(), Ids{"a"});
}

TEST(EmergencyLatchesTest, AStopLatchesAndAResetOpens) {
  const auto log = make_memory_event_log();
  EmergencyLatches latches;
  uint64_t sequence = 0;
  const auto say = [&](auto payload, const std::string& machine) {
    std::vector<Envelope> envelopes{event({"hub", 1, ++sequence}, draft_of(std::move(payload), machine, noon()))};
    const ProducerMark mark{"hub", {1, sequence}};
    const auto commit = log->append({.envelopes = envelopes, .marks = {&mark, 1}, .recorded_at = noon()});
    std::vector<std::pair<std::string, uint64_t>> changes;
    for (const auto& [name, latch] : latches.take(*commit)) changes.emplace_back(name, latch);
    return changes;
  };
  using Changes = std::vector<std::pair<std::string, uint64_t>>;
  EXPECT_EQ(say(schema::EmergencyStoppedT{}, "a"), (Changes{{"a", 1}}));
  EXPECT_EQ(say(schema::PlateClearedT{}, "a"), Changes{});
  EXPECT_EQ(say(schema::EmergencyLatchedT{}, "b"), (Changes{{"b", 3}}));
  EXPECT_EQ(say(schema::EmergencyResetT{}, "a"), (Changes{{"a", 0}}));
  EmergencyLatches restarted;
  ASSERT_TRUE(restarted.read(*log));
  ASSERT_EQ(restarted.all().size(), 2u);
  EXPECT_EQ(restarted.all()[0].latch, 0u);
  EXPECT_EQ(restarted.all()[1].latch, 3u);
}

// Notes from where a log was read.
class NotingEventLog final : public ForwardingEventLog {
 public:
  using ForwardingEventLog::ForwardingEventLog;
  Result<ReadResult> read(Position after, const ReadLimit& limit, const EventFilter& filter) const override {
    first_read = std::min(first_read, after.value);
    return ForwardingEventLog::read(after, limit, filter);
  }
  mutable uint64_t first_read = UINT64_MAX;
};

TEST(EmergencyLatchesTest, OnlyWhatTheViewHasNotSeenIsReadFromTheLog) {
  NotingEventLog log(make_memory_event_log());
  uint64_t sequence = 0;
  const auto say = [&](auto payload, const std::string& machine) {
    std::vector<Envelope> envelopes{event({"hub", 1, ++sequence}, draft_of(std::move(payload), machine, noon()))};
    const ProducerMark mark{"hub", {1, sequence}};
    return *log.append({.envelopes = envelopes, .marks = {&mark, 1}, .recorded_at = noon()});
  };
  say(schema::EmergencyStoppedT{}, "a");
  say(schema::EmergencyStoppedT{}, "b");
  for (int i = 0; i < 50; ++i) say(schema::PlateClearedT{}, "c");
  const Position seen = log.last();
  say(schema::EmergencyResetT{}, "a");
  say(schema::EmergencyLatchedT{}, "c");

  EmergencyLatches latches;
  latches.take(say(schema::EmergencyLatchedT{}, "d"));  // came before the view was looked at
  latches.begin({{"a", 1}, {"b", 2}, {"d", 0}}, seen);
  ASSERT_TRUE(latches.read(log));
  EXPECT_EQ(log.first_read, seen.value);
  std::map<std::string, uint64_t> now;
  for (const auto& [machine, latch] : latches.all()) now[machine] = latch;
  EXPECT_EQ(now, (std::map<std::string, uint64_t>{{"a", 0}, {"b", 2}, {"c", 54}, {"d", 55}}));
}

}  // namespace
}  // namespace millrace
