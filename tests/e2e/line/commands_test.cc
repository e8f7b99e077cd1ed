// SPDX-License-Identifier: Apache-2.0
// Commands through the whole product: by HTTP and by MQTT to a simulated machine, and what the log tells of them.
#include <gtest/gtest.h>

#include <mutex>

#include "bus/mqtt_client.h"
#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

constexpr std::chrono::seconds kPatience{60};

class CommandsTest : public ::testing::Test {
 protected:
  struct Answer {
    int status = 0;
    json body;
  };

  void begin(const std::string& behaviour = "idle") {
    shop.start_simulator({"--machines", "1", "--behaviour", behaviour, "--speed", "10", "--seed", "3"});
    shop.start_all();
    ASSERT_TRUE(eventually([&] { return ready(); }, kPatience));
  }
  bool ready() {
    const json machines = shop.get("/api/v1/machines");
    if (!machines.is_object() || machines["items"].empty()) return false;
    machine = machines["items"][0]["id"];
    return machines["items"][0].value("state", "") == "ready";
  }
  Answer ask(const json& body, const std::string& query = "?wait=30") {
    return send("POST", "/commands" + query, body);
  }
  Answer send(const std::string& method, const std::string& below, const json& body) {
    HttpClientRequest request;
    request.method = method;
    request.url = "http://127.0.0.1:" + std::to_string(shop.http_port) + "/api/v1/machines/" + machine + below;
    request.body = body.dump();
    request.headers = {{"Content-Type", "application/json"}};
    request.timeout = std::chrono::seconds(45);
    const auto answer = http_request(request);
    if (!answer) return {};
    return {answer->status, json::parse(answer->body, nullptr, false)};
  }
  // One of the simulated machine, as its history names it.
  std::string any_file() {
    json jobs;
    EXPECT_TRUE(eventually([&] { return !(jobs = shop.get("/api/v1/jobs?limit=1")["items"]).empty(); }, kPatience));
    return jobs.empty() ? "" : jobs[0]["filename"].get<std::string>();
  }
  json state() { return shop.machine(machine); }
  std::vector<std::string> events_of(const std::string& id) {
    std::vector<std::string> types;
    const json events = shop.get("/api/v1/events?limit=500&machine=" + machine);
    if (!events.is_object()) return types;
    for (const json& event : events["items"]) {
      if (event["correlation"] == id) types.push_back(event["type"]);
    }
    return types;
  }
  json command(const std::string& id) { return shop.get("/api/v1/commands/" + id); }

  Shop shop;
  std::string machine;
};

TEST_F(CommandsTest, EachIsAskedCheckedDoneAndProvable) {
  begin();
  const Answer heated = ask({{"command", "set_temperature"}, {"args", {{"heater", "heater_bed"}, {"target", 55}}}});
  ASSERT_EQ(heated.status, 200) << heated.body;
  EXPECT_EQ(heated.body["status"], "completed");
  EXPECT_EQ(heated.body["actor"], "local");
  EXPECT_TRUE(eventually([&] { return state()["temperatures"]["heater_bed"]["target"] == 55; }));
  EXPECT_EQ(events_of(heated.body["command_id"]),
            (std::vector<std::string>{"CommandRequested", "CommandAccepted", "CommandSent", "CommandCompleted"}));

  const Answer homed = ask({{"command", "home"}});
  ASSERT_EQ(homed.status, 200) << homed.body;
  const Answer moved = ask({{"command", "move"}, {"args", {{"x", 50}, {"z", 20}, {"feedrate", 3000}}}});
  ASSERT_EQ(moved.status, 200) << moved.body;
  const Answer relative = ask({{"command", "move"}, {"args", {{"x", -10}, {"relative", true}}}});
  ASSERT_EQ(relative.status, 200) << relative.body;
  ASSERT_TRUE(eventually([&] { return state()["toolhead"]["x"] == 40; }));

  const Answer cool = ask({{"command", "cool_down"}});
  ASSERT_EQ(cool.status, 200) << cool.body;
}

