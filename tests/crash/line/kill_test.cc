// SPDX-License-Identifier: Apache-2.0
// kill -9 of adapters, Mosquitto and hub in turn, under load, at random instants: every confirmed event is in the log
// once, each producer's order is kept, and every view equals a replay of the log.
#include <gtest/gtest.h>

#include "bus/random.h"
#include "tests/crash/line/line_checks.h"
#include "tests/support/shop/shop.h"
#include "tests/support/view_checks.h"

namespace millrace {
namespace {

using namespace testing;

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

  const auto confirmed = witness.confirmed();
  check_proofs(shop.data() / "log", confirmed);
  SystemClock clock;
  const auto log = open_rocksdb_event_log(shop.data() / "log", clock);
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_GE(confirmed.size(), 6u);
  check_log(**log, confirmed);
  check_views(**log, shop.data() / "views");
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
