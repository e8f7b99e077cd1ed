// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <set>

#include "producers/simulator/machine.h"

namespace millrace {
namespace {

using Kind = HostEvent::Kind;

constexpr double kWallStart = 1'795'262'400;

HostProfile profile(const std::string& behaviour, uint64_t seed = 7) {
  HostProfile profile;
  profile.behaviour = behaviour;
  profile.seed = seed;
  profile.wall_start_s = kWallStart;
  profile.duration_scale = 0.05;
  return profile;
}

// What can be seen of a host over time, as text.
std::string trace(SimulatedHost& host, double until_s, double stride_s) {
  std::string text;
  for (double t = stride_s; t <= until_s + 1e-9; t += stride_s) {
    bool stopped = true;
    while (stopped) {
      stopped = host.advance(t);
      for (const HostEvent& event : host.take_events()) {
        text += std::to_string(static_cast<int>(event.kind)) + " " + event.text + "\n";
      }
      if (stopped) {
        text += std::to_string(host.now()) + " " + std::string(name_of(host.state().klippy)) + " " +
                std::string(name_of(host.state().print)) + "\n";
      }
    }
  }
  return text + std::to_string(host.state().extruder.temperature) + " " + std::to_string(host.state().filament_used);
}

struct Story {
  explicit Story(HostProfile profile) : host(std::move(profile)) {}

  // Advances until `done`, at most `most_s`; false when it did not come.
  bool until(const std::function<bool()>& done, double most_s = 4'000) {
    const double end = host.now() + most_s;
    while (host.now() < end) {
      host.advance(std::min(end, host.now() + 0.25));
      for (HostEvent& event : host.take_events()) events.push_back(std::move(event));
      states.insert(host.state().print);
      if (done()) return true;
    }
    return false;
  }
  bool saw(Kind kind) const {
    for (const HostEvent& event : events) {
      if (event.kind == kind) return true;
    }
    return false;
  }
  std::string row_status() const {
    std::string status;
    for (const HostEvent& event : events) {
      if (event.kind == Kind::kHistoryFinished) return nlohmann::json::parse(event.text)["status"];
    }
    return "";
  }
  std::optional<HostEvent> done(uint64_t token) {
    for (HostEvent& event : host.take_events()) events.push_back(std::move(event));
    for (const HostEvent& event : events) {
      if (event.kind == Kind::kCommandDone && event.token == token) return event;
    }
    return std::nullopt;
  }
  bool print_hot() {
    host.toggle();
    return host.state().print == PrintState::kPrinting;
  }

  SimulatedHost host;
  std::vector<HostEvent> events;
  std::set<PrintState> states;
};

TEST(SimMachineTest, SameSeedAndTimeGiveTheSameStatesHoweverTimeIsCut) {
  SimulatedHost a(profile("mixed")), b(profile("mixed"));
  const std::string first = trace(a, 6'000, 0.25);
  EXPECT_EQ(first, trace(b, 6'000, 12.5));
  EXPECT_GT(first.size(), 10'000u);
  ASSERT_EQ(a.history().size(), b.history().size());
  for (size_t i = 0; i < a.history().size(); ++i) EXPECT_EQ(a.history()[i].json, b.history()[i].json);
}

TEST(SimMachineTest, AnotherSeedGivesAnotherStory) {
  SimulatedHost a(profile("mixed", 1)), b(profile("mixed", 2));
  EXPECT_NE(trace(a, 1'000, 1), trace(b, 1'000, 1));
}

TEST(SimMachineTest, PrintWarmsUpBeforeItExtrudesAndEndsCompleted) {
  Story run(profile("steady"));
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kPrinting; }));
  EXPECT_EQ(run.host.state().print_duration, 0);
  EXPECT_LT(run.host.state().extruder.temperature, 60);
  ASSERT_TRUE(run.until([&] { return run.host.state().print_duration > 0; }));
  EXPECT_GT(run.host.state().extruder.temperature, run.host.state().extruder.target - 3);
  EXPECT_GT(run.host.state().bed.temperature, run.host.state().bed.target - 3);
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kComplete; }));
  EXPECT_EQ(run.row_status(), "completed");
  const auto& row = run.host.history().back();
  EXPECT_GT(row.total_duration, row.print_duration);
  EXPECT_NEAR(*row.end_time - row.start_time, row.total_duration, 0.2);
  EXPECT_NEAR(row.filament_used, run.host.find_file(run.host.state().filename)->filament_mm, 0.1);
}

struct Ending {
  const char* behaviour;
  const char* row;
};
class SimIncidentTest : public ::testing::TestWithParam<Ending> {};

TEST_P(SimIncidentTest, EndsThePrintAsMoonrakerRecordsIt) {
  Story run(profile(GetParam().behaviour));
  ASSERT_TRUE(run.until([&] { return run.saw(Kind::kHistoryFinished); }));
  EXPECT_EQ(run.row_status(), GetParam().row);
  const std::string row = GetParam().row;
  EXPECT_EQ(run.saw(Kind::kKlippyShutdown), row == "klippy_shutdown");
  EXPECT_EQ(run.saw(Kind::kKlippyDisconnected), row == "klippy_disconnect");
  // The shop goes on by itself.
  run.events.clear();
  EXPECT_TRUE(run.until([&] { return run.saw(Kind::kHistoryAdded); }));
  EXPECT_EQ(run.host.state().klippy, KlippyState::kReady);
}