TEST_F(CommandsTest, WhatTheGuardRefusesNeverReachesTheMachine) {
  begin();
  const Answer hot = ask({{"command", "set_temperature"}, {"args", {{"heater", "extruder"}, {"target", 290}}}});
  EXPECT_EQ(hot.status, 409) << hot.body;
  EXPECT_EQ(hot.body["code"], "command_rejected");
  EXPECT_EQ(hot.body["title"], "Conflict");
  ASSERT_FALSE(hot.body["reasons"].empty());
  EXPECT_NE(hot.body["detail"].get<std::string>().find("290"), std::string::npos) << hot.body;
  EXPECT_EQ(state()["temperatures"]["extruder"]["target"], 0);
  EXPECT_EQ(ask({{"command", "move"}, {"args", {{"x", 10}}}}).status, 409) << "it is not homed";
  EXPECT_EQ(ask({{"command", "start"}, {"args", {{"filename", "nothing.gcode"}}}}).status, 409);
}

TEST_F(CommandsTest, BadInputIsToldWhatWouldBeRight) {
  begin();
  const auto expect = [&](const json& body, const std::string& code) {
    const Answer answer = ask(body, "");
    EXPECT_EQ(answer.status, 400) << answer.body;
    EXPECT_EQ(answer.body.value("code", ""), code) << answer.body;
  };
  expect({{"command", "explode"}}, "unknown_command");
  expect({{"command", "set_temperature"}, {"args", {{"heater", "extruder"}}}}, "invalid_args");
  expect({{"command", "set_pin"}, {"args", {{"pin", "caselight\nM112"}, {"value", 1}}}}, "invalid_args");
  expect({{"command", "pause"}, {"expires_in_s", -1}}, "invalid_field");
  expect({{"command", "pause"}, {"now", true}}, "invalid_field");
  expect({{"args", json::object()}}, "invalid_field");
  // Each is in the log as asked and rejected, with the same words; the machine got nothing.
  json rejected;
  ASSERT_TRUE(eventually([&] {
    rejected = shop.get("/api/v1/events?type=CommandRejected&limit=50&machine=" + machine)["items"];
    return rejected.size() >= 6;
  }));
  EXPECT_EQ(rejected.size(), 6u) << rejected;
  for (const json& event : rejected) EXPECT_FALSE(event["payload"]["reasons"][0]["detail"].empty()) << event;
  EXPECT_TRUE(eventually([&] { return shop.get("/api/v1/commands?status=rejected")["items"].size() == 6; }));
  EXPECT_TRUE(shop.get("/api/v1/events?type=CommandSent&limit=50&machine=" + machine)["items"].empty());
}

TEST_F(CommandsTest, AMachineThatIsNotThereIsToldByBothWays) {
  begin();
  const auto asker = make_mqtt_client({.url = shop.broker.url()});
  std::mutex mutex;
  std::string heard;
  asker->on_message([&](const MqttClient::Message& message) {
    std::lock_guard lock(mutex);
    heard = message.payload;
  });
  asker->subscribe("millrace/v1/result/none/c1", 1);
  asker->start();
  ASSERT_TRUE(eventually([&] { return asker->connected(); }, kPatience));
  ASSERT_TRUE(asker->publish("millrace/v1/command/none/pause", R"({"id":"c1"})", 1, Retain::kNo));
  ASSERT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return heard.find("machine_not_found") != std::string::npos;
  }));
  machine = "none";
  EXPECT_EQ(ask({{"command", "pause"}}, "").body.value("code", ""), "machine_not_found");
  json rejected;
  ASSERT_TRUE(eventually([&] {
    rejected = shop.get("/api/v1/commands?status=rejected")["items"];
    return rejected.size() == 2;
  }));
  for (const json& each : rejected) EXPECT_EQ(each["reasons"][0]["rule"], "machine_not_found") << each;
  EXPECT_EQ(command("c1")["client"], "mqtt");
  asker->stop();
}

TEST_F(CommandsTest, SixtyFourKibOfGcodeReachTheMachineAndOneByteMoreDoesNot) {
  begin();
  constexpr size_t kMost = 64u << 10;
  const auto script = [](size_t bytes) {
    std::string text;
    while (text.size() + 100 < bytes) text += "M117 \"" + std::string(60, 'x') + "\"\n";
    return text + "M117 " + std::string(bytes - text.size() - 5, 'y');
  };
  for (const size_t bytes : {size_t{40u << 10} + 1, kMost - 1, kMost}) {
    const Answer answer = ask({{"command", "gcode"}, {"args", {{"script", script(bytes)}}}});
    EXPECT_EQ(answer.status, 200) << bytes << " " << answer.body.dump().substr(0, 500);
    EXPECT_EQ(answer.body["args"]["script_bytes"], bytes);
    EXPECT_TRUE(script(bytes).starts_with(answer.body["args"]["script"].get<std::string>()));
  }
  EXPECT_TRUE(eventually([&] { return state().value("message", "").ends_with("yyy"); })) << state()["message"];
  const Answer larger = ask({{"command", "gcode"}, {"args", {{"script", script(kMost + 1)}}}});
  EXPECT_EQ(larger.status, 400) << larger.body.dump().substr(0, 500);
  EXPECT_EQ(larger.body["code"], "invalid_args");
  EXPECT_NE(larger.body["detail"].get<std::string>().find("65536"), std::string::npos) << larger.body["detail"];
}

