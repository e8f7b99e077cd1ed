// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "tests/unit/gcode/gcode_fixture.h"

namespace millrace {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using testing::metadata_of;
using ::testing::Optional;

const std::string kCura = R"(;FLAVOR:Marlin
;TIME:451
;Filament used: 0.27387m, 0.1m
;Layer height: 0.2
;MINZ:0.3
;MAXZ:5.2
;Generated with Cura_SteamEngine 5.6.0
M140 S60
M104 S205
M190 S60
M109 S205
;LAYER_COUNT:3
;LAYER:0
;MESH:cube.stl
G1 Z0.3 E1
;MESH:NONMESH
;LAYER:1
M104 S200
M140 S55
;MESH:cube.stl(1)
;LAYER:2
;TIME_ELAPSED:450.5
M104 S0
;End of Gcode
;SETTING_3 {"global_quality": "[general]\\nversion = 4\\nname = Fine\\n\\n[metadat
;SETTING_3 a]\\nquality_type = fast\\n\\n[values]\\nadhesion_type = skirt\\nmachine_start_gcode = G28
;SETTING_3 \\n\\tG1 Z5\\nsupport_enable = True\\nsupport_structure = tree\\n\\n", "extruder_quality": ["[meta
;SETTING_3 data]\\ntype = quality_changes\\n\\n[values]\\ninfill_pattern = cubic\\ninfill_sparse_density = 45\\nspeed_wall_0 = 60\\n
;SETTING_3 \\n", "[metadata]\\ntype = quality_changes\\n\\n[values]\\ninfill_pattern = grid\\n\\n"]}
)";

TEST(Cura, SaysWhatItSays) {
  const auto data = metadata_of(kCura);
  EXPECT_EQ(data.slicer_name, "Cura");
  EXPECT_EQ(data.slicer_version, "5.6.0");
  EXPECT_EQ(data.estimated_time_s, 451);
  EXPECT_EQ(data.layer_count, 3);
  EXPECT_EQ(data.layer_height, 0.2);
  EXPECT_EQ(data.first_layer_height, 0.3);
  EXPECT_EQ(data.object_height, 5.2);
  EXPECT_THAT(data.total_filament_used_mm, Optional(DoubleNear(373.87, 1e-9)));
  EXPECT_EQ(data.extruders.at(1).used_mm, 100);
  EXPECT_THAT(data.objects, Optional(ElementsAre("cube.stl", "cube.stl(1)")));
}

TEST(Cura, SettingsThatWereChangedAreReadFromTheEnd) {
  const auto data = metadata_of(kCura);
  EXPECT_EQ(data.infill_percentage, 45);
  EXPECT_EQ(data.infill_pattern, "cubic");
  EXPECT_EQ(data.support_enabled, true);
  EXPECT_EQ(data.support_type, "tree");
  EXPECT_EQ(data.print_speed, 60);
  EXPECT_EQ(data.settings.at("extruder_1.infill_pattern"), "grid");
  EXPECT_EQ(data.settings.at("general.name"), "Fine");
  EXPECT_EQ(data.settings.at("machine_start_gcode"), "G28\nG1 Z5");
  EXPECT_TRUE(data.warnings.empty());
}

TEST(Cura, TemperaturesAreThoseThatTheCommandsAskFor) {
  const auto data = metadata_of(kCura);
  EXPECT_EQ(data.first_layer_nozzle_temp, 205);
  EXPECT_EQ(data.nozzle_temp, 200);
  EXPECT_EQ(data.bed_temp, 55);
  EXPECT_EQ(data.chamber_temp, std::nullopt);
}

