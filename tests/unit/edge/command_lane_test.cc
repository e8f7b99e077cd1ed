// SPDX-License-Identifier: Apache-2.0
#include "web/edge/command_lane.h"

#include <gtest/gtest.h>

#include <deque>
#include <nlohmann/json.hpp>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using nlohmann::json;

// The log, the broker and the loop answer when the test says so.
class CommandLaneTest : public ::testing::Test {
 protected:
  void ask(std::chrono::milliseconds wait = {}) {
    EdgeCommand command;
    command.message.id = "c1";
    command.message.machine = "voron-2";
    command.message.command = "pause";
    command.wait = wait;
    lane.ask(std::move(command), [this](HttpResponse response) { answers.push_back(std::move(response)); });
  }
  void log_takes_it() { recorded.at(0)(Position{7}); }
  void loop_runs() {
    for (const auto& task : std::exchange(posted, {})) task();
  }
  void ends(const std::string& status) {
    schema::CommandViewT command;
    command.id = "c1";
    command.command = "pause";
    command.status = status;
    lane.saw(command);
  }

  IoLoop loop;
  testing::ManualClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  std::vector<std::function<void(Result<Position>)>> recorded;
  std::deque<std::function<void()>> posted;
  std::vector<HttpResponse> answers;
  std::vector<CommandMessage> sent;
  CommandLane lane{{loop, clock, [this](std::function<void()> task) { posted.push_back(std::move(task)); },
                    [this](std::vector<EventDraft>, auto done) { recorded.emplace_back(std::move(done)); },
                    [this](const CommandMessage& message) {
                      sent.push_back(message);
                      return Result<void>();
                    },
                    5},
                   *metrics};
};

TEST_F(CommandLaneTest, WhoDoesNotWaitIsToldThatItWasTakenHoweverFastItEnded) {
  for (const char* end : {"completed", "rejected", "failed"}) {
    recorded.clear();
    answers.clear();
    ask();
    EXPECT_TRUE(answers.empty()) << "before it is in the log";
    log_takes_it();
    ends(end);  // the machine was faster than this loop
    loop_runs();
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].status, 202) << end;
    const json body = json::parse(answers[0].body);
    EXPECT_EQ(body["command_id"], "c1");
    EXPECT_EQ(body["status"], end) << "as it stands";
  }
}

TEST_F(CommandLaneTest, WhatIsSentSaysItsPlaceInTheLog) {
  ask();
  EXPECT_TRUE(sent.empty()) << "before it is in the log";
  log_takes_it();
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].order, (EventOrder{5, 7}));
  EXPECT_TRUE(sent[0].recorded);
}

TEST_F(CommandLaneTest, WhoWaitsIsToldTheOutcome) {
  const std::pair<const char*, int> outcomes[] = {{"completed", 200}, {"rejected", 409}, {"failed", 502}};
  for (const auto& [end, status] : outcomes) {
    recorded.clear();
    answers.clear();
    ask(std::chrono::seconds(30));
    log_takes_it();
    loop_runs();
    EXPECT_TRUE(answers.empty());
    ends(end);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0].status, status);
  }
}

}  // namespace
}  // namespace millrace