TEST_F(CommandsTest, TheSameKeyAsksOnce) {
  begin();
  const json body = {{"command", "home"}, {"idempotency_key", "one"}};
  const Answer first = ask(body);
  ASSERT_EQ(first.status, 200) << first.body;
  const Answer again = ask(body);
  EXPECT_EQ(again.body["command_id"], first.body["command_id"]);
  EXPECT_EQ(ask({{"command", "cool_down"}, {"idempotency_key", "one"}}).status, 409);
  const json list = shop.get("/api/v1/commands?command=home");
  EXPECT_EQ(list["items"].size(), 1u);
}

TEST_F(CommandsTest, APrintIsStartedPausedResumedAndCancelled) {
  begin();
  ASSERT_EQ(ask({{"command", "plate_cleared"}}).status, 200);
  const std::string file = any_file();
  const Answer started = ask({{"command", "start"}, {"args", {{"filename", file}}}});
  ASSERT_EQ(started.status, 200) << started.body;
  ASSERT_TRUE(eventually([&] { return state().value("state", "") == "printing"; }, kPatience));
  ASSERT_TRUE(eventually([&] { return state()["job"]["outcome"] == "running"; }, kPatience));
  const std::string job = state()["job"]["id"];
  EXPECT_EQ(ask({{"command", "cancel"}, {"expected_job_id", "another"}}).status, 409);
  ASSERT_EQ(ask({{"command", "pause"}}).status, 200);
  ASSERT_EQ(ask({{"command", "resume"}}).status, 200);
  const Answer cancelled = ask({{"command", "cancel"}, {"expected_job_id", job}});
  ASSERT_EQ(cancelled.status, 200) << cancelled.body;
  ASSERT_TRUE(eventually([&] { return state().value("state", "") == "ready"; }, kPatience));
  EXPECT_EQ(ask({{"command", "start"}, {"args", {{"filename", file}}}}).status, 409) << "the plate is not free";
}

TEST_F(CommandsTest, AStartIsHeldAgainstWhatPeopleSayIsMountedAndLoaded) {
  begin();
  const std::string file = any_file();
  const json start = {{"command", "start"}, {"args", {{"filename", file}}}};
  const auto speaks_against = [&](const std::string& code) {
    const Answer answer = ask(start);
    for (const json& reason : answer.body.value("reasons", json::array())) {
      if (reason["rule"] == code) return true;
    }
    return false;
  };
  EXPECT_FALSE(speaks_against("nozzle_mismatch"));
  const json other = {{"nozzle_diameter", 0.8}, {"loaded_materials", {"unobtainium"}}};
  ASSERT_EQ(send("PATCH", "", other).status, 200);
  EXPECT_TRUE(eventually([&] { return speaks_against("nozzle_mismatch"); }, kPatience));
  EXPECT_TRUE(speaks_against("material_mismatch"));
  ASSERT_EQ(send("PATCH", "", {{"nozzle_diameter", nullptr}, {"loaded_materials", nullptr}}).status, 200);
  EXPECT_TRUE(eventually([&] { return !speaks_against("nozzle_mismatch"); }, kPatience));
}

