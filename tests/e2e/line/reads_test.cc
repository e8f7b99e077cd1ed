// SPDX-License-Identifier: Apache-2.0
// A Moonraker that fails, hangs or fills its disk, through the whole product.
#include <gtest/gtest.h>

#include <csignal>

#include "bus/random.h"
#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

constexpr std::chrono::seconds kPatience{60};

class ReadsTest : public ::testing::Test {
 protected:
  void simulate() {
    SeededRandom random(random_seed());
    do {
      port = static_cast<uint16_t>(random.between(15'000, 30'000));
    } while (loopback_port_answers(port));
    shop.start_simulator(
        {"--machines", "1", "--behaviour", "idle", "--history", "120", "--base-port", std::to_string(port)});
    ASSERT_TRUE(eventually([&] { return loopback_port_answers(port); }, kPatience)) << shop.output();
  }
  json sim(const std::string& method, const std::string& path) {
    const auto answer = http_request({.method = method, .url = "http://127.0.0.1:" + std::to_string(port) + path});
    return answer && answer->status == 200 ? json::parse(answer->body)["result"] : json();
  }
  void fail(const std::string& method, int times, const std::string& code = "&code=500") {
    ASSERT_EQ(sim("POST", "/sim/fail?method=" + method + "&times=" + std::to_string(times) + code), "ok") << method;
  }
  int calls(const std::string& method) { return sim("GET", "/sim/calls").value(method, 0); }
  json machine() { return shop.machine("sim-1"); }
  bool becomes(const std::string& state) {
    return eventually([&] { return machine().value("state", "") == state; }, kPatience);
  }

  Shop shop;
  uint16_t port = 0;
};

TEST_F(ReadsTest, ReadsThatFailAreAskedAgainAndCommandsAreNot) {
  simulate();
  const std::vector<std::string> reads = {"server.history.list", "printer.objects.query", "server.job_queue.status"};
  for (const std::string& method : reads) fail(method, 3);
  fail("printer.objects.list", 2);
  fail("printer.gcode.script", 1);
  shop.start_all();
  ASSERT_TRUE(becomes("ready")) << shop.output();
  ASSERT_TRUE(eventually([&] { return shop.jobs().size() == 120; }, kPatience)) << "the history is read";
  for (const std::string& method : reads) {
    EXPECT_TRUE(eventually([&] { return calls(method) >= 4; }, kPatience)) << method;
  }
  const auto answer = http_request(
      {.method = "POST",
       .url = "http://127.0.0.1:" + std::to_string(shop.http_port) + "/api/v1/machines/sim-1/commands?wait=30",
       .headers = {{"Content-Type", "application/json"}},
       .body = R"({"command":"set_temperature","args":{"heater":"extruder","target":50}})",
       .timeout = std::chrono::seconds(40)});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 502) << answer->body;
  EXPECT_EQ(json::parse(answer->body)["code"], "command_failed");
  EXPECT_EQ(calls("printer.gcode.script"), 1);
  EXPECT_EQ(machine()["temperatures"]["extruder"]["target"], 0);
}

TEST_F(ReadsTest, WhileMoonrakerHangsTheLastValuesAreShownAsStaleWithTheirAge) {
  simulate();
  shop.start_all();
  ASSERT_TRUE(becomes("ready")) << shop.output();
  const auto stale = [&](const std::string& category) {
    const json categories = machine()["values"]["stale"];
    return std::find(categories.begin(), categories.end(), category) != categories.end();
  };
  ASSERT_TRUE(eventually([&] { return machine()["values"]["stale"].empty(); }, kPatience)) << machine();
  const json before = machine()["temperatures"]["extruder"];
  EXPECT_EQ(before["stale"], false);
  shop.machines->signal(SIGSTOP);
  ASSERT_TRUE(eventually([&] { return stale("sensor") && stale("position"); }, kPatience));
  const json frozen = machine()["temperatures"]["extruder"];
  EXPECT_TRUE(frozen["value"].is_number());
  EXPECT_EQ(frozen["stale"], true);
  EXPECT_GT(frozen["age"].get<double>(), 3.0);
  ASSERT_TRUE(eventually([&] { return stale("custom"); }, kPatience));
  EXPECT_GT(machine()["values"]["age"].get<double>(), 5.0);
  shop.machines->signal(SIGCONT);
  EXPECT_TRUE(eventually([&] { return machine()["values"]["stale"].empty(); }, kPatience)) << machine();
}

TEST_F(ReadsTest, AHostWhoseDiskIsFullIsAnAlarm) {
  simulate();
  ASSERT_EQ(sim("POST", "/sim/disk?free=1000000000"), "ok");
  shop.start_all();
  ASSERT_TRUE(becomes("ready")) << shop.output();
  ASSERT_TRUE(eventually(
      [&] {
        for (const json& alarm : machine().value("alarms", json::array())) {
          if (alarm["rule"] == "host_disk") return true;
        }
        return false;
      },
      kPatience))
      << machine();
}

}  // namespace
}  // namespace millrace