TEST(Cura, PlaceholdersAreNoFigures) {
  const auto data = metadata_of(
      ";FLAVOR:Marlin\n;TIME:6666\n;Filament used: 0m\n;MINZ:2.14748e+06\n;MAXZ:-2.14748e+06\n"
      ";Generated with Cura_SteamEngine main\n;LAYER_COUNT:1\n;LAYER:0\nG1 Z0.2\nG1 X1 E1\n;TIME_ELAPSED:12.5\n");
  EXPECT_EQ(data.estimated_time_s, 12.5);
  EXPECT_EQ(data.total_filament_used_mm, std::nullopt);
  EXPECT_EQ(data.first_layer_height, std::nullopt);
  EXPECT_EQ(data.object_height, 0.2);
}

TEST(Cura, PartsOneAfterTheOtherHaveTheirLayersAdded) {
  const auto data = metadata_of(
      ";Generated with Cura_SteamEngine 5.6.0\n;LAYER_COUNT:2\n;LAYER:0\nG1 X1\n;LAYER:1\nG1 X1\n"
      ";LAYER_COUNT:1\n;LAYER:0\nG1 X1\n");
  EXPECT_EQ(data.layer_count, 3);
}

TEST(Cura, GriffinHeadersAreRead) {
  const auto data = metadata_of(
      ";START_OF_HEADER\n;FLAVOR:Griffin\n;GENERATOR.NAME:Cura_SteamEngine\n;GENERATOR.VERSION:5.2.1\n"
      ";EXTRUDER_TRAIN.0.INITIAL_TEMPERATURE:215\n;EXTRUDER_TRAIN.0.MATERIAL.VOLUME_USED:3546\n"
      ";BUILD_VOLUME.TEMPERATURE:28\n;PRINT.TIME:3600\n;PRINT.SIZE.MAX.Z:20.1\n;END_OF_HEADER\nG28\n");
  EXPECT_EQ(data.slicer_version, "5.2.1");
  EXPECT_EQ(data.estimated_time_s, 3600);
  EXPECT_EQ(data.first_layer_nozzle_temp, 215);
  EXPECT_EQ(data.chamber_temp, 28);
  EXPECT_EQ(data.object_height, 20.1);
  ASSERT_EQ(data.extruders.size(), 1u);
  EXPECT_EQ(data.extruders[0].used_cm3, 3.546);
  EXPECT_EQ(data.extruders[0].used_mm, std::nullopt) << "the diameter is not written";
}

TEST(Cura, VersionsUpTo15WriteSentences) {
  const auto data = metadata_of(
      ";Sliced at: Mon 01-02-2016\n;Basic settings: Layer height: 0.25 Walls: 0.8 Fill: 20\n"
      ";Print time: 1 hour 5 minutes\n;Filament used: 1.5m 4.0g\n;Layer count: 125\n"
      ";Generated with Cura_SteamEngine 15.04.6\nG28\n");
  EXPECT_EQ(data.estimated_time_s, 3900);
  EXPECT_EQ(data.layer_height, 0.25);
  EXPECT_EQ(data.infill_percentage, 20);
  EXPECT_EQ(data.layer_count, 125);
  EXPECT_EQ(data.total_filament_used_mm, 1500);
}

TEST(Cura, FiguresOfPeoplesOwnStartGcodeAreRead) {
  const auto data = metadata_of(
      ";Filament used: 1m, 2m\n;Generated with Cura_SteamEngine 5.2.1\n;Filament type = [PLA, PETG]\n"
      ";Filament weight = [3.0, 6.5]\n;Filament cost = [0.1, 0.2]\nG28\n");
  EXPECT_EQ(data.extruders.at(1).filament_type, "PETG");
  EXPECT_EQ(data.total_filament_used_g, 9.5);
}

TEST(Cura, TemperaturesAreOfTheFirstExtruderThatIsUsed) {
  const auto data = metadata_of(
      ";Filament used: 0m, 1m\n;Generated with Cura_SteamEngine 5.2.1\nG28\n"
      R"(;SETTING_3 {"extruder_quality": ["[values]\\nmaterial_print_temperature = 200\\n", )"
      R"("[values]\\nmaterial_print_temperature = 240\\n"]})"
      "\n");
  EXPECT_EQ(data.nozzle_temp, 240);
}

