// SPDX-License-Identifier: Apache-2.0
// Producers, a real Mosquitto and a real log: whatever goes away in between, every event arrives once and in order.
#include "tests/component/line/line.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/support/event_fixtures.h"
#include "tests/support/log_checks.h"

namespace millrace {
namespace {

using namespace testing;

constexpr std::chrono::seconds kPatience{60};
constexpr uint64_t kEvents = 3000;

class LineComponentTest : public ::testing::Test {
 protected:
  void start_hub() { hub_.emplace(directory_ / "log", broker_.url()); }
  LineProducer& add(const std::string& name) {
    auto& producer = producers_[name];
    producer.reset();  // the old one ends before the new one opens its outbox
    producer = std::make_unique<LineProducer>(name, directory_ / name, broker_.url());
    return *producer;
  }
  bool all_confirmed() {
    return eventually(
        [&] {
          for (const auto& [name, producer] : producers_) {
            if (producer->unconfirmed() > 0) return false;
          }
          return true;
        },
        kPatience);
  }
  // Every producer's events and EpochOpened, in `epochs` epochs each.
  void expect_complete(uint64_t events_each, uint64_t epochs = 1) {
    ASSERT_TRUE(all_confirmed());
    const EventLog& log = hub_->log();
    const auto last = check_order(log);
    EXPECT_EQ(last.size(), producers_.size());
    EXPECT_EQ(log.last().value, producers_.size() * (events_each + epochs));
    EXPECT_EQ(count_of(log, EventType::EpochOpened), producers_.size() * epochs);
    for (const auto& [producer, order] : last) EXPECT_EQ(log.mark(producer), order);
  }

  TemporaryDirectory directory_;
  Broker broker_{directory_.path()};
  std::optional<LineHub> hub_;
  std::map<std::string, std::unique_ptr<LineProducer>> producers_;
};

TEST_F(LineComponentTest, ManyProducersArriveCompleteAndInOrder) {
  broker_.start();
  start_hub();
  for (int i = 0; i < 4; ++i) add("p" + std::to_string(i)).emit(kEvents);
  expect_complete(kEvents);
}

TEST_F(LineComponentTest, ABrokerThatForgetsEverythingLosesNothing) {
  broker_.start();
  start_hub();
  for (const char* name : {"a", "b"}) add(name).emit(kEvents);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(eventually([&, seen = hub_->log().last()] { return hub_->log().last() > seen; }));
    broker_.kill();  // without a persistence file: what it had acknowledged is gone
    for (const auto& [name, producer] : producers_) producer->emit(kEvents);
    broker_.start();
  }
  expect_complete(4 * kEvents);
}

TEST_F(LineComponentTest, EventsWaitInTheOutboxForABrokerThatComesLate) {
  start_hub();
  add("early").emit(kEvents);
  EXPECT_EQ(hub_->log().last().value, 0u);
  broker_.start();
  expect_complete(kEvents);
}

TEST_F(LineComponentTest, AHubThatComesBackAsksForTheRest) {
  broker_.start();
  start_hub();
  for (const char* name : {"a", "b"}) add(name).emit(kEvents);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(eventually([&, seen = hub_->log().last()] { return hub_->log().last() > seen; }));
    hub_.reset();
    for (const auto& [name, producer] : producers_) producer->emit(kEvents);
    start_hub();
  }
  expect_complete(4 * kEvents);
}

TEST_F(LineComponentTest, AProducerThatComesBackSendsWhatTheOldOneLeft) {
  broker_.start();
  add("a").emit(kEvents);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(eventually([&] { return producers_["a"]->stored() == kEvents; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // published, confirmed by nobody: there is no hub
    add("a").emit(kEvents);
  }
  ASSERT_TRUE(eventually([&] { return producers_["a"]->stored() == kEvents; }));
  EXPECT_GE(producers_["a"]->unconfirmed(), 3 * kEvents);
  start_hub();
  expect_complete(3 * kEvents, 3);
}

TEST_F(LineComponentTest, TwoOfOneNameTheOlderIsFenced) {
  broker_.start();
  start_hub();
  LineProducer older("twin", directory_ / "older", broker_.url());
  older.emit(100);
  ASSERT_TRUE(eventually([&] { return older.unconfirmed() == 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(2));  // epochs are milliseconds
  LineProducer newer("twin", directory_ / "newer", broker_.url());
  newer.emit(100);
  ASSERT_TRUE(eventually([&] { return newer.unconfirmed() == 0; }));
  older.emit(1);
  ASSERT_TRUE(eventually([&] { return older.fenced(); }));
  EXPECT_FALSE(newer.fenced());
  newer.emit(100);
  ASSERT_TRUE(eventually([&] { return newer.unconfirmed() == 0; }));
  check_order(hub_->log());
  EXPECT_EQ(hub_->log().last().value, 100 + 200 + 2 + 1u)
      << "nothing of the older one after the newer one's first; the newer one has no outbox of the older one, which is "
         "told";
}

}  // namespace
}  // namespace millrace
