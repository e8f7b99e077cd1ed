// SPDX-License-Identifier: Apache-2.0
// One suite over every engine of the log.
#include <gtest/gtest.h>

#include <functional>

#include "bus/event_log.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using ::testing::TestWithParam;

struct Engine {
  std::string name;
  bool survives_reopening;
};

class EventLogContract : public TestWithParam<Engine> {
 protected:
  void SetUp() override { open(); }

  void open() {
    log_.reset();
    if (GetParam().name == "memory") {
      log_ = make_memory_event_log();
    } else {
      log_ = open_rocksdb_event_log(directory_.path(), clock_).value();
    }
  }

  Commit append(std::vector<Envelope> events, std::vector<ProducerMark> marks = {}, WallTime at = noon()) {
    return log_->append({events, marks, at}).value();
  }

  std::vector<uint64_t> positions(Position after = {}, const ReadLimit& limit = {}, const EventFilter& filter = {}) {
    std::vector<uint64_t> found;
    const auto read = log_->read(after, limit, filter).value();
    for (const auto& event : read.events) found.push_back(event.position.value);
    return found;
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<EventLog> log_;
};

using Positions = std::vector<uint64_t>;

TEST_P(EventLogContract, NewLogIsEmpty) {
  EXPECT_EQ(log_->last(), Position{0});
  EXPECT_TRUE(positions().empty());
  EXPECT_FALSE(log_->at(Position{1}));
  EXPECT_EQ(log_->first_at(noon()).value(), Position{1});
  EXPECT_EQ(log_->incarnation().size(), 16u);
}

TEST_P(EventLogContract, PositionsAreDenseFromOne) {
  EXPECT_EQ(append({fact("a", 1, 1), fact("a", 1, 2)}).first, Position{1});
  const Commit second = append({fact("a", 1, 3)});
  EXPECT_EQ(second.first, Position{3});
  EXPECT_EQ(second.last, Position{3});
  EXPECT_EQ(positions(), (Positions{1, 2, 3}));
}

TEST_P(EventLogContract, BytesComeBackAsTheyWent) {
  const Envelope original = fact("voron-2", 7, 9);
  append({original});
  const RecordedEvent read = log_->at(Position{1}).value();
  EXPECT_EQ(read.envelope.bytes(), original.bytes());
  EXPECT_EQ(read.recorded_at, noon());
}

TEST_P(EventLogContract, FactsAndTelemetryKeepOneOrder) {
  append({fact("a", 1, 1), telemetry("a", 1, 2), fact("a", 1, 3), telemetry("a", 1, 4)});
  append({telemetry("a", 1, 5), telemetry("a", 1, 6), fact("a", 1, 7)});
  std::vector<uint64_t> sequences;
  const auto read = log_->read({}, {}, {}).value();
  for (const auto& event : read.events) sequences.push_back(event.envelope.sequence());
  EXPECT_EQ(sequences, (Positions{1, 2, 3, 4, 5, 6, 7}));
  for (uint64_t p = 1; p <= 7; ++p) EXPECT_EQ(log_->at(Position{p}).value().envelope.sequence(), p);
}

TEST_P(EventLogContract, ReadGoesOnWhereItStopped) {
  std::vector<Envelope> events;
  for (uint64_t i = 1; i <= 25; ++i) events.push_back(i % 3 == 0 ? telemetry("a", 1, i) : fact("a", 1, i));
  append({events.begin(), events.begin() + 10});
  append({events.begin() + 10, events.end()});
  Positions seen;
  Position after;
  for (int turns = 0; turns < 20; ++turns) {
    const auto read = log_->read(after, {.events = 4}, {}).value();
    for (const auto& event : read.events) seen.push_back(event.position.value);
    after = read.through;
    if (read.at_end) break;
  }
  ASSERT_EQ(seen.size(), 25u);
  for (uint64_t i = 0; i < 25; ++i) EXPECT_EQ(seen[i], i + 1);
}

TEST_P(EventLogContract, ScanLimitStopsWithoutAMatch) {
  for (uint64_t i = 1; i <= 10; ++i) append({fact("a", 1, i)});
  EventFilter filter;
  filter.types = {EventType::JobStarted};
  const auto read = log_->read({}, {.events = 10, .scanned = 3}, filter).value();
  EXPECT_TRUE(read.events.empty());
  EXPECT_EQ(read.through, Position{3});
  EXPECT_FALSE(read.at_end);
}

TEST_P(EventLogContract, FiltersByMachineTypeAndTime) {
  append({fact("a", 1, 1, "voron-1"), telemetry("a", 1, 2, "voron-1"), fact("b", 1, 1, "voron-2")}, {}, noon(0));
  append({fact("b", 1, 2, "voron-2")}, {}, noon(2'000'000));
  append({fact("a", 1, 3, "voron-1"), fact("b", 1, 3, "voron-2")}, {}, noon(4'000'000));
  EXPECT_EQ(positions({}, {}, {.machine = "voron-1"}), (Positions{1, 2, 5}));
  EXPECT_EQ(positions({}, {}, {.machine = "voron"}), (Positions{}));
  EXPECT_EQ(positions(Position{1}, {}, {.machine = "voron-2"}), (Positions{3, 4, 6}));
  EXPECT_EQ(positions(Position{5}, {}, {.machine = "voron-1"}), (Positions{}));
  EXPECT_EQ(positions({}, {}, {.types = {EventType::TelemetrySampled}}), (Positions{2}));
  EXPECT_EQ(positions({}, {}, {.from = noon(1), .to = noon(4'000'000)}), (Positions{4}));
  EXPECT_EQ(positions({}, {}, {.machine = "voron-2", .from = noon(1)}), (Positions{4, 6}));
}

TEST_P(EventLogContract, MachineReadWithLimitGoesOn) {
  for (uint64_t i = 1; i <= 9; ++i) append({fact("a", 1, i, i % 3 == 0 ? "x" : "y"), telemetry("a", 2, i, "x")});
  Positions seen;
  Position after;
  for (int turns = 0; turns < 30; ++turns) {
    const auto read = log_->read(after, {.events = 2}, {.machine = "x"}).value();
    for (const auto& event : read.events) seen.push_back(event.position.value);
    after = read.through;
    if (read.at_end) break;
  }
  EXPECT_EQ(seen, (Positions{2, 4, 5, 6, 8, 10, 11, 12, 14, 16, 17, 18}));
}

TEST_P(EventLogContract, FindsTheFirstPositionAtATime) {
  append({fact("a", 1, 1)}, {}, noon(0));
  append({fact("a", 1, 2), fact("a", 1, 3)}, {}, noon(500'000));
  append({fact("a", 1, 4)}, {}, noon(3'000'000));
  EXPECT_EQ(log_->first_at(noon(-5)).value(), Position{1});
  EXPECT_EQ(log_->first_at(noon(0)).value(), Position{1});
  EXPECT_EQ(log_->first_at(noon(1)).value(), Position{2});
  EXPECT_EQ(log_->first_at(noon(500'001)).value(), Position{4});
  EXPECT_EQ(log_->first_at(noon(3'000'001)).value(), Position{5});
}

TEST_P(EventLogContract, RecordedTimeNeverGoesBack) {
  append({fact("a", 1, 1)}, {}, noon(1'000));
  const Commit commit = append({fact("a", 1, 2)}, {}, noon(-3'600'000'000));
  EXPECT_EQ(commit.recorded_at, noon(1'000));
}

TEST_P(EventLogContract, MarksAreKeptWithTheEvents) {
  EXPECT_FALSE(log_->mark("a"));
  append({fact("a", 3, 1)}, {{"a", {3, 1}}});
  append({fact("a", 3, 2)}, {{"a", {3, 2}}, {"b", {9, 4}}});
  EXPECT_EQ(log_->mark("a"), (EventOrder{3, 2}));
  EXPECT_EQ(log_->mark("b"), (EventOrder{9, 4}));
}

TEST_P(EventLogContract, RefusesAnEmptyAndATooLargeBatch) {
  EXPECT_EQ(log_->append({{}, {}, noon()}).error().code, Errc::kInvalidArgument);
  const std::vector<Envelope> many(EventLog::kMaxGroupEvents + 1, fact("a", 1, 1));
  EXPECT_EQ(log_->append({many, {}, noon()}).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(log_->last(), Position{0});
}

TEST_P(EventLogContract, TelemetryIsRemovedByWholeCommits) {
  append({fact("m1", 1, 1), telemetry("m1", 1, 2), fact("m1", 1, 3)});
  append({telemetry("m1", 1, 4), telemetry("m2", 1, 1)});
  append({telemetry("m1", 1, 5), fact("m1", 1, 6)});
  const std::vector<Envelope> told{fact("hub", 1, 1)};
  for (const uint64_t inside : {2u, 4u, 8u, 99u}) {
    EXPECT_EQ(log_->append({told, {}, noon(), Position{inside}}).error().code, Errc::kInvalidArgument) << inside;
  }
  EXPECT_EQ(log_->last(), Position{7}) << "nothing of a refused batch";
  ASSERT_TRUE(log_->append({told, {}, noon(), Position{5}}));
  EXPECT_EQ(positions(), (Positions{1, 3, 6, 7, 8}));
  EXPECT_EQ(log_->telemetry_removed_through(), Position{5});
  EXPECT_EQ(log_->info().value().telemetry_removed_through, Position{5});
  EXPECT_NE(log_->at(Position{4}).error().context.find("expired"), std::string::npos);
  EXPECT_EQ(log_->at(Position{6}).value().envelope.sequence(), 5u);
  EventFilter filter;
  filter.machine = "m2";
  EXPECT_TRUE(positions({}, {}, filter).empty());
  EXPECT_EQ(log_->append({told, {}, noon(), Position{3}}).error().code, Errc::kInvalidArgument) << "not backwards";
  ASSERT_TRUE(log_->reclaim());
  EXPECT_EQ(positions(), (Positions{1, 3, 6, 7, 8}));
  if (!GetParam().survives_reopening) return;
  open();
  EXPECT_EQ(log_->telemetry_removed_through(), Position{5});
  EXPECT_EQ(positions(), (Positions{1, 3, 6, 7, 8}));
}

TEST_P(EventLogContract, RecoveringAWellLogChangesNothing) {
  append({fact("a", 1, 1)}, {{"a", {1, 1}}});
  ASSERT_TRUE(log_->recover());
  EXPECT_EQ(append({fact("a", 1, 2)}).first, Position{2});
  EXPECT_EQ(positions(), (Positions{1, 2}));
  EXPECT_EQ(log_->mark("a"), (EventOrder{1, 1}));
}

TEST_P(EventLogContract, InfoTellsWhatIsThere) {
  append({fact("a", 1, 1)}, {{"a", {1, 1}}}, noon(0));
  append({fact("a", 1, 2)}, {{"a", {1, 2}}}, noon(9));
  const LogInfo info = log_->info().value();
  EXPECT_EQ(info.engine, GetParam().name);
  EXPECT_EQ(info.last, Position{2});
  EXPECT_EQ(info.first_recorded_at, noon(0));
  EXPECT_EQ(info.last_recorded_at, noon(9));
  ASSERT_EQ(info.marks.size(), 1u);
  EXPECT_EQ(info.marks[0].order, (EventOrder{1, 2}));
}

TEST_P(EventLogContract, EndsOfEpochsAreKeptBesideTheMark) {
  const std::vector<Envelope> events{fact("a", 7, 1)};
  const std::vector<ProducerMark> marks{{"a", {7, 1}}};
  const std::vector<ProducerMark> ended{{"a", {3, 20}}, {"a", {5, 9}}};
  ASSERT_TRUE(log_->append({events, marks, noon(), std::nullopt, {}, ended}));
  if (GetParam().survives_reopening) open();
  const LogInfo info = log_->info().value();
  ASSERT_EQ(info.marks.size(), 1u);
  EXPECT_EQ(info.marks[0].order, (EventOrder{7, 1}));
  ASSERT_EQ(info.ended.size(), 2u);
  EXPECT_EQ(info.ended[0].producer, "a");
  EXPECT_EQ(info.ended[0].order, (EventOrder{3, 20}));
  EXPECT_EQ(info.ended[1].order, (EventOrder{5, 9}));
}

TEST_P(EventLogContract, ReopenedLogGoesOn) {
  if (!GetParam().survives_reopening) return;
  append({fact("a", 1, 1), telemetry("a", 1, 2)}, {{"a", {1, 2}}}, noon(7));
  const std::string incarnation = log_->incarnation();
  open();
  EXPECT_EQ(log_->last(), Position{2});
  EXPECT_EQ(log_->mark("a"), (EventOrder{1, 2}));
  EXPECT_EQ(log_->incarnation(), incarnation);
  EXPECT_EQ(append({fact("a", 1, 3)}, {}, noon(0)).recorded_at, noon(7));
  EXPECT_EQ(positions(), (Positions{1, 2, 3}));
}

TEST_P(EventLogContract, ManyGroupsSurviveFlushes) {
  if (!GetParam().survives_reopening) return;
  uint64_t sequence = 0;
  for (int group = 0; group < 60; ++group) {
    std::vector<Envelope> events;
    for (int i = 0; i < 40; ++i) events.push_back(fact_of_size("a", 1, ++sequence, 16'000));
    append(events);
  }
  open();
  uint64_t expected = 0;
  for (Position after; after < log_->last();) {
    const auto read = log_->read(after, {.events = 100}, {}).value();
    for (const auto& event : read.events) ASSERT_EQ(event.envelope.sequence(), ++expected);
    after = read.through;
  }
  EXPECT_EQ(expected, 2400u);
}

INSTANTIATE_TEST_SUITE_P(Engines, EventLogContract, ::testing::Values(Engine{"memory", false}, Engine{"rocksdb", true}),
                         [](const auto& info) { return info.param.name; });

TEST(RocksdbEventLog, IsLockedForASecondWriter) {
  TemporaryDirectory directory;
  ManualClock clock;
  const auto first = open_rocksdb_event_log(directory.path(), clock).value().release();
  EXPECT_EQ(open_rocksdb_event_log(directory.path(), clock).error().code, Errc::kConflict);
  delete first;
}

TEST(RocksdbEventLog, ReaderBesideTheWriterSeesNewEvents) {
  TemporaryDirectory directory;
  TemporaryDirectory scratch;
  ManualClock clock;
  auto writer = open_rocksdb_event_log(directory.path(), clock).value();
  const std::vector<Envelope> one{fact("a", 1, 1)};
  ASSERT_TRUE(writer->append({one, {}, noon()}));
  auto reader = open_rocksdb_event_log_reader(directory.path(), scratch.path()).value();
  EXPECT_EQ(reader->last(), Position{1});
  const std::vector<Envelope> two{fact("a", 1, 2)};
  ASSERT_TRUE(writer->append({two, {}, noon()}));
  ASSERT_TRUE(reader->refresh());
  EXPECT_EQ(reader->last(), Position{2});
  EXPECT_EQ(reader->read({}, {}, {}).value().events.size(), 2u);
  EXPECT_EQ(reader->append({two, {}, noon()}).error().code, Errc::kInvalidArgument);
}

TEST(RocksdbEventLog, ReaderOfNothingSaysSo) {
  TemporaryDirectory directory;
  TemporaryDirectory scratch;
  EXPECT_FALSE(open_rocksdb_event_log_reader(directory / "none", scratch.path()));
}

}  // namespace
}  // namespace millrace
