// SPDX-License-Identifier: Apache-2.0
#include "safety/value_age.h"

#include <gtest/gtest.h>

#include <array>

namespace millrace {
namespace {

using namespace std::chrono_literals;
using enum ValueCategory;

TEST(ValueAge, TimesToLiveAreThoseOfTheOlderSystem) {
  const std::array<std::pair<std::string_view, std::chrono::milliseconds>, 8> wanted = {{{"gpio", 1000ms},
                                                                                         {"sensor", 500ms},
                                                                                         {"position", 100ms},
                                                                                         {"fan", 1000ms},
                                                                                         {"pwm", 1000ms},
                                                                                         {"printer_state", 2000ms},
                                                                                         {"actuator", 1000ms},
                                                                                         {"custom", 5000ms}}};
  ASSERT_EQ(value_categories().size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    const ValueCategoryRow& row = value_categories()[i];
    EXPECT_EQ(static_cast<size_t>(row.category), i);
    EXPECT_EQ(row.name, wanted[i].first);
    EXPECT_EQ(row.time_to_live, wanted[i].second);
    EXPECT_FALSE(is_stale(row.category, row.time_to_live, false)) << row.name;
    EXPECT_TRUE(is_stale(row.category, row.time_to_live + 1us, false)) << row.name;
  }
}

TEST(ValueAge, WhatASubscriptionSaidHoldsWhileItIsInForce) {
  EXPECT_FALSE(is_stale(kPosition, 900ms, true)) << "nothing changed, so nothing was said";
  EXPECT_FALSE(is_stale(kPosition, kInForceFor, true));
  EXPECT_TRUE(is_stale(kPosition, kInForceFor + 1us, true));
  EXPECT_TRUE(is_stale(kPrinterState, kInForceFor + 1us, true));
  EXPECT_FALSE(is_stale(kCustom, kInForceFor + 1us, true));
  EXPECT_TRUE(is_stale(kCustom, 5001ms, true));
}

TEST(ValueAge, ObjectsOfKlipperHaveTheirCategory) {
  for (const auto& [object, category] :
       std::initializer_list<std::pair<std::string_view, ValueCategory>>{{"extruder", kSensor},
                                                                         {"extruder1", kSensor},
                                                                         {"heater_bed", kSensor},
                                                                         {"heater_generic c", kSensor},
                                                                         {"temperature_sensor a b", kSensor},
                                                                         {"bme280 box", kSensor},
                                                                         {"temperature_fan exhaust", kFan},
                                                                         {"fan", kFan},
                                                                         {"heater_fan hotend", kFan},
                                                                         {"controller_fan x", kFan},
                                                                         {"fan_generic x", kFan},
                                                                         {"output_pin light", kPwm},
                                                                         {"gcode_button door", kGpio},
                                                                         {"filament_switch_sensor x", kGpio},
                                                                         {"servo arm", kActuator},
                                                                         {"toolhead", kPosition},
                                                                         {"gcode_move", kPosition},
                                                                         {"print_stats", kPrinterState},
                                                                         {"webhooks", kPrinterState},
                                                                         {"mcu", kCustom},
                                                                         {"fanciful", kCustom},
                                                                         {"", kCustom}}) {
    EXPECT_EQ(category_of(object), category) << object;
  }
}

}  // namespace
}  // namespace millrace
