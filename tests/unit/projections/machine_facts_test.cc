// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "shop.h"

namespace millrace {
namespace {

class MachineFactsTest : public ::testing::Test {
 protected:
  template <class PayloadT>
  void say(PayloadT payload) {
    shop.say(std::move(payload));
    Projector projector(*shop.log, *store, make_projections(), *metrics, health);
    ASSERT_TRUE(projector.start());
    ASSERT_TRUE(projector.wait_for(shop.log->last(), std::chrono::seconds(10)));
  }
  schema::MachineViewT machine() { return std::move(read_machines(*store->reader()).value().at("voron-2")); }
  static schema::MachineConfiguredT configured(const std::string& url) {
    schema::MachineConfiguredT event;
    event.name = "Voron 2";
    event.kind = "printer";
    event.managed_by = "api";
    event.enabled = true;
    event.moonraker_url = url;
    event.bed_x = 300;
    return event;
  }

  Shop shop;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
};

TEST_F(MachineFactsTest, SettingsAreTheLastOnesWithTheirPosition) {
  say(configured("http://a"));
  say(configured("http://b"));
  const auto now = machine();
  EXPECT_EQ(now.name, "Voron 2");
  EXPECT_EQ(now.settings->moonraker_url, "http://b");
  EXPECT_EQ(now.settings->version, 2u);
  EXPECT_EQ(now.settings->bed_x, 300);
}

TEST_F(MachineFactsTest, ARemovedMachineStaysRemovedWhateverItsAdapterStillSays) {
  say(configured("http://a"));
  say(schema::MachineRemovedT{});
  say(disconnected("stopped"));
  EXPECT_TRUE(machine().removed);
  EXPECT_EQ(machine().settings->version, 2u);
  say(configured("http://a"));
  EXPECT_FALSE(machine().removed);
}

TEST_F(MachineFactsTest, AConfigInPiecesIsAtThePositionOfItsFirst) {
  const auto piece = [](const std::string& sha256) {
    schema::PrinterConfigReadT read;
    read.sha256 = sha256;
    return read;
  };
  say(piece("a"));
  say(piece("a"));
  EXPECT_EQ(machine().printer_config_position, 1u);
  say(piece("b"));
  say(piece("b"));
  EXPECT_EQ(machine().printer_config_sha256, "b");
  EXPECT_EQ(machine().printer_config_position, 3u);
}

TEST_F(MachineFactsTest, ConditionsBeginAndEnd) {
  schema::MachineConditionChangedT condition;
  condition.condition = "unauthorised";
  condition.text = "set a key";
  condition.active = true;
  say(condition);
  const auto since = machine().conditions.at(0)->since_us;
  say(condition);
  ASSERT_EQ(machine().conditions.size(), 1u);
  EXPECT_EQ(machine().conditions[0]->since_us, since);
  EXPECT_EQ(machine().conditions[0]->text, "set a key");
  condition.active = false;
  say(condition);
  EXPECT_TRUE(machine().conditions.empty());
}

TEST_F(MachineFactsTest, ClockMessageSensorAndSpoolAreTheLastOnes) {
  schema::MachineClockOffT off;
  off.skew_ms = 9000;
  off.active = true;
  say(off);
  EXPECT_EQ(machine().clock_skew_ms, 9000);
  off.active = false;
  say(off);
  EXPECT_FALSE(machine().clock_skew_ms);
  schema::MessageShownT message;
  message.text = "Layer 3";
  say(message);
  schema::FilamentSensorChangedT sensor;
  sensor.sensor = "filament_switch_sensor x";
  sensor.enabled = true;
  say(sensor);
  schema::SpoolChangedT spool;
  spool.spool_id = 7;
  say(spool);
  const auto now = machine();
  EXPECT_EQ(now.message, "Layer 3");
  EXPECT_EQ(now.filament_sensors.at(0)->sensor, "filament_switch_sensor x");
  EXPECT_EQ(now.spool_id, 7);
}

TEST_F(MachineFactsTest, TheQueueIsTheLastOneThatWasTold) {
  schema::JobQueueChangedT queue;
  queue.state = "paused";
  queue.total = 300;
  queue.jobs.push_back(std::make_unique<schema::WaitingJobT>());
  queue.jobs.back()->id = "0001";
  queue.jobs.back()->filename = "q one.gcode";
  queue.jobs.back()->added_us = kStart;
  say(queue);
  const auto waiting = machine();
  EXPECT_EQ(waiting.queue_state, "paused");
  EXPECT_EQ(waiting.queue_total, 300u);
  ASSERT_EQ(waiting.queue.size(), 1u);
  EXPECT_EQ(waiting.queue[0]->filename, "q one.gcode");
  EXPECT_EQ(waiting.queue[0]->added_us, kStart);
  say(schema::JobQueueChangedT{});
  EXPECT_EQ(machine().queue_total, 0u);
  EXPECT_TRUE(machine().queue.empty());
}

TEST_F(MachineFactsTest, WhenItWasFirstToldOfStays) {
  say(schema::MessageShownT{});
  const int64_t first_us = machine().first_recorded_us;
  EXPECT_GT(first_us, 0);
  say(schema::MessageShownT{});
  EXPECT_EQ(machine().first_recorded_us, first_us);
}

}  // namespace
}  // namespace millrace
