// SPDX-License-Identifier: Apache-2.0
// kill -9 of adapters, Mosquitto and hub in turn, under load, at random instants: every confirmed event is in the log
// once, each producer's order is kept, and every view equals a replay of the log.
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>

#include "bus/confirmation.h"
#include "bus/event_log.h"
#include "bus/mqtt_client.h"
#include "bus/random.h"
#include "bus/topics.h"
#include "projections/digest.h"
#include "projections/registry.h"
#include "projections/view_store.h"
#include "tests/support/log_checks.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

// Keeps the highest confirmation of each producer that anybody could have seen.
class ConfirmationWitness {
 public:
  explicit ConfirmationWitness(const std::string& url) {
    MqttOptions options;
    options.url = url;
    options.reconnect_max = std::chrono::milliseconds(200);
    client_ = make_mqtt_client(options);
    client_->on_message([this](const MqttClient::Message& message) {
      const auto producer = topics_.producer_of_recorded(message.topic);
      const auto confirmation = decode_confirmation(message.payload);
      if (!producer || !confirmation) return;
      std::lock_guard lock(mutex_);
      auto& highest = confirmed_[*producer];
      highest = std::max(highest, confirmation->recorded);
    });
    client_->subscribe("millrace/v1/recorded/+", 0);
    client_->start();
  }
  std::map<std::string, EventOrder> confirmed() {
    std::lock_guard lock(mutex_);
    return confirmed_;
  }

 private:
  Topics topics_;
  std::mutex mutex_;
  std::map<std::string, EventOrder> confirmed_;
  std::unique_ptr<MqttClient> client_;
};

void check_log(const EventLog& log, const std::map<std::string, EventOrder>& confirmed) {
  auto last = check_order(log);
  for (const auto& [producer, order] : confirmed) {
    EXPECT_GE(last[producer], order) << producer << ": a confirmed event is not in the log";
  }
  EXPECT_EQ(count_of(log, EventType::EventsDropped), 0u) << "nothing was to be lost";
  EXPECT_EQ(count_of(log, EventType::EventRejected), 0u);
}

void check_views(const EventLog& log, const std::filesystem::path& data) {
  const auto store = open_rocksdb_view_store(data / "views", view_names());
  ASSERT_TRUE(store) << store.error().message();
  for (const auto& name : projection_names()) {
    const auto replayed = rebuild_digest(log, name, log.last());
    const auto kept = view_digest(*(*store)->reader(), name);
    ASSERT_TRUE(replayed && kept);
    EXPECT_EQ(*replayed, *kept) << name;
  }
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void kill_and_check(uint64_t kills, uint64_t seed) {
  std::cout << "seed " << seed << ", " << kills << " kills (MILLRACE_CRASH_SEED, MILLRACE_CRASH_KILLS)\n";
  SeededRandom random(seed);
  Shop shop;
  shop.start_simulator({"--machines", "6", "--behaviour", "mixed", "--speed", "60", "--seed", std::to_string(seed)});
  shop.start_all();
  ConfirmationWitness witness(shop.broker.url());
  for (uint64_t kill = 0; kill < kills; ++kill) {
    std::this_thread::sleep_for(std::chrono::milliseconds(static_cast<int>(random.between(100, 1500))));
    const uint64_t victims = 1 + random.next() % 7;  // any of the three, or several at once
    if (victims & 1) shop.hub.reset();
    if (victims & 2) shop.adapters.reset();
    if (victims & 4) shop.broker.kill();
    std::this_thread::sleep_for(std::chrono::milliseconds(static_cast<int>(random.between(0, 500))));
    if (victims & 4) shop.broker.start();
    if (victims & 2) shop.start_adapters();
    if (victims & 1) shop.start_hub();
  }
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  const int before = shop.last_position();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > before + 10; }, std::chrono::seconds(60)))
      << "the line works again";
  shop.machines.reset();
  shop.adapters->terminate();
  ASSERT_EQ(shop.hub->terminate(), 0);

  SystemClock clock;
  const auto log = open_rocksdb_event_log(shop.data() / "log", clock);
  ASSERT_TRUE(log) << log.error().message();
  const auto confirmed = witness.confirmed();
  EXPECT_GE(confirmed.size(), 6u);
  check_log(**log, confirmed);
  check_views(**log, shop.data());
  std::cout << (*log)->last().value << " events\n";
}

TEST(KillTest, ConfirmedEventsSurviveInOrderAndOnce) {
  kill_and_check(number_from("MILLRACE_CRASH_KILLS", 12),
                 number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000));
}

TEST(LongKillTest, ConfirmedEventsSurviveInOrderAndOnce) {
  kill_and_check(number_from("MILLRACE_CRASH_KILLS", 150),
                 number_from("MILLRACE_CRASH_SEED", random_seed() % 1'000'000));
}

}  // namespace
}  // namespace millrace
