// SPDX-License-Identifier: Apache-2.0
#include "bus/signal_units.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(SignalUnitsTest, AFieldsNameTellsItsUnit) {
  EXPECT_EQ(unit_of_signal("extruder1", "temperature"), "°C");
  EXPECT_EQ(unit_of_signal("temperature_sensor Raum Fühler", "temperature"), "°C");
  EXPECT_EQ(unit_of_signal("toolhead", "position.x"), "mm");
  EXPECT_EQ(unit_of_signal("heater_fan hotend_fan", "rpm"), "rpm");
  EXPECT_EQ(unit_of_signal("filament_switch_sensor runout", "filament_detected"), "flag");
  EXPECT_EQ(unit_of_signal("sensor shelf", "humidity"), "%");
  EXPECT_EQ(unit_of_signal("sensor shelf", "co2"), "");
}

TEST(SignalUnitsTest, TheObjectMayMakeItAnother) {
  EXPECT_EQ(unit_of_signal("extruder", "power"), "0..1");
  EXPECT_EQ(unit_of_signal("moonraker_sensor plug", "power"), "W");
  EXPECT_EQ(unit_of_signal("sensor plug", "power"), "W");
  EXPECT_EQ(unit_of_signal("fan", "speed"), "0..1");
  EXPECT_EQ(unit_of_signal("gcode_move", "speed"), "mm/min");
  EXPECT_EQ(unit_of_signal("mcu toolhead", "freq"), "Hz");
}

}  // namespace
}  // namespace millrace
