// SPDX-License-Identifier: Apache-2.0
#include "web/edge/write_queue.h"

#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"
#include "web/edge/problem.h"

namespace millrace {
namespace {

// Everything runs when the test says so.
class WriteQueueTest : public ::testing::Test {
 protected:
  WriteQueue::Parts parts() {
    return {[this](std::function<void()> task) {
              if (worker_full) return false;
              task();
              return true;
            },
            [this](std::function<void()> task) { posted.push_back(std::move(task)); },
            [this](std::vector<EventDraft> events, auto done) {
              submitted.push_back(events.size());
              recorders.push_back(std::move(done));
            },
            [this](Position position, auto go_on) { go_on(position <= view); },
            [this](Position, auto go_on) { late = std::move(go_on); }};
  }
  void ask(const std::string& name, size_t events = 1) {
    queue.add({[this, name, events]() -> WriteDecision {
                 decided.push_back(name);
                 EdgeWrite write;
                 for (size_t i = 0; i < events; ++i) write.events.push_back(draft_of(schema::JobHiddenT{}, "m", {}));
                 return write;
               },
               [name](const EdgeWrite&) {
                 HttpResponse response;
                 response.body = name;
                 return response;
               },
               [this](HttpResponse response) { answers.push_back(std::move(response)); }});
  }
  void run_posted() {
    while (!posted.empty()) {
      const auto task = std::move(posted.front());
      posted.erase(posted.begin());
      task();
    }
  }
  void record(const Result<Position>& outcome) {
    const auto done = std::move(recorders.at(0));
    recorders.erase(recorders.begin());
    done(outcome);
    run_posted();
  }
  std::string position_of(const HttpResponse& response) {
    for (const auto& [name, value] : response.headers) {
      if (name == "Millrace-Position") return value;
    }
    return "none";
  }

  Position view{100};
  bool worker_full = false;
  std::function<void()> late;
  std::vector<std::string> decided;
  std::vector<size_t> submitted;
  std::vector<std::function<void(Result<Position>)>> recorders;
  std::vector<std::function<void()>> posted;
  std::vector<HttpResponse> answers;
  std::unique_ptr<Metrics> metrics = make_metrics();
  WriteQueue queue{parts(), 2, *metrics};
};

TEST_F(WriteQueueTest, IsAnsweredOnceItIsRecordedAndInTheViews) {
  ask("a", 2);
  run_posted();
  EXPECT_EQ(submitted, std::vector<size_t>{2});
  EXPECT_TRUE(answers.empty());
  record(Position{7});
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].body, "a");
  EXPECT_EQ(position_of(answers[0]), "7");
}

TEST_F(WriteQueueTest, TheNextIsDecidedOnlyWhenTheOneBeforeIsShown) {
  ask("a");
  ask("b");
  run_posted();
  EXPECT_EQ(decided, std::vector<std::string>{"a"});
  record(Position{7});
  EXPECT_EQ(decided, (std::vector<std::string>{"a", "b"}));
}

TEST_F(WriteQueueTest, WhatChangesNothingIsAnsweredWithoutAnEvent) {
  ask("a", 0);
  run_posted();
  EXPECT_TRUE(submitted.empty());
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].status, 200);
}

TEST_F(WriteQueueTest, ARefusedAppendIsTold) {
  ask("a");
  run_posted();
  record(make_error(Errc::kUnavailable, "the disk is full"));
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].status, 503);
  EXPECT_NE(answers[0].body.find("the disk is full"), std::string::npos);
}

TEST_F(WriteQueueTest, WhatMayBeRecordedAllTheSameIsNotCalledRefused) {
  ask("a");
  run_posted();
  record(make_error(Errc::kSyncFailed, "fsync"));
  EXPECT_NE(answers.at(0).body.find("not_confirmed"), std::string::npos);
}

TEST_F(WriteQueueTest, WhenTheViewsAreBehindItIsAcceptedWithItsPosition) {
  view = Position{3};
  ask("a");
  run_posted();
  record(Position{7});
  EXPECT_EQ(answers.at(0).status, 202);
  EXPECT_EQ(answers.at(0).body, R"({"position":7})");
}

TEST_F(WriteQueueTest, NothingIsDecidedOnViewsThatLackWhatWasAccepted) {
  view = Position{3};
  ask("a");
  ask("b");
  run_posted();
  record(Position{7});
  EXPECT_EQ(answers.at(0).status, 202);
  EXPECT_EQ(decided, std::vector<std::string>{"a"});
  view = Position{7};
  late();
  EXPECT_EQ(decided, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(answers.size(), 1u) << "a is answered once";
}

TEST_F(WriteQueueTest, TooManyAreRefusedAtOnce) {
  ask("a");
  ask("b");
  ask("c");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].status, 503);
  worker_full = true;
  run_posted();
  record(Position{7});
  EXPECT_EQ(answers.size(), 3u) << "a is recorded but not shown, b could not be decided";
}

TEST_F(WriteQueueTest, NobodyIsAnsweredAfterTheStop) {
  ask("a");
  ask("b");
  run_posted();
  queue.stop();
  record(Position{7});
  EXPECT_TRUE(answers.empty());
}

}  // namespace
}  // namespace millrace