// By somebody on the broker, whose copy is still within its time when another adapter has begun.
TEST_F(CommandsTest, ACommandOfTheHubsThatIsSentOnceMoreIsNotCarriedOutByANewAdapterEither) {
  begin();
  MqttOptions options;
  options.url = shop.broker.url();
  const auto listener = make_mqtt_client(options);
  std::mutex mutex;
  std::string signed_one;
  bool replayed = false;
  listener->on_message([&](const MqttClient::Message& message) {
    std::lock_guard lock(mutex);
    if (message.topic.find("/result/") == std::string_view::npos) {
      signed_one = message.payload;
    } else if (message.payload.find("\"replayed\"") != std::string_view::npos) {
      replayed = true;
    }
  });
  const std::string topic = "millrace/v1/command/" + machine + "/set_temperature";
  listener->subscribe(topic, 1);
  listener->subscribe("millrace/v1/result/" + machine + "/+", 1);
  listener->start();
  ASSERT_TRUE(eventually([&] { return listener->connected(); }, kPatience));
  const auto heated = ask(
      {{"command", "set_temperature"}, {"args", {{"heater", "heater_bed"}, {"target", 55}}}, {"expires_in_s", 600}});
  ASSERT_EQ(heated.status, 200) << heated.body;
  ASSERT_EQ(ask({{"command", "cool_down"}}).status, 200);
  shop.adapters->kill();
  shop.adapters.reset();
  shop.start_adapters();
  // A moment later it is told as connected, and takes what comes.
  ASSERT_TRUE(eventually([&] { return ask({{"command", "cool_down"}}).status == 200; }, kPatience));
  {
    std::lock_guard lock(mutex);
    ASSERT_FALSE(signed_one.empty());
    ASSERT_TRUE(listener->publish(topic, signed_one, 1, Retain::kNo));
  }
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return replayed;
  }));
  ASSERT_EQ(ask({{"command", "home"}}).status, 200) << "the hub's next one is taken";
  EXPECT_EQ(state()["temperatures"]["heater_bed"]["target"], 0);
  EXPECT_EQ(command(heated.body["command_id"])["status"], "completed") << "its own history stays";
  EXPECT_EQ(shop.get("/api/v1/commands?command=set_temperature")["items"][0]["claimed_actor"], "local");
  listener->stop();
}

TEST_F(CommandsTest, CommandsComeByMqttTooAndAreAnsweredOnTheirTopics) {
  begin();
  MqttOptions options;
  options.url = shop.broker.url();
  options.mqtt5 = true;
  const auto client = make_mqtt_client(options);
  std::mutex mutex;
  std::vector<json> results;
  client->on_message([&](const MqttClient::Message& message) {
    std::lock_guard lock(mutex);
    results.push_back(json::parse(message.payload, nullptr, false));
  });
  client->subscribe("millrace/v1/result/" + machine + "/+", 1);
  client->start();
  ASSERT_TRUE(eventually([&] { return client->connected(); }));
  const auto last = [&] {
    std::lock_guard lock(mutex);
    return results.empty() ? json() : results.back();
  };
  const std::string topic = "millrace/v1/command/" + machine + "/";
  ASSERT_TRUE(
      client->publish(topic + "set_fan", R"({"id":"fan-1","args":{"speed":0.5},"actor":"kitchen"})", 1, Retain::kNo));
  ASSERT_TRUE(eventually([&] { return last().is_object() && last().value("status", "") == "completed"; })) << last();
  EXPECT_EQ(last()["command_id"], "fan-1");
  ASSERT_TRUE(eventually([&] { return command("fan-1").is_object(); }));
  EXPECT_EQ(command("fan-1")["actor"], "mqtt");
  EXPECT_EQ(command("fan-1")["claimed_actor"], "kitchen");

  ASSERT_TRUE(client->publish(topic + "gcode", R"({"id":"code-1","args":{"script":"M117 hi"}})", 1, Retain::kNo));
  ASSERT_TRUE(eventually([&] { return last().value("command_id", "") == "code-1"; })) << "without the scope gcode";
  EXPECT_EQ(last()["status"], "rejected");

  ASSERT_TRUE(client->publish(topic + "home", R"({"id":"kept-1"})", 1, Retain::kYes));
  ASSERT_TRUE(eventually([&] { return last().value("command_id", "") == "kept-1"; }));
  EXPECT_EQ(last()["reasons"][0]["rule"], "retained");
  client->stop();
}

TEST_F(CommandsTest, WhatNobodyTakesExpires) {
  begin();
  shop.adapters->kill();
  const Answer lost = ask({{"command", "home"}, {"expires_in_s", 1}});
  EXPECT_EQ(lost.status, 504) << lost.body;
  EXPECT_EQ(lost.body["code"], "command_expired");
  shop.start_adapters();
  ASSERT_TRUE(eventually([&] { return state().value("connection", "") == "connected"; }, kPatience));
  EXPECT_EQ(command(lost.body["command"]["command_id"])["status"], "expired") << "nothing runs late";
}

}  // namespace
}  // namespace millrace