INSTANTIATE_TEST_SUITE_P(
    Every, SimIncidentTest,
    ::testing::Values(Ending{"pause", "completed"}, Ending{"runout", "completed"}, Ending{"cancel", "cancelled"},
                      Ending{"gcode_error", "error"}, Ending{"heater_fault", "klippy_shutdown"},
                      Ending{"mcu_lost", "klippy_shutdown"}, Ending{"emergency_stop", "klippy_shutdown"},
                      Ending{"klipper_restart", "klippy_disconnect"}, Ending{"klipper_killed", "klippy_disconnect"}),
    [](const auto& info) { return std::string(info.param.behaviour); });

TEST(SimMachineTest, RunoutIsSeenByTheSensorBeforeThePause) {
  Story run(profile("runout"));
  ASSERT_TRUE(run.until([&] { return !run.host.state().filament_detected; }));
  EXPECT_EQ(run.host.state().print, PrintState::kPrinting);
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kPaused; }, 1));
  EXPECT_TRUE(run.host.state().is_paused);
  const double before = run.host.state().total_duration;
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kPrinting; }));
  EXPECT_GT(run.host.state().total_duration, before);
}

TEST(SimMachineTest, PauseWaitsBehindTheWarmUp) {
  Story run(profile("idle"));
  run.host.start_print(run.host.files()[0].path, 1);
  ASSERT_TRUE(run.done(1));
  run.host.run_script("PAUSE", 2);
  EXPECT_FALSE(run.done(2));
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kPaused; }));
  EXPECT_GT(run.host.state().extruder.temperature, 150);
  EXPECT_EQ(run.done(2)->code, 0);
}

TEST(SimMachineTest, EmergencyStopDoesNotWaitAndAnswersThoseThatDo) {
  Story run(profile("idle"));
  run.host.run_script("M109 S200", 1);
  run.host.run_script("G28", 2);
  run.host.emergency_stop();
  EXPECT_EQ(run.host.state().klippy, KlippyState::kShutdown);
  EXPECT_EQ(run.done(1)->code, 0);  // torn out of its wait, yet "ok"
  EXPECT_EQ(run.done(2)->code, 400);
  run.host.run_script("G28", 3);
  EXPECT_EQ(run.done(3)->code, 400);
  EXPECT_NE(run.done(3)->text.find("Shutdown due to webhooks request"), std::string::npos);
}

TEST(SimMachineTest, PausedFollowsAShutdownHalfASecondLater) {
  Story run(profile("idle"));
  ASSERT_TRUE(run.print_hot());
  run.host.emergency_stop();
  EXPECT_EQ(run.host.state().print, PrintState::kPrinting);
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kPaused; }, 1));
  EXPECT_EQ(run.row_status(), "klippy_shutdown");
}

TEST(SimMachineTest, RestartAfterAShutdownIsAnErrorUntilTheFirmwareRestarts) {
  Story run(profile("idle"));
  run.host.emergency_stop();
  run.host.restart();
  ASSERT_TRUE(run.until([&] { return run.host.state().klippy == KlippyState::kError; }, 10));
  EXPECT_FALSE(run.saw(Kind::kKlippyReady));
  run.host.firmware_restart();
  ASSERT_TRUE(run.until([&] { return run.host.state().klippy == KlippyState::kReady; }, 10));
  EXPECT_TRUE(run.saw(Kind::kKlippyReady));
}

TEST(SimMachineTest, OnlyADeadProcessChangesItsId) {
  Story run(profile("idle"));
  const int process = run.host.state().process_id;
  run.host.restart();
  ASSERT_TRUE(run.until([&] { return run.host.state().klippy == KlippyState::kReady; }, 10));
  EXPECT_EQ(run.host.state().process_id, process);
  ASSERT_TRUE(run.host.force(Incident::kKlipperKilled));
  ASSERT_TRUE(run.until([&] { return run.host.state().klippy == KlippyState::kReady; }, 10));
  EXPECT_NE(run.host.state().process_id, process);
}

TEST(SimMachineTest, PrintOutlivesMoonraker) {
  Story run(profile("idle"));
  ASSERT_TRUE(run.print_hot());
  run.until([] { return false; }, 5);
  run.host.moonraker_stopped(true);
  EXPECT_NE(run.host.history().back().json.find("server_exit"), std::string::npos);
  run.host.moonraker_started();
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kComplete; }));
  EXPECT_NE(run.host.history().back().json.find("server_exit"), std::string::npos);
}

