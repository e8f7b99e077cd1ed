// SPDX-License-Identifier: Apache-2.0
#include "consumers/anchor_publisher.h"

#include <gtest/gtest.h>

#include "bus/log_verifier.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/fake_mqtt.h"

namespace millrace {
namespace {

using namespace testing;

class AnchorPublisherTest : public ::testing::Test {
 protected:
  void append() { ASSERT_TRUE(log_->append({std::vector{fact("m1", 1, ++sequence_)}, {}, noon()})); }

  ManualClock clock_;
  TemporaryDirectory directory_;
  std::unique_ptr<EventLog> log_ = open_rocksdb_event_log(directory_ / "log", clock_).value();
  FakeMqtt broker_;
  const Topics topics_;
  std::vector<HubWrite> told_;
  AnchorPublisher anchors_{
      {}, *log_, broker_, topics_, [this](HubWrite write) { told_.push_back(std::move(write)); }, clock_};
  uint64_t sequence_ = 0;
};

TEST_F(AnchorPublisherTest, SaysTheRootRetainedOnceADay) {
  append();
  anchors_.tick();
  append();
  clock_.advance(std::chrono::hours(23));
  anchors_.tick();
  ASSERT_EQ(broker_.published.size(), 1u);
  clock_.advance(std::chrono::hours(1));
  anchors_.tick();
  ASSERT_EQ(broker_.published.size(), 2u);
  EXPECT_EQ(broker_.published[1].topic, "millrace/v1/log/anchor");
  EXPECT_EQ(broker_.published[1].retain, Retain::kYes);
  VerifyOptions options;
  options.anchors = {decode_anchor(broker_.published[1].payload).value()};
  const LogAnchor& given = options.anchors.front();
  EXPECT_EQ(given.root.position, Position{2});
  ASSERT_EQ(told_.size(), 2u) << "the log tells which roots were given out";
  const auto* anchored = told_[1].events.at(0).payload.AsChainAnchored();
  ASSERT_NE(anchored, nullptr);
  EXPECT_EQ(anchored->position, 2u);
  EXPECT_TRUE(std::equal(anchored->root.begin(), anchored->root.end(), given.root.link.begin(), given.root.link.end()));
  log_.reset();
  const auto verdict = verify_rocksdb_log(directory_ / "log", options).value();
  for (const auto& fault : verdict.faults) EXPECT_EQ(fault.what.find("anchor"), std::string::npos) << fault.what;
}

TEST_F(AnchorPublisherTest, WaitsForTheBrokerAndForTheFirstEvent) {
  anchors_.tick();
  EXPECT_TRUE(broker_.published.empty());
  append();
  broker_.up = false;
  anchors_.tick();
  EXPECT_TRUE(broker_.published.empty());
  broker_.up = true;
  anchors_.tick();
  EXPECT_EQ(broker_.published.size(), 1u);
}

TEST_F(AnchorPublisherTest, ThreadSaysItWithoutBeingAskedAndStopsAtOnce) {
  append();
  anchors_.start();
  anchors_.stop();
  EXPECT_LE(broker_.published.size(), 1u);
}

}  // namespace
}  // namespace millrace
