// SPDX-License-Identifier: Apache-2.0
#include "projections/machine_state.h"

#include "bus/random.h"
#include "projections/digest.h"
#include "shop.h"

namespace millrace {
namespace {

using schema::JobEvidence;
using schema::JobOutcome;
using schema::MachineState;

class MachineStateTest : public testing::Test {
 protected:
  schema::MachineViewT machine() {
    Views views;
    views.fold(shop.events());
    return views.machine();
  }
  Shop shop;
};

TEST_F(MachineStateTest, RegistrationMakesAMachineKnownThatWasNeverSeen) {
  shop.say(registered("Voron 2"));
  const auto seen = machine();
  EXPECT_EQ(seen.name, "Voron 2");
  EXPECT_EQ(seen.kind, "printer");
  EXPECT_EQ(connection_of(seen), "disconnected");
  EXPECT_EQ(shown_state(seen), MachineState::offline);
}

TEST_F(MachineStateTest, StateVersionIsTheIdOfTheLastStateChange) {
  shop.say(connected());
  shop.say(state_changed(MachineState::ready));
  shop.say(sampled({{"extruder", "temperature", 20}}));
  const auto seen = machine();
  EXPECT_EQ(seen.state_epoch, 7u);
  EXPECT_EQ(seen.state_sequence, 2u);
  EXPECT_EQ(connection_of(seen), "connected");
}

TEST_F(MachineStateTest, ValuesStayWithTheirAgeWhenTheLinkGoes) {
  shop.say(connected());
  shop.say(state_changed(MachineState::printing));
  const int64_t sampled_at = shop.now_us;
  shop.say(sampled({{"extruder", "temperature", 214.9}, {"extruder", "target", 215}}));
  const int64_t lost_at = shop.now_us;
  shop.say(disconnected("closed"));
  shop.say(disconnected("refused"));
  const auto seen = machine();
  EXPECT_EQ(shown_state(seen), MachineState::offline);
  EXPECT_EQ(seen.disconnected_since_us, lost_at);
  ASSERT_EQ(seen.objects.size(), 1u);
  EXPECT_EQ(seen.objects[0]->observed_at_us, sampled_at);
  EXPECT_EQ(seen.objects[0]->values[0]->value, 215);
}

TEST_F(MachineStateTest, ValuesAreConfirmedBySamplesOfASubscriptionAlone) {
  // Recorded 0.1 s after it was observed.
  const auto sample = [&](const std::string& object) {
    shop.say(sampled({{object, "value", 1}}));
    return shop.now_us;
  };
  shop.say(connected());
  EXPECT_EQ(values_confirmed_us(machine()), 0);
  shop.say(state_changed(MachineState::ready));
  sample("extruder");
  const int64_t last = sample("moonraker");
  EXPECT_EQ(values_confirmed_us(machine()), last) << "nothing of Klipper's has changed";
  sample("sensor shelf");
  EXPECT_EQ(values_confirmed_us(machine()), last) << "somebody else's";
  const int64_t klipper = sample("fan");
  shop.say(state_changed(MachineState::offline, "disconnected"));
  sample("moonraker");
  sample("host");
  EXPECT_EQ(values_confirmed_us(machine()), klipper) << "Moonraker's own load says nothing of Klipper";
  shop.say(disconnected("closed"));
  EXPECT_EQ(values_confirmed_us(machine()), klipper);
}

TEST_F(MachineStateTest, KlipperAwayIsNotDisconnected) {
  shop.say(connected());
  shop.say(state_changed(MachineState::offline, "disconnected"));
  EXPECT_EQ(connection_of(machine()), "klipper_away");
}

TEST_F(MachineStateTest, AFullSampleForgetsWhatItLeavesOut) {
  shop.say(sampled({{"extruder", "temperature", 20}, {"extruder1", "temperature", 21}}, true));
  shop.say(sampled({{"extruder", "temperature", 22}}, true));
  EXPECT_EQ(machine().objects.size(), 1u);
}

// Whatever expires when: the kept view is what the log that is left gives.
TEST_F(MachineStateTest, ExpiredTelemetryLeavesWhatAReplayOfTheRestGives) {
  SeededRandom random(11);
  const std::vector<std::string> names{"extruder", "heater_bed", "fan", "chamber"};
  for (int round = 0; round < 30; ++round) {
    Shop shop;
    Views kept;
    Position through;
    for (const char* machine : {"voron-2", "ender"}) shop.say(registered(machine), machine);
    kept.fold(shop.events());
    for (int step = 0; step < 60; ++step) {
      const std::string machine = random.next() % 3 == 0 ? "voron-2" : "ender";
      const Position before = shop.log->last();
      if (random.next() % 12 == 0) {
        shop.say(disconnected("closed"), machine);
      } else if (random.next() % 15 == 0 && before > through && before.value > 0) {
        through = Position{through.value + 1 + random.next() % (before.value - through.value)};
        shop.expire_telemetry(through);
      } else {
        std::vector<Signal3> signals;
        for (const auto& name : names) {
          if (random.next() % 2 == 0)
            signals.push_back({name, random.next() % 2 ? "temperature" : "target", 1.0 * step});
        }
        shop.say(sampled(signals, random.next() % 10 == 0), machine);
      }
      kept.fold(shop.log->read(before, {}, {})->events);
    }
    Views replayed;
    replayed.fold(shop.events());
    ASSERT_EQ(view_digest(*kept.store->reader(), std::string(kMachineStateView)).value(),
              view_digest(*replayed.store->reader(), std::string(kMachineStateView)).value())
        << "round " << round;
  }
}

TEST_F(MachineStateTest, ObjectsOfAHostileSampleAreBounded) {
  std::vector<Signal3> signals;
  for (int i = 0; i < 500; ++i) signals.push_back({"object" + std::to_string(i), "value", 1});
  shop.say(sampled(signals));
  EXPECT_EQ(machine().objects.size(), 128u);
}

TEST_F(MachineStateTest, TheJobFollowsItsEvents) {
  shop.say(started(row_id(), kStart));
  shop.say(progressed(row_id(), 0.5, 50));
  schema::JobPausedT paused;
  paused.job_id = row_id();
  paused.cause = "filament_runout";
  shop.say(paused);
  auto seen = machine();
  ASSERT_TRUE(seen.job);
  EXPECT_EQ(seen.job->progress, 0.5);
  EXPECT_TRUE(seen.job->paused);
  EXPECT_EQ(seen.job->pause_cause, "filament_runout");
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::conclusive, 71.99));
  seen = machine();
  EXPECT_EQ(seen.job->outcome, JobOutcome::completed);
  EXPECT_EQ(seen.job->total_duration, 71.99);
  EXPECT_FALSE(seen.job->paused);
}

