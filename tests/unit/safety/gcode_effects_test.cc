// SPDX-License-Identifier: Apache-2.0
#include "safety/gcode_effects.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

GcodeEffects read(std::string_view text, const std::vector<std::string>& macros = {}) {
  auto effects = gcode_effects(text, macros);
  EXPECT_TRUE(effects) << text;
  return effects ? *effects : GcodeEffects();
}

// "3 heat extruder 200", one for each effect; coordinates as written.
std::vector<std::string> told(const GcodeEffects& effects) {
  std::vector<std::string> lines;
  for (const GcodeEffect& effect : effects.effects) {
    std::string line = fmt::format("{} {}", effect.line, name_of(effect.kind));
    if (!effect.subject.empty()) line += " " + effect.subject;
    if (effect.value) line += fmt::format(" {}", *effect.value);
    for (size_t axis = 0; axis < 3; ++axis) {
      if (effect.axes[axis]) line += fmt::format(" {}{}", "xyz"[axis], *effect.axes[axis]);
      if (effect.centre[axis]) line += fmt::format(" {}{}", "ijk"[axis], *effect.centre[axis]);
    }
    if (effect.e) line += fmt::format(" e{}", *effect.e);
    if (effect.feedrate) line += fmt::format(" f{}", *effect.feedrate);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> told(std::string_view text) {
  const auto effects = read(text);
  EXPECT_THAT(effects.unjudged.size() + effects.unreadable.size(), 0u) << text;
  return told(effects);
}

TEST(GcodeEffectsTest, KnownCommandsAreRead) {
  EXPECT_THAT(told("M104 S200"), ElementsAre("1 heat 200"));
  EXPECT_THAT(told("M109 T1 S200.5"), ElementsAre("1 heat extruder1 200.5"));
  EXPECT_THAT(told("M104 T0"), ElementsAre("1 heat extruder 0"));
  EXPECT_THAT(told("M140 S60\nM190 S61"), ElementsAre("1 heat heater_bed 60", "2 heat heater_bed 61"));
  EXPECT_THAT(told("M141 S40\nM191 S41"), ElementsAre("1 heat_chamber 40", "2 heat_chamber 41"));
  EXPECT_THAT(told("SET_HEATER_TEMPERATURE HEATER=dryer TARGET=1e1"), ElementsAre("1 heat dryer 10"));
  EXPECT_THAT(told("TURN_OFF_HEATERS"), ElementsAre("1 heaters_off"));
  EXPECT_THAT(told("M106 S51\nM107\nM106"), ElementsAre("1 fan fan 0.2", "2 fan fan 0", "3 fan fan 1"));
  EXPECT_THAT(told("SET_FAN_SPEED FAN=\"ex haust\" SPEED=.5"), ElementsAre("1 fan ex haust 0.5"));
  EXPECT_THAT(told("SET_PIN PIN='a' VALUE=0.25"), ElementsAre("1 pin a 0.25"));
  EXPECT_THAT(told("SET_LED LED=strip RED=0.1 BLUE=0.7"), ElementsAre("1 light strip 0.7"));
  EXPECT_THAT(told("G0 X1 Y-2 Z.5 E1 F3000"), ElementsAre("1 move x1 y-2 z0.5 e1 f3000"));
  EXPECT_THAT(told("G3 X1 Y2 I3 J4"), ElementsAre("1 arc x1 i3 y2 j4"));
  EXPECT_THAT(told("G28\nG28 X Y0"), ElementsAre("1 home", "2 home x0 y0"));
  EXPECT_THAT(told("G29\nQUAD_GANTRY_LEVEL\nBED_MESH_CALIBRATE PROFILE=a"),
              ElementsAre("1 probe", "2 probe", "3 probe"));
  EXPECT_THAT(told("G90\nG91\nM82\nM83"),
              ElementsAre("1 absolute", "2 relative", "3 extruder_absolute", "4 extruder_relative"));
  EXPECT_THAT(told("G92 E0\nG92 X5\nG92"),
              ElementsAre("1 set_position e0", "2 set_position x5", "3 set_position x0 y0 z0"));
  EXPECT_THAT(told("SET_GCODE_OFFSET Z_ADJUST=-.1 X=2"), ElementsAre("1 offset X x2", "1 offset Z -0.1"));
  EXPECT_THAT(told("MANUAL_STEPPER STEPPER=feeder SPEED=5 MOVE=10"), ElementsAre("1 manual_stepper feeder 5"));
  EXPECT_THAT(told("FORCE_MOVE STEPPER=a DISTANCE=1\nSET_KINEMATIC_POSITION X=0"),
              ElementsAre("1 forced_motion", "2 forced_motion"));
  EXPECT_THAT(told("SET_VELOCITY_LIMIT VELOCITY=300 ACCEL=2000\nM204 S500"),
              ElementsAre("1 velocity_limit 300", "1 acceleration_limit 2000", "2 acceleration_limit 500"));
  EXPECT_THAT(told("M220 S150\nM221 S90"), ElementsAre("1 speed_factor 1.5", "2 flow_factor 0.9"));
  EXPECT_THAT(told("M112\nRESTART\nFIRMWARE_RESTART\nSAVE_CONFIG\nRUN_SHELL_COMMAND CMD=x"),
              ElementsAre("1 emergency_stop", "2 restart", "3 restart", "4 save_config", "5 shell"));
  EXPECT_THAT(told("SDCARD_PRINT_FILE FILENAME=\"/a b.gcode\"\nM24\nPAUSE\nRESUME\nCANCEL_PRINT"),
              ElementsAre("1 print_start a b.gcode", "2 print_start", "3 pause", "4 resume", "5 cancel"));
  EXPECT_THAT(told("EXCLUDE_OBJECT NAME=HOOK"), ElementsAre("1 exclude_object HOOK"));
  EXPECT_THAT(told("G10\nM84\nACTIVATE_EXTRUDER EXTRUDER=extruder1"),
              ElementsAre("1 retract", "2 motors_off", "3 activate_extruder extruder1"));
  EXPECT_THAT(told("M105\nM400\nG4 P100\nM117 G1 X5\nM118 M112\nRESPOND MSG=\"M112\"\nSTATUS"), IsEmpty());
}

TEST(GcodeEffectsTest, WhatSurroundsACommandDoesNotHideIt) {
  const auto hot = ElementsAre("1 heat 200");
  EXPECT_THAT(told("m104 s200"), hot);
  EXPECT_THAT(told("M104S200"), hot);
  EXPECT_THAT(told("  \tM104\tS200  "), hot);
  EXPECT_THAT(told("M104 S200\r\n"), hot);
  EXPECT_THAT(told("M104 S200 ; to M104 S0 ü"), hot);
  EXPECT_THAT(told("M104 S200;"), hot);
  EXPECT_THAT(told("N10 M104 S200*36"), hot);
  EXPECT_THAT(told("N10M104S200 *36"), hot);
  EXPECT_THAT(told("n 10 m104 s200"), hot);
  EXPECT_THAT(told("M104 S+200.0"), hot);
  EXPECT_THAT(told("N5 SET_PIN PIN=a VALUE=1*99"), ElementsAre("1 pin a 1"));
  EXPECT_THAT(told("set_pin pin=a value=1 # comment"), ElementsAre("1 pin a 1"));
  EXPECT_THAT(told("G1 X1E5"), ElementsAre("1 move x1 e5"));  // no exponent: an extruder
}

TEST(GcodeEffectsTest, EmptyLinesAndCommentsDoNothing) {
  EXPECT_THAT(told(""), IsEmpty());
  EXPECT_THAT(told("\n\r\n ; M112\n;\n\t\nN10\nN10 ; x"), IsEmpty());
}

TEST(GcodeEffectsTest, EveryLineCounts) {
  EXPECT_THAT(told("G28\n\nM104 S1\r\nM104 S2"), ElementsAre("1 home", "3 heat 1", "4 heat 2"));
}

// What Klipper would refuse, or what one of its versions reads otherwise than the other.
TEST(GcodeEffectsTest, WhatCannotBeReadInOneWayOnlyIsUnreadable) {
  for (const std::string_view text : {"G1 X10 G1 X500",
                                      "G1 X10 X20",
                                      "G1 X",
                                      "G1 Xnan",
                                      "G1 X1_0",
                                      "G1 X--5",
                                      "G1 X1 0",
                                      "G1 X10 (comment)",
                                      "(comment)",
                                      "(G1 X5)",
                                      "N10 (G1 X500",
                                      "N G1 X5",

                                      "G1 5",
                                      "G 1 X500",
                                      "G\t1X500",
                                      "M 104 S999",
                                      "m 112",
                                      "N5 M 104 S999",
                                      "PROBE PROBE_SPEED=fast",
                                      "G1.5",
                                      "G1 XY5",
                                      "G28 XY",
                                      "G1 X0x10",
                                      "G1 X10\rG1 X500",
                                      "G1 X1\v",
                                      "G1\x7fX1",
                                      "\xef\xbb\xbfG28",
                                      "G1 X\xd9\xa5",
                                      "\xc5\xbf"
                                      "ET_PIN PIN=a VALUE=1",
                                      "G1 X5 \xc3\xbc",
                                      "G1 X1\xe2\x80\xa8",
                                      "M104 Sinf",

                                      "M104 T-1 S5",
                                      "M104 T1.5 S5",
                                      "SET_PIN PIN=a VALUE=nan",
                                      "SET_PIN PIN=a VALUE=inf",
                                      "SET_PIN PIN=a VALUE=1_0",
                                      "SET_PIN PIN=a VALUE=0x1",
                                      "SET_PIN PIN=a",
                                      "SET_PIN VALUE=1",
                                      "SET_PIN PIN=a VALUE=1 VALUE=0",
                                      "SET_PIN PIN=a pin=b VALUE=1",
                                      "SET_PIN PIN=a VALUE",
                                      "SET_PIN PIN=\"a VALUE=1",
                                      "SET_PIN PIN=\"a;b\" VALUE=1",
                                      "SET_PIN PIN=\"a#b\" VALUE=1",
                                      "SET_PIN PIN=a\\ b VALUE=1",
                                      "SET_PIN PIN=a*5 VALUE=1",
                                      "SET_PIN = PIN=a VALUE=1",
                                      "SET_PIN PIN= VALUE=1",
                                      "G2 X1 Y1 R5",
                                      "G2 X1 Y1",
                                      "G18",
                                      "G19",
                                      "G20",
                                      "G2 X1 I1 K1",
                                      "*55",
                                      "%",
                                      "{G1 X5}",
                                      "\"G1\" X5",
                                      "SDCARD_PRINT_FILE",
                                      "SDCARD_PRINT_FILE FILENAME=../a",
                                      "M204",
                                      "SET_GCODE_OFFSET Z=1 Z_ADJUST=1"}) {
    const auto effects = read(text);
    EXPECT_EQ(effects.unreadable.size(), 1u) << text;
    EXPECT_THAT(told(effects), IsEmpty()) << text;
    for (const GcodeLine& line : effects.unreadable) EXPECT_FALSE(line.why.empty()) << text;
  }
}

TEST(GcodeEffectsTest, WhatIsNotKnownCannotBeJudged) {
  for (const std::string_view text :
       {"PRINT_START BED=60", "T0", "T1", "M600", "G01 X5", "M0104 S999", "SET_PIN TEMPLATE=a PIN=b",
        "UPDATE_DELAYED_GCODE ID=a DURATION=1", "RESTORE_GCODE_STATE NAME=a MOVE=1", "SET_GCODE_VARIABLE MACRO=a",
        "_INTERNAL", "ZZZ {printer.x}", "M1040 S500"}) {
    const auto effects = read(text);
    EXPECT_EQ(effects.unjudged.size(), 1u) << text;
    EXPECT_THAT(effects.unreadable, IsEmpty()) << text;
    EXPECT_THAT(told(effects), IsEmpty()) << text;
  }
}

TEST(GcodeEffectsTest, NothingThatIsAddedToALineTakesItsEffectAway) {
  for (const std::string_view text : {"M104 S999 Q5", "M104 S999 E1", "m104 p1s999"}) {
    const auto effects = read(text);
    EXPECT_THAT(told(effects), ElementsAre("1 heat 999")) << text;
    EXPECT_EQ(effects.unjudged.size(), 1u) << text;
  }
  EXPECT_THAT(told(read("G28 W")), ElementsAre("1 home"));
  EXPECT_EQ(read("SET_PIN PIN=a VALUE=nan FOO=1").unreadable.size(), 1u);
}

TEST(GcodeEffectsTest, HowFastItMayBeIsReadWhereverItIsSaid) {
  EXPECT_THAT(told("RESUME VELOCITY=900"), ElementsAre("1 resume", "1 velocity_limit 900"));
  EXPECT_THAT(told("BED_MESH_CALIBRATE METHOD=scan PROBE_SPEED=5 LIFT_SPEED=900 MESH_MIN=1,2"),
              ElementsAre("1 probe", "1 velocity_limit 5", "1 velocity_limit 900"));
  const auto restored = read("RESTORE_GCODE_STATE NAME=a MOVE=1 MOVE_SPEED=900");
  EXPECT_THAT(told(restored), ElementsAre("1 velocity_limit 900"));
  EXPECT_EQ(restored.unjudged.size(), 1u);
}

TEST(GcodeEffectsTest, WhatGoesPastTheBoundsOrRunsOtherCommandsIsKnown) {
  EXPECT_THAT(
      told("SET_SKEW XY=1,2,3\nSET_STEPPER_ENABLE STEPPER=stepper_x ENABLE=0\nSTEPPER_BUZZ STEPPER=stepper_x\n"
           "TEST_RESONANCES AXIS=X\nSHAPER_CALIBRATE"),
      ElementsAre("1 forced_motion", "2 forced_motion", "3 forced_motion", "4 forced_motion", "5 forced_motion"));
  EXPECT_THAT(told("TUNING_TOWER COMMAND=\"SET_HEATER_TEMPERATURE HEATER=extruder\" PARAMETER=TARGET START=300"),
              ElementsAre("1 shell"));
}

TEST(GcodeEffectsTest, CommandThatAMacroReplacesHasItsEffectAndCannotBeJudged) {
  const auto effects = read("M109 S200\nM117 hi\nG28 FOO=1", {"M109", "M117", "G28"});
  EXPECT_THAT(told(effects), ElementsAre("1 heat 200"));
  EXPECT_EQ(effects.unjudged.size(), 3u);
  EXPECT_THAT(effects.unreadable, IsEmpty());
}

TEST(GcodeEffectsTest, TextOfLinesIsShownPrintable) {
  const auto effects = read("G1\x01 X5\nG28 \xe2\x80\xae");
  ASSERT_EQ(effects.unreadable.size(), 2u);
  EXPECT_EQ(effects.unreadable[0].text, "G1<U+0001> X5");
  EXPECT_EQ(effects.unreadable[1].text, "G28 <U+202E>");
}

TEST(GcodeEffectsTest, NulIsNoEndOfTheText) {
  const auto effects = read(std::string_view("M105\0\nM112", 10));
  EXPECT_EQ(effects.unreadable.size(), 1u);
  EXPECT_THAT(told(effects), ElementsAre("2 emergency_stop"));
}

TEST(GcodeEffectsTest, BoundsAreKept) {
  EXPECT_TRUE(gcode_effects(std::string(kMaxGcodeBytes, ' ')));
  EXPECT_EQ(gcode_effects(std::string(kMaxGcodeBytes + 1, ' ')).error().code, Errc::kTooLarge);
  EXPECT_TRUE(gcode_effects(std::string(kMaxGcodeLines - 1, '\n')));
  EXPECT_EQ(gcode_effects(std::string(kMaxGcodeLines, '\n')).error().code, Errc::kTooLarge);
  EXPECT_EQ(gcode_effects("M117 \xc0\xaf").error().code, Errc::kMalformed);
}

}  // namespace
}  // namespace millrace
