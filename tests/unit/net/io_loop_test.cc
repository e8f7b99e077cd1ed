// SPDX-License-Identifier: Apache-2.0
#include "net/io_loop.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "net_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;

TEST(IoLoopTest, RunsWithoutWorkUntilStopped) {
  IoLoop loop;
  std::promise<void> started;
  auto ended = std::async(std::launch::async, [&] {
    loop.post([&] { started.set_value(); });
    loop.run();
  });
  started.get_future().wait();
  EXPECT_EQ(ended.wait_for(50ms), std::future_status::timeout);
  loop.stop();
  EXPECT_EQ(ended.wait_for(kPatience), std::future_status::ready);
}

TEST(IoLoopTest, StopBeforeRunIsNotForgotten) {
  IoLoop loop;
  bool ran = false;
  loop.post([&] { ran = true; });
  loop.stop();
  loop.run();
  EXPECT_FALSE(ran);
}

TEST(IoLoopTest, TasksFromManyThreadsRunOnOneAndKeepEachThreadsOrder) {
  LoopThread thread;
  std::thread::id loop_id;
  thread.call([&] { loop_id = std::this_thread::get_id(); });
  constexpr int kThreads = 4;
  constexpr int kTasks = 2000;
  std::vector<std::vector<int>> seen(kThreads);
  std::atomic<int> elsewhere = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kTasks; ++i) {
        thread.loop().post([&, t, i] {
          if (std::this_thread::get_id() != loop_id) ++elsewhere;
          seen[t].push_back(i);
        });
      }
    });
  }
  for (auto& each : threads) each.join();
  thread.call([] {});
  EXPECT_EQ(elsewhere, 0);
  for (const auto& order : seen) {
    EXPECT_EQ(order.size(), static_cast<size_t>(kTasks));
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  }
}

TEST(IoLoopTest, TaskThatThrowsDoesNotEndTheLoop) {
  LoopThread thread;
  thread.loop().post([] { throw std::runtime_error("planted"); });
  thread.loop().post([] { throw 7; });
  bool ran = false;
  thread.call([&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(LoopTimerTest, FiresOnceAndOnlyForTheLastStart) {
  LoopThread thread;
  Journal journal;
  std::unique_ptr<LoopTimer> timer;
  thread.call([&] {
    timer = std::make_unique<LoopTimer>(thread.loop());
    timer->start(0us, [&] { journal.add("first"); });
    timer->start(1ms, [&] { journal.add("second"); });
  });
  EXPECT_TRUE(journal.wait_for("second"));
  thread.call([&] { timer.reset(); });
  EXPECT_EQ(journal.lines(), std::vector<std::string>{"second"});
}

TEST(LoopTimerTest, CancelledOrDestroyedNeverFires) {
  LoopThread thread;
  Journal journal;
  thread.call([&] {
    LoopTimer cancelled(thread.loop());
    cancelled.start(0us, [&] { journal.add("cancelled"); });
    cancelled.cancel();
    LoopTimer destroyed(thread.loop());
    destroyed.start(0us, [&] { journal.add("destroyed"); });
  });
  LoopTimer later(thread.loop());
  thread.call([&] { later.start(5ms, [&] { journal.add("later"); }); });
  EXPECT_TRUE(journal.wait_for("later"));
  EXPECT_EQ(journal.lines(), std::vector<std::string>{"later"});
  thread.call([&] { later.cancel(); });
}

TEST(LoopTimerTest, TaskMayStartOrDestroyItsOwnTimer) {
  LoopThread thread;
  Journal journal;
  std::unique_ptr<LoopTimer> timer;
  std::function<void()> task = [&] {
    journal.add("tick");
    if (journal.lines().size() < 3) {
      timer->start(1ms, task);
    } else {
      timer.reset();
    }
  };
  thread.call([&] {
    timer = std::make_unique<LoopTimer>(thread.loop());
    timer->start(1ms, task);
  });
  EXPECT_TRUE(journal.wait_for_lines(3));
  thread.call([&] { EXPECT_EQ(timer, nullptr); });
}

}  // namespace
}  // namespace millrace::testing
