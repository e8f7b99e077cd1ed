// SPDX-License-Identifier: Apache-2.0
// An edge over real sockets, beside a log that takes what it submits and the views of it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/edge.h"

namespace millrace {

class WritingEdgeTest : public ::testing::Test {
 protected:
  // Once the log holds what the test begins with.
  void open() {
    using namespace std::chrono_literals;
    clock.set_wall(from_unix_us(shop.now_us));
    EdgeOptions options;
    options.port = 0;
    options.version = "0.1.0";
    const SubmitEvents submit = [this](std::vector<EventDraft> events, auto done) {
      std::lock_guard lock(mutex);
      for (const EventDraft& event : events) actors.push_back(event.actor);
      const auto commit = shop.append(std::move(events));
      projector->offer(commit);
      done(commit->last);
    };
    edge = std::make_unique<Edge>(EdgeParts{loop, *shop.log, *store, clock, *metrics, health, submit}, options);
    projector = std::make_unique<Projector>(*shop.log, *store, make_projections(), *metrics, health);
    projector->on_applied = [this](auto group) { edge->on_applied(std::move(group)); };
    ASSERT_TRUE(projector->start());
    ASSERT_TRUE(projector->wait_for(shop.log->last(), 10s));
    ASSERT_TRUE(edge->start());
    thread = std::thread([this] { loop.run(); });
  }
  void TearDown() override {
    projector->stop();
    loop.post([this] {
      edge->stop();
      loop.stop();
    });
    thread.join();
  }

  Shop shop;
  std::mutex mutex;  // of the log and of actors, once the edge is open
  std::vector<std::string> actors;
  ::millrace::testing::ManualClock clock;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  std::unique_ptr<Projector> projector;
  std::unique_ptr<Edge> edge;
  std::thread thread;
};

}  // namespace millrace
