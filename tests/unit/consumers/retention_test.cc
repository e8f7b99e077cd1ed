// SPDX-License-Identifier: Apache-2.0
#include "consumers/retention.h"

#include <gtest/gtest.h>

#include "bus/random.h"
#include "consumers/intake.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/log_checks.h"

namespace millrace {
namespace {

using namespace testing;
using ::testing::TestWithParam;
using ::testing::Values;

constexpr int kDays = 30;
constexpr std::chrono::hours kDay{24};

class RetentionTest : public TestWithParam<const char*> {
 protected:
  RetentionTest() {
    if (GetParam() == std::string("memory")) {
      log_ = make_memory_event_log();
    } else {
      log_ = open_rocksdb_event_log(directory_ / "log", clock_).value();
    }
    intake_ = std::make_unique<Intake>(IntakeOptions{}, log_->info().value(), clock_, *metrics_);
    retention_ = make();
  }

  std::unique_ptr<Retention> make() {
    RetentionOptions options;
    options.telemetry_days = kDays;
    options.settled = settled_;
    return std::make_unique<Retention>(
        options, *log_, [this](HubWrite write) { submit(std::move(write)); }, clock_, *metrics_);
  }

  // What the recorder does, on the caller's thread.
  void submit(HubWrite write) {
    if (refuse_) return write.done(make_error(Errc::kFull, "no space"));
    ASSERT_TRUE(intake_->take_hub_events(std::move(write.events)));
    const auto marks = intake_->marks();
    const auto commit = log_->append({intake_->group(), marks, clock_.wall(), write.remove_telemetry_through});
    ASSERT_TRUE(commit) << commit.error().message();
    intake_->committed();
    ++writes_;
    write.done(commit->last);
  }

  // A commit of a fact and a few samples, now.
  void record(double temperature, int samples = 5) {
    std::vector<Envelope> events{fact("m1", 1, ++sequence_)};
    for (int i = 0; i < samples; ++i) {
      schema::TelemetrySampledT sample;
      sample.signals.push_back(std::make_unique<schema::SignalT>());
      sample.signals.back()->object = "extruder";
      sample.signals.back()->field = "temperature";
      sample.signals.back()->value = temperature + i;
      events.push_back(event({"m1", 1, ++sequence_}, draft_of(std::move(sample), "m1", clock_.wall())));
    }
    const std::vector<ProducerMark> marks{{"m1", {1, sequence_}}};
    ASSERT_TRUE(log_->append({events, marks, clock_.wall()}));
  }