TEST(Cura, BrokenSettingsAreNamed) {
  const auto data = metadata_of(";Generated with Cura_SteamEngine 5.2.1\nG28\n;SETTING_3 {\"global_quality\": \n");
  ASSERT_EQ(data.warnings.size(), 1u);
  EXPECT_THAT(data.warnings[0], ::testing::HasSubstr("Cura's settings are left out"));
}

const std::string kSimplify3d = R"(; G-Code generated by Simplify3D(R) Version 4.1.2
; May 10, 2019 at 1:20:46 PM
; Settings Summary
;   processName,one,two
;   applyToModels,Cube
;   printMaterial,ABS,ABS
;   printExtruders,Extruder 1 Only,Extruder 1 Only
;   extruderName,Extruder 1,Extruder 2
;   primaryExtruder,0
;   layerHeight,0.24,0.24
;   infillPercentage,20,20
;   internalInfillPattern,Rectilinear,Grid
;   generateSupport,1
;   firstLayerHeightPercentage,200
;   temperatureName,Extruder 1,Extruder 2,Heated Bed
;   temperatureNumber,0,1,0
;   temperatureSetpointCount,2,1,1
;   temperatureSetpointLayers,1,2,1,1
;   temperatureSetpointTemperatures,220,210,0,65
;   temperatureHeatedBed,0,0,1
;   startingGcode,G28,G1 Z5
;   defaultSpeed,3000
;   outlineUnderspeed,0.75
;   printerModelsOverride
G90
; process one
; layer 1, Z = 0.480
G1 X1 E1
; process two
; layer 1, Z = 0.480
; layer 2, Z = 0.720
; Build Summary
;   Build time: 1 hour 31 minutes
;   Filament length: 4375.5 mm (4.38 m)
;   Plastic volume: 10524.38 mm^3 (10.52 cc)
;   Plastic weight: 13.16 g (0.03 lb)
;   Material cost: 0.39
)";

TEST(Simplify3d, SaysWhatItSays) {
  const auto data = metadata_of(kSimplify3d);
  EXPECT_EQ(data.slicer_version, "4.1.2");
  EXPECT_EQ(data.estimated_time_s, 5460);
  EXPECT_EQ(data.layer_height, 0.24);
  EXPECT_EQ(data.first_layer_height, 0.48);
  EXPECT_EQ(data.layer_count, 2) << "processes share a layer";
  EXPECT_EQ(data.object_height, 0.72);
  EXPECT_EQ(data.infill_percentage, 20);
  EXPECT_EQ(data.infill_pattern, "Rectilinear");
  EXPECT_EQ(data.support_enabled, true);
  EXPECT_EQ(data.print_speed, 37.5);
  EXPECT_EQ(data.settings.at("startingGcode"), "G28,G1 Z5");
  EXPECT_EQ(data.settings.at("printerModelsOverride"), "");
}

TEST(Simplify3d, SetPointsFollowOneAnother) {
  const auto data = metadata_of(kSimplify3d);
  EXPECT_EQ(data.first_layer_nozzle_temp, 220);
  EXPECT_EQ(data.nozzle_temp, 210);
  EXPECT_EQ(data.bed_temp, 65);
}

TEST(Simplify3d, UsageIsOfTheOnlyExtruderThatPrints) {
  const auto data = metadata_of(kSimplify3d);
  ASSERT_EQ(data.extruders.size(), 2u);
  EXPECT_EQ(data.extruders[0].filament_type, "ABS");
  EXPECT_EQ(data.extruders[0].used_mm, 4375.5);
  EXPECT_EQ(data.total_filament_used_g, 13.16);
  EXPECT_EQ(data.total_filament_cost, 0.39);
}

