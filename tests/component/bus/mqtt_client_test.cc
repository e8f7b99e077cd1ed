// SPDX-License-Identifier: Apache-2.0
// The real client against a real Mosquitto.
#include "bus/mqtt_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using namespace testing;

class MqttClientTest : public ::testing::Test {
 protected:
  struct Seen {
    std::mutex mutex;
    std::vector<std::string> payloads;
    size_t count() {
      std::lock_guard lock(mutex);
      return payloads.size();
    }
  };

  std::unique_ptr<MqttClient> client(MqttOptions options = {}) {
    options.url = broker_.url();
    options.reconnect_min = std::chrono::milliseconds(20);
    options.reconnect_max = std::chrono::milliseconds(100);
    return make_mqtt_client(options);
  }
  std::unique_ptr<MqttClient> listener(const std::string& filter, Seen& seen) {
    auto listening = client();
    listening->on_message([&seen](const MqttClient::Message& message) {
      std::lock_guard lock(seen.mutex);
      seen.payloads.emplace_back(message.payload);
    });
    listening->subscribe(filter, 1);
    listening->start();
    return listening;
  }

  TemporaryDirectory directory_;
  Broker broker_{directory_.path()};
};

TEST_F(MqttClientTest, DeliversWhatIsPublished) {
  broker_.start();
  Seen seen;
  auto subscriber = listener("t/+", seen);
  auto publisher = client();
  publisher->start();
  ASSERT_TRUE(eventually([&] { return subscriber->connected() && publisher->connected(); }));
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(eventually([&] { return publisher->publish("t/x", std::to_string(i), 1, Retain::kNo).has_value(); }));
  }
  ASSERT_TRUE(eventually([&] { return seen.count() == 2000; }));
  EXPECT_EQ(seen.payloads[1999], "1999");
}

// Many large messages as fast as they are taken: what finds no room is refused, and its sender is told when to go on.
TEST_F(MqttClientTest, LargeMessagesInARushAllArriveInOrder) {
  constexpr int kMessages = 600;
  broker_.start();
  Seen seen;
  auto subscriber = listener("t/+", seen);
  auto publisher = client();
  std::atomic<int> rooms{0};
  publisher->on_room([&] { ++rooms; });
  publisher->start();
  ASSERT_TRUE(eventually([&] { return subscriber->connected() && publisher->connected(); }));
  int refused = 0;
  for (int i = 0; i < kMessages; ++i) {
    const std::string payload = std::to_string(i) + std::string(60'000, ' ');
    for (int before = rooms;;) {
      const auto published = publisher->publish("t/x", payload, 1, Retain::kNo);
      if (published) break;
      ASSERT_EQ(published.error().code, Errc::kFull);
      ++refused;
      ASSERT_TRUE(eventually([&] { return rooms > before; })) << "refused and never told of room";
      before = rooms;
    }
  }
  ASSERT_TRUE(eventually([&] { return seen.count() == kMessages; })) << seen.count();
  EXPECT_GT(refused, 0);
  for (int i = 0; i < kMessages; ++i) EXPECT_EQ(std::stoi(seen.payloads[static_cast<size_t>(i)]), i);
}

TEST_F(MqttClientTest, PublishWithoutABrokerSaysSoAtOnce) {
  auto publisher = client();
  publisher->start();
  EXPECT_EQ(publisher->publish("t", "x", 1, Retain::kNo).error().code, Errc::kUnavailable);
}

TEST_F(MqttClientTest, BrokerMayComeLateAndGoAndComeBack) {
  Seen seen;
  std::atomic<int> connections{0};
  std::atomic<int> losses{0};
  auto subscriber = listener("t/#", seen);
  auto publisher = client();
  publisher->on_connected([&] { ++connections; });
  publisher->on_disconnected([&](const std::string&) { ++losses; });
  publisher->start();
  broker_.start();
  ASSERT_TRUE(eventually([&] { return subscriber->connected() && publisher->connected(); }));
  broker_.kill();
  ASSERT_TRUE(eventually([&] { return !subscriber->connected() && !publisher->connected() && losses == 1; }));
  broker_.start();
  ASSERT_TRUE(eventually([&] { return subscriber->connected() && publisher->connected(); }));
  EXPECT_EQ(connections, 2);
  ASSERT_TRUE(publisher->publish("t/back", "again", 1, Retain::kNo));
  EXPECT_TRUE(eventually([&] { return seen.count() == 1; })) << "the subscription was not made again";
}

TEST_F(MqttClientTest, GoodbyeSendsNoWill) {
  broker_.start();
  Seen seen;
  auto subscriber = listener("status/#", seen);
  ASSERT_TRUE(eventually([&] { return subscriber->connected(); }));
  MqttOptions options;
  options.will_topic = "status/x";
  options.will_payload = "offline";
  auto polite = client(options);
  polite->start();
  ASSERT_TRUE(eventually([&] { return polite->connected(); }));
  polite->stop();
  EXPECT_EQ(seen.count(), 0u) << "a goodbye sends no will";
}

TEST_F(MqttClientTest, RetainedMessageIsMarked) {
  broker_.start();
  auto publisher = client();
  publisher->start();
  ASSERT_TRUE(eventually([&] { return publisher->connected(); }));
  ASSERT_TRUE(publisher->publish("r/x", "kept", 1, Retain::kYes));
  std::atomic<int> retained{0};
  auto subscriber = client();
  subscriber->on_message([&](const MqttClient::Message& message) { retained += message.retained ? 1 : 0; });
  subscriber->subscribe("r/#", 1);
  subscriber->start();
  EXPECT_TRUE(eventually([&] { return retained == 1; }));
}

TEST_F(MqttClientTest, StopsWhileTheBrokerIsAway) {
  auto lonely = client();
  lonely->start();
  lonely->stop();
  lonely->stop();
  EXPECT_FALSE(lonely->connected());
}

}  // namespace
}  // namespace millrace
