// SPDX-License-Identifier: Apache-2.0
#include "consumers/command_witness.h"

#include <gtest/gtest.h>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using Stage = CommandStanding::Stage;

class CommandWitnessTest : public ::testing::Test {
 protected:
  std::function<void(HubWrite)> submit() {
    return [this](HubWrite write) {
      if (refused) return write.done(*refused);
      for (const EventDraft& draft : write.events) {
        EXPECT_EQ(draft.machine, "voron-2");
        EXPECT_EQ(draft.actor, "hub");
        log.push_back(draft.correlation + " " + std::string(name_of(draft.payload.type)));
      }
      write.done(Position{log.size()});
    };
  }
  void saw(const std::string& id, Stage stage, double expires_in_s = 5) {
    witness.saw({id, "voron-2", "pause", stage, expires_in_s});
  }
  void look_after(std::chrono::seconds time) {
    clock.advance(time);
    witness.run_once();
  }

  ManualClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  std::vector<std::string> log;
  std::optional<Error> refused;
  CommandWitness witness{{}, submit(), clock, *metrics};
};

TEST_F(CommandWitnessTest, WhatNobodyTookExpiresOnce) {
  saw("a", Stage::kRequested);
  look_after(6s);
  EXPECT_TRUE(log.empty()) << "its answer may be on the way";
  look_after(2s);
  EXPECT_EQ(log, std::vector<std::string>{"a CommandExpired"});
  look_after(60s);
  EXPECT_EQ(log.size(), 1u);
}

TEST_F(CommandWitnessTest, WhatEndedInTimeIsNotTold) {
  saw("a", Stage::kRequested);
  saw("a", Stage::kTaken);
  saw("a", Stage::kEnded);
  look_after(3h);
  EXPECT_TRUE(log.empty());
}

TEST_F(CommandWitnessTest, WhatWasTakenAndNeverEndedIsNotConfirmed) {
  saw("a", Stage::kRequested);
  clock.advance(4s);
  saw("a", Stage::kTaken);
  look_after(1h);
  EXPECT_TRUE(log.empty()) << "a heater may take long";
  look_after(1h);
  EXPECT_EQ(log, std::vector<std::string>{"a CommandNotConfirmed"});
}

TEST_F(CommandWitnessTest, WhatTheLogRefusedIsToldLater) {
  saw("a", Stage::kRequested);
  refused = make_error(Errc::kFull, "disk full");
  look_after(8s);
  EXPECT_TRUE(log.empty());
  refused.reset();
  look_after(1s);
  EXPECT_EQ(log, std::vector<std::string>{"a CommandExpired"});
}

TEST_F(CommandWitnessTest, TooManyAreCountedAndTheRestIsWatched) {
  CommandWitness small({.max_watched = 2}, submit(), clock, *metrics);
  for (const char* id : {"a", "b", "c"}) small.saw({id, "voron-2", "pause", Stage::kRequested, 1});
  EXPECT_EQ(metrics->counter("millrace_commands_unwatched_total", "").value(), 1);
  clock.advance(10s);
  EXPECT_EQ(small.run_once(), 2u);
}

}  // namespace
}  // namespace millrace