TEST(Simplify3d, Version5RepeatsTheKeysOfItsHeaters) {
  const auto data = metadata_of(
      "; G-Code generated by Simplify3D(R) Version 5.1.2\n; Settings Summary\n;   layerHeight,0.2\n"
      ";   temperatureController,Primary Extruder\n;   temperatureType,extruder\n;   temperatureSetpoints,1|215,2|205\n"
      ";   temperatureController,Heated Bed\n;   temperatureType,platform\n;   temperatureSetpoints,1|60\n"
      "G28\n; Build Summary\n;   Build Time: 0 hours 26 minutes\n;   Material Length: 100.5 mm (0.10 m)\n"
      ";   Material Weight: 0.3 g (0.00 lb)\n");
  EXPECT_EQ(data.first_layer_nozzle_temp, 215);
  EXPECT_EQ(data.nozzle_temp, 205);
  EXPECT_EQ(data.bed_temp, 60);
  EXPECT_EQ(data.estimated_time_s, 1560);
  EXPECT_EQ(data.total_filament_used_mm, 100.5);
  EXPECT_EQ(data.settings.at("temperatureType#2"), "platform");
}

TEST(Simplify3d, KeysThatRepeatWithoutEndAreCounted) {
  std::string text = "; G-Code generated by Simplify3D(R) Version 5.1.2\n; Settings Summary\n";
  for (int i = 0; i < 2000; ++i) text += ";   key,1\n";
  const auto data = metadata_of(text);
  EXPECT_EQ(data.settings.size(), 16u);
  EXPECT_THAT(data.warnings, ElementsAre(::testing::HasSubstr("1984 settings are left out")));
}

TEST(IdeaMaker, SaysWhatItSays) {
  const auto data = metadata_of(
      ";Sliced by ideaMaker 5.0.6.8380, 2026-09-03 09:54:14 UTC-0700\n;Filament Diameter #1: 1.750\n"
      ";Filament Diameter #2: 1.750\n;Filament Type #1: PLA\n;Filament Density #1: 1240.00\n"
      ";Bounding Box: 76.5 123.5 94.9 110.0 0.000 9.320\nM190 S60.00\nM109 T0 S215.00\nT0\n;REMAINING_TIME: 744\n"
      ";LAYER:-1\n;Z:1.0\n;HEIGHT:0.380\n;PRINTING: NON-OBJECT\nG1 X1 E1\n;LAYER:0\n;HEIGHT:0.300\n;PRINTING: a.3mf\n"
      ";LAYER:1\n;HEIGHT:0.150\n;LAYER:2\n;HEIGHT:0.150\n;REMAINING_TIME: 0\n;Print Time: 745\n;Material#1 Used: "
      "422.7\n"
      ";Material#2 Used: 0.0\n;Material#1 Cost: 0.04\n;Material#2 Cost: 0.00\n");
  EXPECT_EQ(data.slicer_name, "ideaMaker");
  EXPECT_EQ(data.slicer_version, "5.0.6.8380");
  EXPECT_EQ(data.estimated_time_s, 745);
  EXPECT_EQ(data.layer_count, 3) << "rafts are no layers of the object";
  EXPECT_EQ(data.first_layer_height, 0.3);
  EXPECT_EQ(data.layer_height, 0.15);
  EXPECT_EQ(data.object_height, 9.32);
  EXPECT_EQ(data.nozzle_temp, 215);
  EXPECT_EQ(data.bed_temp, 60);
  ASSERT_EQ(data.extruders.size(), 2u);
  EXPECT_EQ(data.extruders[0].filament_type, "PLA");
  EXPECT_THAT(data.extruders[0].used_g, Optional(DoubleNear(1.2607, 1e-4)));
  EXPECT_EQ(data.total_filament_cost, 0.04);
  EXPECT_THAT(data.objects, Optional(ElementsAre("a.3mf")));
}

