// SPDX-License-Identifier: Apache-2.0
#include "safety/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace millrace {
namespace {

using ::testing::HasSubstr;

TEST(LimitsTest, WhatIsNotSetHasItsDefault) {
  const Limits limits = limits_from(schema::LimitSetT());
  EXPECT_EQ(limits.extruder_temp_max, 250);
  EXPECT_EQ(limits.bed_temp_max, 120);
  EXPECT_EQ(limits.chamber_temp_max, 60);
  EXPECT_EQ(limits.axes[0], (Range{0, 300}));
  EXPECT_EQ(limits.axes[1], (Range{0, 300}));
  EXPECT_EQ(limits.axes[2], (Range{0, 400}));
  EXPECT_EQ(limits.velocity_max, 500);
  EXPECT_EQ(limits.acceleration_max, 3000);
  EXPECT_EQ(limits.pwm, (Range{0, 1}));
  EXPECT_EQ(limits.fan, (Range{0, 1}));
  EXPECT_EQ(limits.feedrate, (Range{1, 30000}));
  EXPECT_TRUE(limits.require_plate_cleared);
}

TEST(LimitsTest, WhatIsSetComesBackWhole) {
  schema::LimitSetT set;
  set.extruder_temp_max = 300;
  set.y_min = -5;
  set.require_plate_cleared = false;
  const schema::LimitSetT whole = to_limit_set(limits_from(set));
  EXPECT_EQ(whole.extruder_temp_max, 300);
  EXPECT_EQ(whole.y_min, -5);
  EXPECT_EQ(whole.y_max, 300);
  EXPECT_EQ(whole.require_plate_cleared, false);
  EXPECT_TRUE(check_limit_set(whole));
}

TEST(LimitsTest, MachinesOwnNarrowsAndNeverWidens) {
  KlipperLimits klipper;
  klipper.axis_minimum = {-10.0, 5.0, std::nullopt};
  klipper.axis_maximum = {350.0, 235.0, 250.0};
  klipper.max_velocity = 300;
  klipper.max_accel = 20000;
  klipper.heaters = {{"extruder", 280.0, 180.0}, {"heater_bed", 110.0, std::nullopt}, {"dryer", 90.0, std::nullopt}};
  const Limits limits = narrow(Limits(), klipper);
  EXPECT_EQ(limits.axes[0], (Range{0, 300}));
  EXPECT_EQ(limits.axes[1], (Range{5, 235}));
  EXPECT_EQ(limits.axes[2], (Range{0, 250}));
  EXPECT_EQ(limits.velocity_max, 300);
  EXPECT_EQ(limits.acceleration_max, 3000);
  EXPECT_EQ(limits.temp_max(HeaterKind::kExtruder, "extruder"), 250);
  EXPECT_EQ(limits.temp_max(HeaterKind::kBed, "heater_bed"), 110);
  EXPECT_EQ(limits.temp_max(HeaterKind::kChamber, "chamber"), 60);
  EXPECT_EQ(limits.temp_max(HeaterKind::kGeneric, "dryer"), 90);
  EXPECT_EQ(limits.temp_max(HeaterKind::kGeneric, "unheard of"), 60);
  EXPECT_EQ(limits.min_extrude_temp("extruder"), 180);
  EXPECT_EQ(limits.min_extrude_temp("extruder1"), 170);
}

TEST(LimitsTest, NumbersThatAreNoneNarrowNothing) {
  KlipperLimits klipper;
  klipper.axis_maximum[0] = std::nan("");
  klipper.max_velocity = std::numeric_limits<double>::infinity();
  klipper.heaters = {{"extruder", std::nan(""), std::nan("")}};
  const Limits limits = narrow(Limits(), klipper);
  EXPECT_EQ(limits.axes[0].max, 300);
  EXPECT_EQ(limits.velocity_max, 500);
  EXPECT_EQ(limits.temp_max(HeaterKind::kExtruder, "extruder"), 250);
}

TEST(LimitsTest, RangeHoldsItsEndsAndNoNan) {
  const Range range{1, 2};
  EXPECT_TRUE(range.holds(1));
  EXPECT_TRUE(range.holds(2));
  EXPECT_FALSE(range.holds(0.999));
  EXPECT_FALSE(range.holds(2.001));
  EXPECT_FALSE(range.holds(std::nan("")));
}

template <class Set>
Result<void> checked(Set set) {
  schema::LimitSetT limits;
  set(limits);
  return check_limit_set(limits);
}

TEST(LimitsTest, SettingUpToTheHardBoundsIsTaken) {
  EXPECT_TRUE(check_limit_set(schema::LimitSetT()));
  EXPECT_TRUE(checked([](auto& set) { set.extruder_temp_max = 500; }));
  EXPECT_TRUE(checked([](auto& set) { set.bed_temp_max = 200; }));
  EXPECT_TRUE(checked([](auto& set) { set.z_min = -2000, set.z_max = 2000; }));
  EXPECT_TRUE(checked([](auto& set) { set.velocity_max = 2000; }));
}

TEST(LimitsTest, SettingBeyondTheHardBoundsIsRefusedByName) {
  const auto refused = [](auto set, std::string_view name) {
    const auto result = checked(set);
    return !result && result.error().code == Errc::kInvalidArgument &&
           result.error().context.substr(0, name.size()) == name;
  };
  EXPECT_TRUE(refused([](auto& set) { set.extruder_temp_max = 500.1; }, "extruder_temp_max is 500.1"));
  EXPECT_TRUE(refused([](auto& set) { set.extruder_temp_max = -1; }, "extruder_temp_max is -1"));
  EXPECT_TRUE(refused([](auto& set) { set.bed_temp_max = std::nan(""); }, "bed_temp_max is nan"));
  EXPECT_TRUE(refused([](auto& set) { set.chamber_temp_max = 121; }, "chamber_temp_max"));
  EXPECT_TRUE(refused([](auto& set) { set.x_max = 1e9; }, "x_max"));
  EXPECT_TRUE(refused([](auto& set) { set.velocity_max = std::numeric_limits<double>::infinity(); }, "velocity_max"));
  EXPECT_TRUE(refused([](auto& set) { set.acceleration_max = 0; }, "acceleration_max"));
  EXPECT_TRUE(refused([](auto& set) { set.pwm_max = 1.1; }, "pwm_max"));
  EXPECT_TRUE(refused([](auto& set) { set.fan_min = -0.1; }, "fan_min"));
  EXPECT_TRUE(refused([](auto& set) { set.feedrate_min = 0; }, "feedrate_min"));
}

TEST(LimitsTest, MinimumIsBelowTheMaximumWithDefaultsTakenIn) {
  const auto same = checked([](auto& set) { set.x_min = 10, set.x_max = 10; });
  ASSERT_FALSE(same);
  EXPECT_THAT(same.error().context, HasSubstr("x_min is 10 and x_max is 10"));
  EXPECT_FALSE(checked([](auto& set) { set.z_min = 400; }));  // the default maximum
  EXPECT_FALSE(checked([](auto& set) { set.feedrate_min = 30000; }));
  EXPECT_TRUE(checked([](auto& set) { set.z_min = 400, set.z_max = 401; }));
}

}  // namespace
}  // namespace millrace
