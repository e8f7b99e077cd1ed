// SPDX-License-Identifier: Apache-2.0
// The guard's picture of a machine, from what Moonraker says of it.
#include "producers/moonraker/snapshot_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bus/metrics.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::ManualClock;

class SnapshotViewTest : public ::testing::Test {
 protected:
  void objects(const std::string& json) { view.begin(*reader.parse(json)); }
  void settings(const std::string& json) { view.on_settings(*reader.parse(json)); }
  void status(const std::string& json) {
    fold.fold(*reader.parse(json), errors, [](auto, auto, const auto&) {});
  }
  MachineSnapshot seen() const { return view.snapshot(fold); }

  JsonReader reader;
  std::unique_ptr<Metrics> metrics = make_metrics();
  ManualClock clock;
  ProtocolErrors errors{"m", clock, metrics->counter("errors", "")};
  StatusFold fold;
  SnapshotView view;
};

template <class Parts>
std::vector<std::string> names_of(const Parts& parts) {
  std::vector<std::string> names;
  for (const auto& part : parts) names.push_back(part.name);
  return names;
}

TEST_F(SnapshotViewTest, KnowsPartsByWhatKlipperCallsThemInItsCommands) {
  objects(
      R"(["extruder","extruder1","extruder_stepper belt","heater_bed","heater_generic Chamber","heater_generic dryer",
              "heaters","fan","fan_generic exhaust","heater_fan hotend_fan","controller_fan mcu","temperature_fan pi",
              "output_pin caselight","pwm_tool laser","pwm_cycle_time beeper","led strip","neopixel ring","dotstar d",
              "gcode_macro Print_Start","gcode_macro _INNER","temperature_sensor room","fan_"])");
  const auto machine = seen();
  EXPECT_THAT(names_of(machine.heaters), ElementsAre("extruder", "extruder1", "heater_bed", "Chamber", "dryer"));
  EXPECT_EQ(machine.heaters[0].kind, HeaterKind::kExtruder);
  EXPECT_EQ(machine.heaters[2].kind, HeaterKind::kBed);
  EXPECT_EQ(machine.heaters[3].kind, HeaterKind::kChamber);
  EXPECT_EQ(machine.heaters[4].kind, HeaterKind::kGeneric);
  EXPECT_THAT(names_of(machine.fans), ElementsAre("fan", "exhaust", "hotend_fan", "mcu", "pi"));
  std::vector<std::string> settable;
  for (const auto& fan : machine.fans) {
    if (fan.settable) settable.push_back(fan.name);
  }
  EXPECT_THAT(settable, ElementsAre("fan", "exhaust"));
  EXPECT_THAT(machine.pins, ElementsAre("caselight", "laser", "beeper"));
  EXPECT_THAT(machine.lights, ElementsAre("strip", "ring", "d"));
  EXPECT_THAT(machine.macros, ElementsAre("PRINT_START", "_INNER"));
}

TEST_F(SnapshotViewTest, WhatNobodyToldIsNotKnown) {
  const auto empty = seen();
  EXPECT_THAT(empty.heaters, IsEmpty());
  EXPECT_EQ(empty.homed, (std::array{false, false, false}));
  EXPECT_FALSE(empty.position[0] || empty.gcode_offset[0] || empty.absolute || empty.feedrate || empty.power_devices);
  objects(R"(["extruder","heater_bed"])");
  status(R"({"extruder":{"temperature":null,"target":0.0},"heater_bed":{"temperature":"hot"}})");
  EXPECT_FALSE(seen().heaters[0].sensor_plausible);
  EXPECT_FALSE(seen().heaters[1].sensor_plausible);
  objects(R"({"objects":1})");
  EXPECT_THAT(seen().heaters, IsEmpty()) << "no list is an empty one";
}

TEST_F(SnapshotViewTest, ASensorIsBelievedWithinWhatItCanMeasure) {
  objects(R"(["extruder"])");
  settings(R"({"extruder":{"min_temp":0,"max_temp":300,"min_extrude_temp":180}})");
  for (const auto& [temperature, plausible] : std::vector<std::pair<const char*, bool>>{
           {"20.0", true}, {"0.0", true}, {"-0.1", false}, {"600.0", true}, {"600.1", false}, {"-273.15", false}}) {
    status(std::string(R"({"extruder":{"temperature":)") + temperature + "}}");
    EXPECT_EQ(seen().heaters[0].sensor_plausible, plausible) << temperature;
  }
  ASSERT_EQ(seen().klipper.heaters.size(), 1u);
  EXPECT_EQ(seen().klipper.heaters[0].max_temp, 300);
  EXPECT_EQ(seen().klipper.heaters[0].min_extrude_temp, 180);
}