const std::string kKiss = R"(; KISSlicer - FREE
; Windows
; version 2 a 2.0.6 Win64
; *** Printer Settings ***
;
; profile_date = 2021-09-03
; g_code_prefix = 3B205B6D6D5D
; ^   6D6F6465
; > Decoded
; >   ; [mm] mode
; every_N_layers = 0
;
; *** Material Settings for Extruder 1 ***
;
; profile_date = 2022-01-01
; temperature_C = 195
; first_layer_C = 200
; bed_C = 43
; *** Material Settings for Extruder 2 ***
; temperature_C = 240
; *** Style Settings ***
; layer_thickness_mm = -33
; max_layer_thickness_mm = -67
; infill_density_denominator = 4
; support_density = 0
; Perimeter Speed = 15.00
G21
; head speed 10.000000, filament speed 2
; Dwell time remaining = 3
; BEGIN_LAYER_OBJECT z=0.200 z_thickness=0.200
G1 X1 E1
; END_LAYER_OBJECT z=0.200
; BEGIN_LAYER_OBJECT z=0.340 z_thickness=0.140
; BEGIN_LAYER_OBJECT z=0.480 z_thickness=0.140
; Calculated-during-export Build Time: 10.16 minutes
; Estimated-in-GUI Build Time:         10.18 minutes
; Estimated-in-GUI Build Cost:         $0.03
; Filament used per extruder:
;    Ext #1  =   305.09 mm  (0.734 cm^3)
;    Ext #2  =     1.00 mm  (0.002 cm^3)
)";

TEST(KissSlicer, SaysWhatItSays) {
  const auto data = metadata_of(kKiss);
  EXPECT_EQ(data.slicer_name, "KISSlicer");
  EXPECT_EQ(data.slicer_version, "2.0.6");
  EXPECT_THAT(data.estimated_time_s, Optional(DoubleNear(609.6, 1e-6)));
  EXPECT_EQ(data.nozzle_temp, 195);
  EXPECT_EQ(data.first_layer_nozzle_temp, 200);
  EXPECT_EQ(data.bed_temp, 43);
  EXPECT_EQ(data.infill_percentage, 25);
  EXPECT_EQ(data.support_enabled, false);
  EXPECT_EQ(data.print_speed, 15);
  EXPECT_EQ(data.total_filament_cost, 0.03);
  ASSERT_EQ(data.extruders.size(), 2u);
  EXPECT_EQ(data.extruders[0].used_cm3, 0.734);
  EXPECT_EQ(data.total_filament_used_mm, 306.09);
}

TEST(KissSlicer, LayersTellTheirHeightWhereTheSettingIsAShare) {
  const auto data = metadata_of(kKiss);
  EXPECT_EQ(data.layer_count, 3);
  EXPECT_EQ(data.first_layer_height, 0.2);
  EXPECT_EQ(data.layer_height, 0.14);
  EXPECT_EQ(data.object_height, 0.48);
}

TEST(KissSlicer, LongValuesGoOnAndRepeatedKeysNameTheirSection) {
  const auto data = metadata_of(kKiss);
  EXPECT_EQ(data.settings.at("g_code_prefix"), "3B205B6D6D5D6D6F6465");
  EXPECT_EQ(data.settings.at("profile_date"), "2021-09-03");
  EXPECT_EQ(data.settings.at("material_1.profile_date"), "2022-01-01");
  EXPECT_EQ(data.settings.at("material_2.temperature_C"), "240");
  EXPECT_EQ(data.settings.count("Dwell time remaining"), 0u);
}

TEST(UnknownSlicer, CommandsTellWhatTheyDo) {
  const auto data = metadata_of("N1 M109 S200*12\nN2 G1 Z0.2*33\n;LAYER:0\nN3 G1 X1 E1*7\n");
  EXPECT_EQ(data.slicer_name, std::nullopt);
  EXPECT_EQ(data.first_layer_nozzle_temp, 200);
  EXPECT_EQ(data.layer_count, 1);
}

}  // namespace
}  // namespace millrace
