// SPDX-License-Identifier: Apache-2.0
// The network between producers, broker and hub misbehaves for a while, under load; once it is healed everything is in
// the log, in order, once.
#include <gtest/gtest.h>

#include <iostream>
#include <optional>

#include "bus/random.h"
#include "tests/component/line/line.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/log_checks.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kPatience{60};

struct NetworkFault {
  const char* name;
  FaultProxy::Faults faults;
  bool cuts = false;         // again and again
  bool half_closes = false;  // again and again
};

void PrintTo(const NetworkFault& fault, std::ostream* out) { *out << fault.name; }

class NetworkFaultTest : public ::testing::TestWithParam<NetworkFault> {
 protected:
  NetworkFaultTest() {
    std::cout << "seed " << seed_ << " (MILLRACE_NETWORK_SEED)\n";
    broker_.start();
    hub_.emplace(directory_ / "log", hubs_way_.url());
    for (const char* name : {"a", "b"}) {
      producers_.push_back(std::make_unique<LineProducer>(name, directory_ / name, producers_way_.url()));
    }
  }

  static uint64_t seed() {
    const char* text = std::getenv("MILLRACE_NETWORK_SEED");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : random_seed() % 1'000'000;
  }
  void emit(uint64_t events_each) {
    for (const auto& producer : producers_) producer->emit(events_each);
    emitted_each_ += events_each;
  }
  bool all_confirmed() {
    return eventually(
        [&] {
          return std::all_of(producers_.begin(), producers_.end(), [](const auto& p) { return p->unconfirmed() == 0; });
        },
        kPatience);
  }
  // Load in small portions while the fault lasts.
  void misbehave(FaultProxy& way) {
    const NetworkFault& fault = GetParam();
    way.set(fault.faults);
    const auto end = std::chrono::steady_clock::now() + 1200ms;
    while (std::chrono::steady_clock::now() < end) {
      if (fault.cuts) way.cut();
      if (fault.half_closes) way.half_close();
      emit(40);
      std::this_thread::sleep_for(60ms);  // the pace of the load
    }
    way.heal();
  }
  void expect_complete() {
    ASSERT_TRUE(all_confirmed());
    const EventLog& log = hub_->log();
    const auto last = check_order(log);
    EXPECT_EQ(last.size(), producers_.size());
    EXPECT_EQ(log.last().value, producers_.size() * (emitted_each_ + 1));
    EXPECT_EQ(count_of(log, EventType::EventsDropped), 0u);
    EXPECT_EQ(count_of(log, EventType::EventRejected), 0u);
  }

  const uint64_t seed_ = seed();
  TemporaryDirectory directory_;
  Broker broker_{directory_.path()};
  FaultProxy producers_way_{broker_.port(), seed_};
  FaultProxy hubs_way_{broker_.port(), seed_ + 1'000'000};
  std::optional<LineHub> hub_;
  std::vector<std::unique_ptr<LineProducer>> producers_;
  uint64_t emitted_each_ = 0;
};

TEST_P(NetworkFaultTest, BetweenProducersAndBroker) {
  emit(500);
  ASSERT_TRUE(all_confirmed());
  misbehave(producers_way_);
  expect_complete();
}

TEST_P(NetworkFaultTest, BetweenBrokerAndHub) {
  emit(500);
  ASSERT_TRUE(all_confirmed());
  misbehave(hubs_way_);
  expect_complete();
}

INSTANTIATE_TEST_SUITE_P(Each, NetworkFaultTest,
                         ::testing::Values(NetworkFault{.name = "Delay", .faults = {.delay = 150ms}},
                                           NetworkFault{.name = "Narrow", .faults = {.bytes_per_second = 20'000}},
                                           NetworkFault{.name = "Cut", .cuts = true},
                                           NetworkFault{.name = "Refused", .faults = {.refuse = true}, .cuts = true},
                                           NetworkFault{.name = "HalfOpen", .faults = {.swallow = true}},
                                           NetworkFault{.name = "HalfClosed", .half_closes = true},
                                           NetworkFault{.name = "LostPublish", .faults = {.lose_publish = 0.2}},
                                           NetworkFault{.name = "RepeatedPublish", .faults = {.repeat_publish = 0.3}},
                                           NetworkFault{.name = "LostAcknowledgement", .faults = {.lose_ack = 0.2}},
                                           NetworkFault{.name = "RepeatedAcknowledgement",
                                                        .faults = {.repeat_ack = 0.3}},
                                           NetworkFault{.name = "Everything",
                                                        .faults = {.delay = 20ms,
                                                                   .bytes_per_second = 200'000,
                                                                   .lose_publish = 0.1,
                                                                   .repeat_publish = 0.1,
                                                                   .lose_ack = 0.1,
                                                                   .repeat_ack = 0.1}}),
                         [](const auto& info) { return std::string(info.param.name); });

// What the proxy is for: it must really do what it says.
TEST(FaultProxyTest, LosesAndRepeatsPackets) {
  TemporaryDirectory directory;
  Broker broker(directory.path());
  broker.start();
  FaultProxy proxy(broker.port(), 1);
  LineHub hub(directory / "log", broker.url());
  LineProducer producer("a", directory / "a", proxy.url());
  ASSERT_TRUE(eventually([&] { return producer.unconfirmed() == 0; }));
  proxy.set({.lose_publish = 1});
  producer.emit(10);
  ASSERT_TRUE(eventually([&] { return proxy.counts().lost > 0; }));
  EXPECT_EQ(producer.unconfirmed(), 10u);
  EXPECT_EQ(hub.log().last().value, 1u);
  proxy.set({.repeat_publish = 1});
  ASSERT_TRUE(eventually([&] { return producer.unconfirmed() == 0; }));
  EXPECT_GT(proxy.counts().repeated, 0u);
  EXPECT_EQ(hub.log().last().value, 11u) << "a repeated publish is recorded once";
}

}  // namespace
}  // namespace millrace