TEST_F(MachineStateTest, ABackFilledOrImportedOlderJobDoesNotReplaceTheCurrentOne) {
  shop.say(started(row_id(), kStart));
  int64_t older = kStart;
  for (const auto seen : {schema::JobSeen::history, schema::JobSeen::imported}) {
    older -= 3600 * kSecond;
    shop.say(started(row_id(older), older, "old.gcode", seen));
    shop.say(finished(row_id(older), JobOutcome::cancelled, JobEvidence::conclusive));
  }
  EXPECT_EQ(machine().job->id, row_id());
  EXPECT_EQ(machine().job->outcome, JobOutcome::running);
}

TEST_F(MachineStateTest, BetterEvidenceReplacesTheEndAndARepeatedStartDoesNot) {
  shop.say(started(row_id(), kStart));
  shop.say(finished(row_id(), JobOutcome::interrupted, JobEvidence::inconclusive));
  shop.say(started(row_id(), kStart));
  EXPECT_EQ(machine().job->outcome, JobOutcome::interrupted);
  shop.say(finished(row_id(), JobOutcome::completed, JobEvidence::observed));
  shop.say(finished(row_id(), JobOutcome::cancelled, JobEvidence::conclusive));
  EXPECT_EQ(machine().job->outcome, JobOutcome::completed);
}

TEST_F(MachineStateTest, EventsWithoutAMachineChangeNothing) {
  shop.say(registered("ghost"), "");
  Views views;
  views.fold(shop.events());
  EXPECT_TRUE(read_machines(*views.store->reader())->empty());
}

}  // namespace
}  // namespace millrace
