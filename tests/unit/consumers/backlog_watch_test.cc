// SPDX-License-Identifier: Apache-2.0
#include "consumers/backlog_watch.h"

#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

class BacklogWatchTest : public ::testing::Test {
 protected:
  void look(uint64_t waiting) {
    const std::vector<ProducerProgress> producers{{"voron-2", waiting, heard_, unrecorded_since_}};
    watch_.look(producers);
  }
  // A look each second for so long, with so many more events waiting after each.
  void pass(int seconds, int64_t growth) {
    for (int i = 0; i < seconds; ++i) {
      clock_.advance(std::chrono::seconds(1));
      heard_ = clock_.monotonic();
      waiting_ = static_cast<uint64_t>(static_cast<int64_t>(waiting_) + growth);
      look(waiting_);
    }
  }
  std::string said() const { return health_.parts().at("producers").text; }
  double alarms(const std::string& kind) {
    return metrics_->gauge("millrace_producer_alarms", "", {{"kind", kind}}).value();
  }

  ManualClock clock_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  Health health_;
  BacklogWatch watch_{{}, clock_, *metrics_, health_};
  MonotonicTime heard_{};
  std::optional<MonotonicTime> unrecorded_since_;
  uint64_t waiting_ = 0;
};

TEST_F(BacklogWatchTest, AnOutboxThatGrowsIsSaidUntilItShrinks) {
  waiting_ = 2'000;
  pass(59, 10);
  EXPECT_EQ(said(), "") << "three steps up are wanted";
  pass(2, 10);
  EXPECT_EQ(alarms("growing"), 1);
  EXPECT_NE(said().find("events of 'voron-2' wait"), std::string::npos) << said();
  EXPECT_TRUE(health_.ready()) << "it still records";
  EXPECT_EQ(metrics_->gauge("millrace_producer_waiting_events", "", {{"producer", "voron-2"}}).value(),
            static_cast<double>(waiting_));
  pass(41, -20);
  EXPECT_EQ(alarms("growing"), 0);
  EXPECT_EQ(said(), "");
}

TEST_F(BacklogWatchTest, ABurstAndASteadyBacklogAreNoAlarm) {
  pass(90, 5);  // below the least
  waiting_ = 50'000;
  pass(120, 0);
  EXPECT_EQ(alarms("growing"), 0);
  EXPECT_EQ(said(), "");
}

TEST_F(BacklogWatchTest, AProducerThatIsHeardAndNotRecordedIsStalled) {
  unrecorded_since_ = clock_.monotonic();
  pass(29, 0);
  EXPECT_EQ(said(), "");
  pass(2, 0);
  EXPECT_EQ(alarms("stalled"), 1);
  EXPECT_NE(said().find("'voron-2' sends, and nothing of it"), std::string::npos) << said();
  unrecorded_since_.reset();
  pass(1, 0);
  EXPECT_EQ(alarms("stalled"), 0);
  EXPECT_EQ(said(), "");
}

TEST_F(BacklogWatchTest, OneThatHasFallenSilentIsNotStalled) {
  unrecorded_since_ = clock_.monotonic();
  pass(40, 0);
  ASSERT_EQ(alarms("stalled"), 1);
  clock_.advance(std::chrono::seconds(31));
  look(0);
  EXPECT_EQ(alarms("stalled"), 0);
}

}  // namespace
}  // namespace millrace
