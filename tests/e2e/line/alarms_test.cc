// SPDX-License-Identifier: Apache-2.0
// A running shop: what goes wrong at a machine becomes an alarm, limits and rules reach the adapter, and what the
// adapter raises outlives it.
#include <gtest/gtest.h>

#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

class AlarmsLineTest : public ::testing::Test {
 protected:
  std::pair<int, json> ask(const std::string& method, const std::string& target, const json& body) {
    const auto answer = http_request({.method = method,
                                      .url = "http://127.0.0.1:" + std::to_string(shop.http_port) + target,
                                      .headers = {{"Content-Type", "application/json"}},
                                      .body = body.dump()});
    return answer ? std::pair(answer->status, json::parse(answer->body, nullptr, false)) : std::pair(0, json());
  }
  // An empty object while there is none.
  json object_at(const std::string& path) {
    json answer = shop.get(path);
    return answer.is_object() ? answer : json::object();
  }
  json alarm(const std::string& ref) { return object_at("/api/v1/safety/alarms/" + ref); }
  bool is(const std::string& ref, const std::string& state) { return alarm(ref).value("state", "") == state; }

  Shop shop;
};

TEST_F(AlarmsLineTest, HeaterFaultIsAnAlarmUntilKlipperWorksAgain) {
  shop.start_simulator({"--machines", "1", "--behaviour", "steady", "--speed", "20"});
  shop.start_all();
  const std::string ref = "sim-1~heater_fault";
  ASSERT_TRUE(eventually([&] { return object_at("/api/v1/machines/sim-1").value("state", "") == "printing"; },
                         std::chrono::seconds(60)));
  const std::string moonraker = object_at("/api/v1/machines/sim-1")["moonraker_url"];
  ASSERT_TRUE(eventually([&] {
    const auto made = http_request({.method = "POST", .url = moonraker + "/sim/event?kind=heater_fault"});
    return made && made->status == 200;
  }));
  ASSERT_TRUE(eventually([&] { return alarm(ref).value("count", 0) > 0; }, std::chrono::seconds(120)));
  const json raised = alarm(ref);
  EXPECT_NE(raised["text"].get<std::string>().find("not heating at expected rate"), std::string::npos);
  EXPECT_EQ(raised["level"], "critical");
  EXPECT_EQ(ask("POST", "/api/v1/safety/alarms/" + ref + "/acknowledge", {{"note", "seen"}}).first, 200);
  EXPECT_TRUE(
      eventually([&] { return is(ref, "cleared") || alarm(ref).value("count", 0) > 1; }, std::chrono::seconds(120)))
      << alarm(ref).dump();
  EXPECT_GT(object_at("/api/v1/safety/summary").value("total_events", 0), 0);
}

TEST_F(AlarmsLineTest, LimitsReachTheAdapterAndAreWatchedBy) {
  shop.start_simulator({"--machines", "1", "--behaviour", "steady"});
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return !shop.get("/api/v1/machines/sim-1").is_null(); }));
  const std::string limits = "/api/v1/safety/limits/sim-1";
  const auto [status, changed] = ask("PATCH", limits, {{"extruder_temp_max", 30}, {"bed_temp_max", 30}});
  ASSERT_TRUE(status == 200 || status == 202) << changed.dump();
  ASSERT_TRUE(eventually([&] { return object_at(limits).value("status", "") == "applied"; }));
  EXPECT_EQ(shop.get(limits)["applied"]["extruder_temp_max"], 30);
  ASSERT_TRUE(
      eventually([&] { return is("sim-1~temperature_above_limit~extruder", "active"); }, std::chrono::seconds(120)))
      << "it prints hotter than that";
  EXPECT_FALSE(shop.get("/api/v1/machines/sim-1")["alarms"].empty());
  // By a rule that is off nothing stands.
  const std::string rule = "/api/v1/safety/rules/temperature_above_limit?machine=sim-1";
  ASSERT_EQ(ask("PUT", rule, {{"enabled", false}}).first, 200);
  EXPECT_TRUE(
      eventually([&] { return is("sim-1~temperature_above_limit~extruder", "cleared"); }, std::chrono::seconds(60)));
}

}  // namespace
}  // namespace millrace