  std::vector<uint64_t> samples_left() {
    EventFilter filter;
    filter.types = {EventType::TelemetrySampled};
    std::vector<uint64_t> found;
    for (const auto& event : log_->read({}, {.events = 100'000}, filter).value().events) {
      found.push_back(event.position.value);
    }
    return found;
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<Retention> retention_;
  std::chrono::hours settled_{0};
  uint64_t sequence_ = 0;
  int writes_ = 0;
  bool refuse_ = false;
};

TEST_P(RetentionTest, YoungTelemetryStays) {
  record(200);
  clock_.advance(kDay * (kDays - 1));
  EXPECT_EQ(retention_->run_once().value(), 0u);
  EXPECT_EQ(writes_, 0);
  EXPECT_EQ(samples_left().size(), 5u);
}

// A clock that jumps ten years ahead must not cost ten years of telemetry before anybody can set it right.
TEST_P(RetentionTest, AClockThatWasSetAheadRemovesNothingForADay) {
  settled_ = kDay;
  retention_ = make();
  for (int day = 0; day < kDays; ++day) record(200), clock_.advance(kDay);
  clock_.advance(kDay * 3650);
  EXPECT_EQ(retention_->run_once().value(), 0u);
  record(200);
  clock_.advance(kDay - std::chrono::hours(1));
  EXPECT_EQ(retention_->run_once().value(), 0u) << "also after a restart: the log remembers";
  EXPECT_EQ(samples_left().size(), 5u * (kDays + 1));
  record(200);
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(retention_->run_once().value(), 5u * kDays) << "the clock meant it";
}

TEST_P(RetentionTest, AClosedShopAndOneThatIsOffAtNightLoseNoTime) {
  settled_ = kDay;
  retention_ = make();
  record(200);
  clock_.advance(kDay * (kDays - 2));
  record(210);
  clock_.advance(kDay * 3);  // a long weekend
  EXPECT_EQ(retention_->run_once().value(), 5u);
}

TEST_P(RetentionTest, OldTelemetryGoesIsSummarisedAndToldOf) {
  record(200);
  clock_.advance(kDay);
  record(210);
  clock_.advance(kDay * (kDays - 1) + std::chrono::hours(1));  // the first commit is too old, the second is not
  const Position last = log_->last();
  EXPECT_EQ(retention_->run_once().value(), 5u);
  EXPECT_EQ(samples_left(), (std::vector<uint64_t>{8, 9, 10, 11, 12}));
  EXPECT_EQ(log_->telemetry_removed_through(), Position{6});
  EXPECT_TRUE(log_->at(Position{1})) << "facts stay";
  EXPECT_EQ(log_->at(Position{2}).error().code, Errc::kNotFound);
  EXPECT_NE(log_->at(Position{2}).error().context.find("expired"), std::string::npos);
  const auto told = log_->read(last, {}, {}).value().events;
  ASSERT_EQ(told.size(), 2u);
  const auto* summary = told[0].envelope.as<schema::TelemetrySummarised>();
  ASSERT_NE(summary, nullptr);
  EXPECT_EQ(told[0].envelope.machine(), "m1");
  EXPECT_EQ(summary->signals()->Get(0)->minimum()->Get(0), 200);
  EXPECT_EQ(summary->signals()->Get(0)->maximum()->Get(0), 204);
  const auto* expired = told[1].envelope.as<schema::TelemetryExpired>();
  ASSERT_NE(expired, nullptr);
  EXPECT_EQ(expired->after(), 0u);
  EXPECT_EQ(expired->through(), 6u);
  EXPECT_EQ(expired->events(), 5u);
  EXPECT_EQ(retention_->run_once().value(), 0u) << "once";
}

TEST_P(RetentionTest, LongHistoryGoesInPieces) {
  for (int hour = 0; hour < 10; ++hour) {
    record(hour);
    clock_.advance(std::chrono::hours(1));
  }
  clock_.advance(kDay * kDays);
  EXPECT_EQ(retention_->run_once().value(), 50u);
  EXPECT_EQ(writes_, 10);
  EXPECT_TRUE(samples_left().empty());
  EXPECT_EQ(count_of(*log_, EventType::MachineStateChanged), 10u);
}

TEST_P(RetentionTest, StretchesWithoutSamplesCostNothing) {
  record(1);
  for (int day = 0; day < 20; ++day) {
    clock_.advance(kDay);
    record(2, 0);
  }
  clock_.advance(kDay * kDays);
  EXPECT_EQ(retention_->run_once().value(), 5u);
  EXPECT_EQ(writes_, 1);
}

TEST_P(RetentionTest, ARefusedWriteRemovesNothingAndIsTriedAgain) {
  record(200);
  clock_.advance(kDay * (kDays + 1));
  refuse_ = true;
  EXPECT_EQ(retention_->run_once().error().code, Errc::kFull);
  EXPECT_EQ(samples_left().size(), 5u);
  refuse_ = false;
  EXPECT_EQ(retention_->run_once().value(), 5u);
  EXPECT_EQ(count_of(*log_, EventType::TelemetrySummarised), 1u);
}

TEST_P(RetentionTest, AProcessGoesOnWhereTheLastOneStopped) {
  record(200, 1);
  clock_.advance(std::chrono::minutes(90) + std::chrono::seconds(30));
  record(100, 1);
  clock_.advance(kDay * kDays - std::chrono::minutes(60));
  EXPECT_EQ(retention_->run_once().value(), 1u);
  clock_.advance(std::chrono::hours(2));
  retention_ = make();
  EXPECT_EQ(retention_->run_once().value(), 1u);
  EventFilter filter;
  filter.types = {EventType::TelemetrySummarised};
  const auto summaries = log_->read({}, {}, filter).value().events;
  ASSERT_EQ(summaries.size(), 2u);
  const auto* signal = summaries[1].envelope.as<schema::TelemetrySummarised>()->signals()->Get(0);
  EXPECT_EQ(signal->maximum()->Get(0), 200) << "200 held until it was 100";
}

// Whatever is recorded and however far the clock moves: what is left is what is young, order and gaps are as they
// should be, and each sample was told of once.
TEST_P(RetentionTest, AnyHistoryKeepsItsFactsAndItsYoungTelemetry) {
  SeededRandom random(7);
  uint64_t recorded = 0;
  uint64_t removed = 0;
  uint64_t facts = 0;
  for (int step = 0; step < 150; ++step) {
    const int samples = static_cast<int>(random.next() % 8);
    record(random.between(0, 250), samples);
    recorded += static_cast<uint64_t>(samples);
    ++facts;
    clock_.advance(std::chrono::minutes(random.next() % 3000));
    if (random.next() % 4 == 0) removed += retention_->run_once().value();
    if (random.next() % 10 == 0) retention_ = make();
  }
  EventFilter filter;
  filter.types = {EventType::TelemetrySampled};
  const auto left = log_->read({}, {.events = 100'000}, filter).value().events;
  EXPECT_EQ(left.size() + removed, recorded);
  EXPECT_GT(removed, 0u);
  EXPECT_EQ(count_of(*log_, EventType::MachineStateChanged), facts);
  for (const auto& event : left) EXPECT_GT(event.position, log_->telemetry_removed_through());
  filter.types = {EventType::TelemetrySummarised};
  uint64_t told = 0;
  for (const auto& event : log_->read({}, {.events = 100'000}, filter).value().events) {
    for (const auto* signal : *event.envelope.as<schema::TelemetrySummarised>()->signals()) {
      for (const uint32_t count : *signal->count()) told += count;
    }
  }
  EXPECT_EQ(told, removed);
}

INSTANTIATE_TEST_SUITE_P(Engines, RetentionTest, Values("memory", "rocksdb"),
                         [](const auto& param) { return std::string(param.param); });

TEST(RetentionSpace, TheDiskGetsTheSpaceBack) {
  ManualClock clock;
  TemporaryDirectory directory;
  auto log = open_rocksdb_event_log(directory / "log", clock, {.write_buffer_bytes = 256u << 10}).value();
  const auto size = [&] {
    uint64_t bytes = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory / "log")) {
      if (file.path().extension() == ".sst") bytes += file.file_size();
    }
    return bytes;
  };
  SeededRandom random(3);
  uint64_t sequence = 0;
  for (int commit = 0; commit < 400; ++commit) {
    std::vector<Envelope> events{fact("m1", 1, ++sequence)};
    schema::TelemetrySampledT sample;
    for (int i = 0; i < 200; ++i) {
      sample.signals.push_back(std::make_unique<schema::SignalT>());
      sample.signals.back()->object = std::to_string(i);
      sample.signals.back()->value = random.between(0, 1);
    }
    events.push_back(event({"m1", 1, ++sequence}, draft_of(std::move(sample), "m1", clock.wall())));
    ASSERT_TRUE(log->append({events, {}, clock.wall()}));
    clock.advance(std::chrono::minutes(1));
  }
  ASSERT_TRUE(log->reclaim());
  const uint64_t before = size();
  const std::vector<Envelope> told{epoch_opened("hub", 1)};
  ASSERT_TRUE(log->append({told, {}, clock.wall(), Position{600}}));
  ASSERT_TRUE(log->reclaim());
  const uint64_t after = size();
  EXPECT_LT(after, before / 2) << before << " bytes before, " << after << " after three quarters were removed";
  EXPECT_EQ(count_of(*log, EventType::TelemetrySampled), 100u);
  EXPECT_EQ(count_of(*log, EventType::MachineStateChanged), 400u);
}

}  // namespace
}  // namespace millrace
