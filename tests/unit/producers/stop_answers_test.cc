// SPDX-License-Identifier: Apache-2.0
#include "producers/stop_answers.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

class StopAnswersTest : public ::testing::Test {
 protected:
  std::vector<CommandReply> asked(const std::string& topic, const std::string& correlation = "",
                                  const std::string& level = "voron-2") {
    return answers.asked({level, "{}"}, topic, correlation, now);
  }
  std::optional<CommandReply> ended(const std::string& machine, const std::string& level = "voron-2") {
    return answers.ended({level, "{}"}, machine, {machine + " stopped", "{}", "", ""}, now);
  }

  StopAnswers answers;
  MonotonicTime now{std::chrono::hours(1)};
};

TEST_F(StopAnswersTest, WhoAskedFirstIsToldAtTheEnd) {
  EXPECT_TRUE(asked("reply/me", "7").empty());
  const auto answer = ended("voron-2");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->response_topic, "reply/me");
  EXPECT_EQ(answer->correlation_data, "7");
  EXPECT_EQ(answer->command_id, "voron-2 stopped");
}

TEST_F(StopAnswersTest, WhoseQuestionIsSlowerThanTheStopIsToldAtOnce) {
  EXPECT_FALSE(ended("voron-2"));
  const auto told = asked("reply/me");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].response_topic, "reply/me");
  EXPECT_TRUE(asked("reply/me").empty()) << "once";
}

TEST_F(StopAnswersTest, AStopOfAllIsAnsweredForEachMachine) {
  EXPECT_FALSE(ended("voron-2", "all"));
  EXPECT_EQ(asked("reply/me", "", "all").size(), 1u);
  EXPECT_TRUE(ended("mk4", "all"));
  EXPECT_FALSE(ended("mk4")) << "that is another question";
}

TEST_F(StopAnswersTest, EqualStopsAreAnsweredInTheirOrder) {
  asked("reply/first");
  asked("reply/second");
  EXPECT_EQ(ended("voron-2")->response_topic, "reply/first");
  EXPECT_EQ(ended("voron-2")->response_topic, "reply/second");
}

TEST_F(StopAnswersTest, WhoNamesNoTopicGetsNoAnswerAndTakesNobodyElses) {
  asked("");
  asked("reply/second");
  EXPECT_FALSE(ended("voron-2"));
  EXPECT_EQ(ended("voron-2")->response_topic, "reply/second");
}

TEST_F(StopAnswersTest, WhatIsOldIsForgotten) {
  ended("voron-2");
  now += StopAnswers::kKeptFor + std::chrono::seconds(1);
  EXPECT_TRUE(asked("reply/me").empty());
  for (size_t i = 0; i <= StopAnswers::kMaxRequests; ++i) asked("reply/x", "", "m" + std::to_string(i));
  EXPECT_TRUE(ended("m60", "m60"));
  EXPECT_FALSE(ended("m0", "m0")) << "more than can be remembered";
}

}  // namespace
}  // namespace millrace