// configfile.settings has its sections in lower case.
TEST_F(SnapshotViewTest, SettingsAreFoundWhateverTheCaseOfASectionsName) {
  objects(R"(["extruder","heater_generic Chamber_Heater","heater_fan Hotend_Fan"])");
  settings(R"({"heater_generic chamber_heater":{"max_temp":55},
               "heater_fan hotend_fan":{"heater":["extruder"],"heater_temp":45}})");
  const auto machine = seen();
  ASSERT_EQ(machine.klipper.heaters.size(), 1u);
  EXPECT_EQ(machine.klipper.heaters[0].name, "Chamber_Heater");
  EXPECT_EQ(machine.heaters[0].fan, "Hotend_Fan");
  EXPECT_EQ(machine.heaters[0].fan_from_c, 45);
}

TEST_F(SnapshotViewTest, AHotendsFanIsFoundByItsHeaters) {
  objects(R"(["extruder","extruder1","heater_fan a","heater_fan b"])");
  settings(R"({"heater_fan a":{},"heater_fan b":{"heater":"extruder1"}})");
  EXPECT_EQ(seen().heaters[0].fan, "a") << "Klipper's default is the extruder";
  EXPECT_EQ(seen().heaters[0].fan_from_c, 50);
  EXPECT_EQ(seen().heaters[1].fan, "b");
}

TEST_F(SnapshotViewTest, MotionIsInTheMachinesOwnCoordinates) {
  status(R"({"toolhead":{"homed_axes":"xz","axis_minimum":[0.0,-5.0,-2.0,0.0],"axis_maximum":[250.0,255.0,200.0,0.0],
                         "max_velocity":100.0,"max_accel":500.0,"extruder":"extruder1"},
             "gcode_move":{"position":[10.0,20.0,5.2,7.0],"gcode_position":[10.0,15.0,5.0,0.0],
                           "homing_origin":[0.0,0.0,0.2,0.0],"absolute_coordinates":false,"speed":1500.0,
                           "speed_factor":1.5}})");
  auto machine = seen();
  EXPECT_EQ(machine.homed, (std::array{true, false, true}));
  EXPECT_EQ(machine.position[1], 20);
  EXPECT_EQ(machine.gcode_offset[1], 5);
  EXPECT_NEAR(machine.gcode_offset[2].value_or(9), 0.2, 1e-9);
  EXPECT_EQ(machine.homing_origin[2], 0.2);
  EXPECT_EQ(machine.absolute, false);
  EXPECT_EQ(machine.feedrate, 1500);
  EXPECT_EQ(machine.speed_factor, 1.5);
  EXPECT_EQ(machine.active_extruder, "extruder1");
  EXPECT_EQ(machine.klipper.axis_minimum[1], -5);
  EXPECT_EQ(machine.klipper.axis_maximum[0], 250);
  EXPECT_EQ(machine.klipper.max_velocity, 100) << "nothing else is known";
  settings(R"({"printer":{"max_velocity":300,"max_accel":3000}})");
  EXPECT_EQ(seen().klipper.max_velocity, 300) << "as configured: what is in force may be lower for a while";
  EXPECT_EQ(seen().klipper.max_accel, 3000);
  view.clear();
  EXPECT_EQ(seen().klipper.max_velocity, 100);
}

TEST_F(SnapshotViewTest, ObjectsOfThePrintAndPowerDevices) {
  status(R"({"exclude_object":{"objects":[{"name":"HOOK","center":[1,2]},{"name":"a b"},{"x":1}],
                               "excluded_objects":["a b"]}})");
  EXPECT_THAT(seen().objects, ElementsAre("HOOK", "a b"));
  EXPECT_THAT(seen().excluded_objects, ElementsAre("a b"));
  view.on_power_devices(*reader.parse(R"({"devices":[{"device":"psu"},{"name":"x"},{"device":"Lamp 1"}]})"));
  EXPECT_THAT(*seen().power_devices, ElementsAre("psu", "Lamp 1"));
}

TEST_F(SnapshotViewTest, AFileAsItsMetadataTellsIt) {
  const auto file = [&](const std::string& json) { return file_snapshot("a.gcode", *reader.parse(json)); };
  const auto one = file(R"({"nozzle_diameter":0.4,"filament_type":"PLA","first_layer_extr_temp":215,
                            "first_layer_bed_temp":60,"chamber_temp":40})");
  EXPECT_EQ(one.exists, true);
  EXPECT_EQ(one.nozzle_diameter, 0.4);
  EXPECT_EQ(one.extruder_temp, 215);
  EXPECT_EQ(one.bed_temp, 60);
  EXPECT_EQ(one.chamber_temp, 40);
  EXPECT_THAT(one.filament_types, ElementsAre("PLA"));
  EXPECT_THAT(file(R"({"filament_type":"PLA;;PETG"})").filament_types, ElementsAre("PLA", std::nullopt, "PETG"));
  EXPECT_THAT(file(R"({"filament_type":"[\"PLA\", \"ABS\"]"})").filament_types, ElementsAre("PLA", "ABS"));
  EXPECT_EQ(file(R"({"first_layer_extr_temp":200,"filament_temps":[210,260]})").extruder_temp, 260) << "the highest";
  EXPECT_FALSE(file(R"({"nozzle_diameter":"0.4"})").nozzle_diameter);
}

}  // namespace
}  // namespace millrace