TEST(SimMachineTest, KilledMoonrakerLeavesAnInterruptedRowWithoutAnEnd) {
  Story run(profile("idle"));
  ASSERT_TRUE(run.print_hot());
  run.until([] { return false; }, 5);
  run.host.moonraker_stopped(false);
  run.host.moonraker_started();
  const auto row = nlohmann::json::parse(run.host.history().back().json);
  EXPECT_EQ(row["status"], "interrupted");
  EXPECT_TRUE(row["end_time"].is_null());
  EXPECT_LT(row["total_duration"], 1.0);
}

TEST(SimMachineTest, ScriptStopsAtItsFirstError) {
  Story run(profile("idle"));
  run.host.run_script("M117 one\nG1 X9999\nM117 two", 1);
  const auto done = run.done(1);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->code, 400);
  EXPECT_EQ(done->text.rfind("Must home axis first", 0), 0u);
  EXPECT_EQ(run.host.state().display_message, "one");
}

TEST(SimMachineTest, HostileScriptsAreAnsweredAndChangeNothing) {
  Story run(profile("idle"));
  uint64_t token = 1;
  for (const std::string& script :
       {std::string(), std::string("\n\n;"), std::string("M109 S"),
        std::string("SET_HEATER_TEMPERATURE HEATER=extruder TARGET=1e999"), std::string("G1 Xnan"),
        std::string("SET_PIN PIN="), std::string(" \t "), std::string("M106 S-5"), std::string("G4 P-1"),
        std::string(200'000, 'x'), std::string("\0\xff\xfe", 3), std::string("M104 S-400"), std::string("G1")}) {
    run.host.run_script(script, token);
    EXPECT_TRUE(run.done(token)) << script.substr(0, 20);
    ++token;
  }
  run.until([] { return false; }, 5);
  EXPECT_EQ(run.host.state().klippy, KlippyState::kReady);
  EXPECT_EQ(run.host.state().extruder.target, 0);
}

TEST(SimMachineTest, TooManyWaitingCommandsAreRefused) {
  Story run(profile("idle"));
  run.host.run_script("M109 S200", 1);
  for (uint64_t i = 0; i < SimulatedHost::kMaxPendingCommands; ++i) run.host.run_script("M105", 2 + i);
  EXPECT_EQ(run.done(1 + SimulatedHost::kMaxPendingCommands)->code, 503);
}

TEST(SimMachineTest, StartOfAMissingFileWipesTheOldResult) {
  Story run(profile("idle"));
  ASSERT_TRUE(run.print_hot());
  ASSERT_TRUE(run.until([&] { return run.host.state().print == PrintState::kComplete; }));
  run.host.start_print("missing.gcode", 1);
  EXPECT_EQ(run.done(1)->text, "Unable to open file");
  EXPECT_EQ(run.host.state().print, PrintState::kStandby);
  EXPECT_EQ(run.host.state().filename, "");
}

TEST(SimMachineTest, SecondStartIsBusyAndAStartOverAPauseReplacesTheJob) {
  Story run(profile("idle"));
  ASSERT_TRUE(run.print_hot());
  run.host.start_print(run.host.files()[1].path, 1);
  EXPECT_EQ(run.done(1)->text, "SD busy");
  run.host.toggle();
  run.host.start_print(run.host.files()[1].path, 2);
  EXPECT_EQ(run.done(2)->code, 0);
  EXPECT_EQ(run.row_status(), "cancelled");
  EXPECT_EQ(run.host.state().filename, run.host.files()[1].path);
}

TEST(SimMachineTest, ScenesShowSomethingAtOnce) {
  auto scene = [](Scene scene) {
    HostProfile made = profile("steady");
    made.scene = scene;
    return made;
  };
  Story done(scene(Scene::kNearlyDone));
  EXPECT_EQ(done.host.state().print, PrintState::kPrinting);
  EXPECT_TRUE(done.until([&] { return done.host.state().print == PrintState::kComplete; }, 60));
  Story paused(scene(Scene::kPausingSoon));
  EXPECT_TRUE(paused.until([&] { return paused.host.state().print == PrintState::kPaused; }, 30));
  Story fault(scene(Scene::kFaultSoon));
  EXPECT_TRUE(fault.until([&] { return fault.host.state().klippy == KlippyState::kShutdown; }, 15));
  EXPECT_NE(fault.host.state().state_message.find("not heating at expected rate"), std::string::npos);
}

TEST(SimMachineTest, BrokenHeaterGetsColderAtFullPower) {
  SeededRandom random(1);
  SimulatedHeater heater({4.0, 130.0, 0.0}, 22);
  heater.set_target(200);
  for (int i = 0; i < 4'000; ++i) heater.step(0.05, 22, 0);
  heater.read(random);
  EXPECT_NEAR(heater.temperature(), 200, 1.5);
  EXPECT_TRUE(heater.reached());
  heater.set_broken(true);
  for (int i = 0; i < 400; ++i) heater.step(0.05, 22, 0);
  heater.read(random);
  EXPECT_LT(heater.temperature(), 185);
  EXPECT_EQ(heater.power(), 1.0);
}

}  // namespace
}  // namespace millrace
