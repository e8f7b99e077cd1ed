// SPDX-License-Identifier: Apache-2.0
#include "bus/machine_connection.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

MachineConnection voron() {
  MachineConnection connection;
  connection.id = "voron-2";
  connection.name = "Voron \"2\"";
  connection.managed_by = "api";
  connection.enabled = false;
  connection.moonraker_url = "https://voron.lan:7130";
  connection.authentication = "api_key";
  connection.tls_ca = "shop-ca.pem";
  connection.version = 0xffff'ffff'ffff'fff0;
  connection.emergency_latch = 0xffff'ffff'ffff'ff00;
  connection.equipment = {.nozzle_diameter = 0.6, .loaded_materials = {"PETG", std::nullopt}};
  return connection;
}

TEST(MachineConnectionTest, WhatIsSaidIsUnderstood) {
  const auto decoded = decode_machine_connection("voron-2", encode(voron()));
  ASSERT_TRUE(decoded) << decoded.error().message();
  EXPECT_EQ(*decoded, voron());
}

TEST(MachineConnectionTest, AHubBeforeEmergencyLatchesSaysNothingOfThem) {
  std::string older = encode(voron());
  const std::string latch = R"("emergency_latch":"18446744073709551360",)";
  older.erase(older.find(latch), latch.size());
  EXPECT_EQ(decode_machine_connection("voron-2", older).value().emergency_latch, 0u);
  older = encode(voron());
  older.replace(older.find("18446744073709551360"), 20, "soon");
  EXPECT_FALSE(decode_machine_connection("voron-2", older));
}

TEST(MachineEquipmentTest, LoadedMaterialsAreUnderstoodInTheFormsInWhichPeopleGiveThem) {
  const auto materials = read_loaded_materials(std::string_view(R"(["PLA",{"material":"ABS"},{"m":"TPU"},7,null,""])"));
  EXPECT_EQ(materials, (std::vector<std::optional<std::string>>{"PLA", "ABS", "TPU", {}, {}, {}}));
  for (const char* text : {"", "no", R"({"a":1})"}) EXPECT_TRUE(read_loaded_materials(std::string_view(text)).empty());
  std::string many = "[\"PLA\"";
  for (int i = 0; i < 100; ++i) many += ",\"PLA\"";
  EXPECT_EQ(read_loaded_materials(std::string_view(many + "]")).size(), 32u);
}

TEST(MachineConnectionTest, NonsenseIsRefusedWithItsReason) {
  const std::string good = encode(voron());
  for (const auto& [id, payload] :
       std::vector<std::pair<std::string, std::string>>{{"Voron", good},
                                                        {"hub", good},
                                                        {"voron-2", ""},
                                                        {"voron-2", "{}"},
                                                        {"voron-2", R"({"version":"x","connection":{}})"},
                                                        {"voron-2", R"({"version":"1","connection":{"name":"a"}})"},
                                                        {"voron-2", good.substr(0, good.size() / 2)}}) {
    const auto decoded = decode_machine_connection(id, payload);
    ASSERT_FALSE(decoded) << payload;
    EXPECT_EQ(decoded.error().code, Errc::kMalformed);
    EXPECT_FALSE(decoded.error().context.empty());
  }
}

TEST(MachineConnectionTest, ListsAreUnderstoodOrRefusedWhole) {
  const std::vector<std::string> ids = {"a", "b-2"};
  EXPECT_EQ(decode_machine_list(encode_machine_list(ids)).value(), ids);
  EXPECT_EQ(decode_machine_list(encode_machine_list({})).value(), std::vector<std::string>{});
  EXPECT_FALSE(decode_machine_list(R"({"machines":["a","NO"]})"));
  EXPECT_FALSE(decode_machine_list(R"({"machines":"a"})"));
}

TEST(MachineSafety, ComesBackAsItWasAndWhatIsWrongIsRefused) {
  MachineSafety safety;
  safety.limits.x_max = 250.5;
  safety.limits.require_plate_cleared = false;
  safety.limits_version = 0xffff'ffff'ffff'fff0;
  safety.rules.emplace_back();
  safety.rules.back().rule = "temperature_drift";
  safety.rules.back().level = schema::AlarmLevel::critical;
  safety.rules.back().action = schema::AlarmAction::pause;
  safety.rules.back().for_s = 10;
  const auto text = [](const MachineSafety& of) {
    JsonWriter json;
    write_machine_safety(json, of);
    return json.take();
  };
  JsonReader reader;
  const auto back = read_machine_safety(reader.parse(text(safety)).value());
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, safety);
  EXPECT_FALSE(back->rules.at(0).threshold.has_value());
  for (const char* wrong : {R"({"limits":{"x_max":"wide"}})", R"({"limits":{"pwm_max":1.5}})",
                            R"({"limits_version":"x"})", R"({"rules":5})", R"({"rules":[{"rule":"a"}]})",
                            R"({"rules":[{"rule":"a","enabled":true,"level":"loud","action":"notify"}]})"}) {
    EXPECT_EQ(read_machine_safety(reader.parse(wrong).value()).error().code, Errc::kMalformed) << wrong;
  }
  EXPECT_EQ(read_machine_safety(reader.parse("{}").value()).value(), MachineSafety{});
}

}  // namespace
}  // namespace millrace
