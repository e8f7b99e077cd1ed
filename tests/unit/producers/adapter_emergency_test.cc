// SPDX-License-Identifier: Apache-2.0
// The latch of an emergency: what closes it, and that only a person opens it.
#include <gtest/gtest.h>

#include "producers/moonraker/adapter_state.h"
#include "tests/unit/producers/adapter_bench.h"

namespace millrace {
namespace {

using namespace testing;

class AdapterEmergency : public ::testing::Test {
 protected:
  void shut_down(const std::string& text) {
    bench.klippy_state = "shutdown";
    bench.update(R"({"webhooks":{"state":"shutdown","state_message":")" + text + R"("}})");
  }
  void restart_klipper() {
    bench.klippy_state = "ready";
    bench.notify("notify_klippy_disconnected");
    bench.status["webhooks"] = {{"state", "\"ready\""}, {"state_message", "\"Printer is ready\""}};
    bench.notify("notify_klippy_ready");
    bench.deliver();
  }
  size_t latched_events() { return bench.all<schema::EmergencyLatchedT>().size(); }
  EventDraft stopped(bool confirmed) {
    schema::EmergencyStoppedT event;
    event.command_id = "c1";
    event.confirmed = confirmed;
    return draft_of(std::move(event), bench.options.machine_id, bench.clock.wall());
  }

  AdapterBench bench;
};

TEST_F(AdapterEmergency, KlipperShutDownByAnEmergencyStopLatches) {
  bench.connect();
  EXPECT_FALSE(bench.adapter().latched());
  shut_down("Shutdown due to webhooks request");
  EXPECT_TRUE(bench.adapter().latched());
  ASSERT_EQ(latched_events(), 1u);
  EXPECT_NE(bench.all<schema::EmergencyLatchedT>().front()->text.find("webhooks request"), std::string::npos);
}

TEST_F(AdapterEmergency, M112AtTheMachineLatchesToo) {
  bench.connect();
  shut_down("Shutdown due to M112 command");
  EXPECT_TRUE(bench.adapter().latched());
}

TEST_F(AdapterEmergency, OtherShutdownsDoNotLatch) {
  bench.connect();
  shut_down("Lost communication with MCU 'mcu'");
  EXPECT_FALSE(bench.adapter().latched());
  EXPECT_EQ(latched_events(), 0u);
}

TEST_F(AdapterEmergency, AStopThatWasDoneHereLatchesWhateverItCameTo) {
  bench.connect();
  bench.adapter().emergency_stopped(stopped(false));
  EXPECT_TRUE(bench.adapter().latched());
  EXPECT_NE(bench.adapter().latch_text().find("NOT CONFIRMED"), std::string::npos);
  shut_down("Shutdown due to webhooks request");
  bench.adapter().emergency_stopped(stopped(true));
  EXPECT_EQ(latched_events(), 1u) << "it is told once";
  EXPECT_EQ(bench.all<schema::EmergencyStoppedT>().size(), 2u);
}

TEST_F(AdapterEmergency, NoRestartOpensIt) {
  bench.connect();
  shut_down("Shutdown due to webhooks request");
  restart_klipper();
  EXPECT_TRUE(bench.adapter().latched()) << "a firmware restart";
  bench.restart(true);
  bench.deliver();
  EXPECT_TRUE(bench.adapter().latched()) << "a restart of the adapter";
  EXPECT_EQ(latched_events(), 1u);
  EXPECT_NE(bench.adapter().latch_text().find("webhooks request"), std::string::npos);
}

TEST_F(AdapterEmergency, APersonOpensItAndTheSameShutdownDoesNotCloseItAgain) {
  bench.connect();
  shut_down("Shutdown due to webhooks request");
  bench.adapter().reset_emergency("c2", "anna", "looked at it");
  EXPECT_FALSE(bench.adapter().latched());
  const auto resets = bench.all<schema::EmergencyResetT>();
  ASSERT_EQ(resets.size(), 1u);
  EXPECT_EQ(resets.front()->command_id, "c2");
  EXPECT_EQ(bench.events.back().actor, "anna");
  EXPECT_EQ(bench.events.back().correlation, "c2");
  bench.update(R"({"toolhead":{"homed_axes":""}})");
  bench.restart(true);
  bench.deliver();
  EXPECT_FALSE(bench.adapter().latched());
  restart_klipper();
  shut_down("Shutdown due to webhooks request");
  EXPECT_TRUE(bench.adapter().latched()) << "the next one is another one";
}

TEST_F(AdapterEmergency, TheHubsWordLatchesOnceForEachOfItsLatches) {
  bench.connect();
  bench.adapter().hub_latched(0);
  EXPECT_FALSE(bench.adapter().latched());
  bench.adapter().hub_latched(42);
  EXPECT_TRUE(bench.adapter().latched());
  bench.adapter().reset_emergency("c", "anna", "");
  bench.adapter().hub_latched(42);
  EXPECT_FALSE(bench.adapter().latched()) << "the retained message comes again with every connection";
  bench.restart(true);
  bench.adapter().hub_latched(42);
  EXPECT_FALSE(bench.adapter().latched());
  bench.adapter().hub_latched(43);
  EXPECT_TRUE(bench.adapter().latched());
}

TEST_F(AdapterEmergency, AStateFromBeforeLatchesIsUnderstood) {
  AdapterState state;
  state.name = "m";
  std::string text = encode(state);
  const std::string added = R"("latch_seen":0,"emergency_seen":false,)";
  ASSERT_NE(text.find(added), std::string::npos) << text;
  text.erase(text.find(added), added.size());
  EXPECT_FALSE(decode_adapter_state(text).value().latched);
}

}  // namespace
}  // namespace millrace
