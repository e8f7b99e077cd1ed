// SPDX-License-Identifier: Apache-2.0
// From simulated machines to a WebSocket client, with the broker and the input as bad as they can be.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "bus/mqtt_client.h"
#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

std::unique_ptr<MqttClient> connect(const std::string& url) {
  MqttOptions options;
  options.url = url;
  auto client = make_mqtt_client(options);
  client->start();
  EXPECT_TRUE(eventually([&] { return client->connected(); }));
  return client;
}

TEST(LineTest, PrintProgressesAtTheClientAndEndsInTheJobTable) {
  Shop shop;
  shop.start_simulator({"--machines", "2", "--behaviour", "steady", "--speed", "60", "--seed", "7"});
  shop.start_all();
  LiveClient client(shop.live_url());
  json finished;
  ASSERT_TRUE(eventually(
      [&] {
        for (const json& job : shop.jobs()) {
          if (job["outcome"] == "completed" && job["seen"] == "live") finished = job;
        }
        return finished.is_object();
      },
      std::chrono::seconds(90)));
  const auto progress = client.progress_of(finished["machine"]);
  EXPECT_GT(progress.size(), 5u) << "the client saw it go on";
  ASSERT_TRUE(eventually([&] { return client.job(finished["id"]).value("outcome", "") == "completed"; }));
  EXPECT_GT(finished["total_duration"].get<double>(), 0);
}

TEST(LineTest, WhatTheSlicerWroteIsReadFromTheFileThatIsPrinted) {
  Shop shop;
  shop.start_simulator({"--machines", "4", "--behaviour", "steady", "--speed", "30", "--seed", "7"});
  shop.start_all();
  json sliced;
  ASSERT_TRUE(eventually(
      [&] {
        for (const json& job : shop.jobs()) {
          if (job["seen"] != "live") continue;
          const json detail = shop.get("/api/v1/jobs/" + job["id"].get<std::string>());
          if (detail.is_object() && detail["sliced"].is_object()) sliced = detail["sliced"];
        }
        return sliced.is_object() && sliced["thumbnail"].is_string();
      },
      std::chrono::seconds(60)));
  EXPECT_EQ(sliced["source"], "file");
  EXPECT_TRUE(sliced["slicer_name"].is_string());
  EXPECT_GT(sliced["estimated_time"].get<double>(), 0);
  EXPECT_EQ(shop.status_of("/api/v1/blobs/" + sliced["thumbnail"].get<std::string>()), 200);
}

TEST(LineTest, LiveClientEndsWithWhatTheApiSays) {
  Shop shop;
  shop.start_simulator({"--machines", "3", "--behaviour", "mixed", "--speed", "30", "--seed", "3"});
  shop.start_all();
  LiveClient client(shop.live_url());
  ASSERT_TRUE(eventually([&] { return client.messages() > 50; }, std::chrono::seconds(60)));
  shop.adapters->terminate();
  for (const json& machine : shop.get("/api/v1/machines")["items"]) {
    const std::string id = machine["id"];
    EXPECT_TRUE(eventually([&] {
      const json now = shop.machine(id);
      return now["state"] == client.machine(id)["state"] && now["state_version"] == client.machine(id)["state_version"];
    })) << id;
    EXPECT_TRUE(eventually([&] { return client.machine(id).value("connection", "") == "disconnected"; })) << id;
  }
}

TEST(LineTest, BrokerMayBeAwayAtTheStartAndLater) {
  Shop shop;
  shop.start_simulator({"--machines", "2", "--behaviour", "steady", "--speed", "20"});
  shop.start_hub();
  shop.start_adapters();
  ASSERT_TRUE(eventually([&] { return shop.status_of("/health/live") == 200; }));
  EXPECT_EQ(shop.status_of("/health/ready"), 503);
  shop.broker.start();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > 20; }, std::chrono::seconds(60)))
      << "what waited was caught up";
  shop.broker.kill();
  ASSERT_TRUE(eventually([&] { return shop.status_of("/health/ready") == 503; }));
  const int before = shop.last_position();
  std::this_thread::sleep_for(std::chrono::seconds(3));
  shop.broker.start();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > before + 3; }, std::chrono::seconds(60)));
  EXPECT_TRUE(shop.wait_ready());
  // Sequences of each producer are whole.
  std::map<std::string, uint64_t> last;
  for (int after = 0;;) {
    const json page = shop.get("/api/v1/events?limit=500&after=" + std::to_string(after));
    if (page["items"].empty()) break;
    for (const json& event : page["items"]) {
      const std::string producer = event["id"]["producer"].get<std::string>() + event["id"]["epoch"].get<std::string>();
      EXPECT_EQ(event["id"]["sequence"], ++last[producer]);
      after = event["position"];
    }
  }
}

TEST(LineTest, GarbageOnTheBrokerIsRecordedAndTheRestGoesOn) {
  Shop shop;
  shop.start_simulator({"--machines", "1", "--behaviour", "steady", "--speed", "10"});
  shop.start_all();
  auto client = connect(shop.broker.url());
  for (const std::string& payload : {std::string("garbage"), std::string(), std::string(70'000, 'x'),
                                     std::string("\x10\0\0\0MRE1", 8), std::string(300, '\0')}) {
    ASSERT_TRUE(client->publish("millrace/v1/ingest/stranger", payload, 1, Retain::kNo));
    ASSERT_TRUE(client->publish("millrace/v1/ingest/hub", payload, 1, Retain::kYes));
    ASSERT_TRUE(client->publish("millrace/v1/recorded/" + std::string("voron-2"), payload, 1, Retain::kNo));
    ASSERT_TRUE(client->publish("millrace/v1/ingest", payload, 1, Retain::kNo));
  }
  ASSERT_TRUE(eventually([&] { return shop.get("/api/v1/events?type=EventRejected&limit=100")["items"].size() >= 9; }));
  const json rejected = shop.get("/api/v1/events?type=EventRejected&limit=100")["items"][0];
  EXPECT_TRUE(rejected["payload"]["reason"].is_string());
  EXPECT_TRUE(shop.wait_ready());
  const int position = shop.last_position();
  EXPECT_TRUE(eventually([&] { return shop.last_position() > position; }));
}

TEST(LineTest, WrongConfigurationIsOneLineAndExitCode2) {
  Shop shop;
  const auto expect = [&](const std::string& toml, const std::string& words) {
    const auto file = shop.directory() / "bad.toml";
    std::ofstream(file) << toml;
    const auto ran = shop.run({"run", "--config", file.string()});
    EXPECT_EQ(ran.code, 2) << toml << ran.output;
    EXPECT_NE(ran.output.find(words), std::string::npos) << ran.output;
    EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
  };
  expect("[http]\nport = 1\n", "http.port");
  expect("[htpt]\n", "htpt");
  expect("this is not toml", "not TOML");
  expect("[hub]\ntelemetry_days = \"many\"\n", "a whole number");
  expect("[[machine]]\nid = \"Voron 2\"\n", "a-z");
  expect("[[machine]]\nid = \"hub\"\nmoonraker_url = \"http://x:1\"\n", "reserved");
  const auto missing = shop.run({"run", "--config", "/nowhere/millrace.toml"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_EQ(shop.run({"run", "--config", shop.config().string(), "--roles", "hub,dancer"}).code, 2);
  EXPECT_EQ(shop.run({"frobnicate"}).code, 2);
}

TEST(LineTest, TakenPortAndTakenLogAreOneLineAndExitCode2) {
  Shop shop;
  shop.broker.start();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready());
  const auto locked = shop.run({"run", "--config", shop.config().string()});
  EXPECT_EQ(locked.code, 2) << locked.output;
  const auto taken =
      shop.run({"run", "--config", shop.config().string(), "--data", (shop.directory() / "other").string()},
               {{"LOG_LEVEL", "off"}});
  EXPECT_EQ(taken.code, 2) << taken.output;
  EXPECT_NE(taken.output.find(std::to_string(shop.http_port)), std::string::npos) << taken.output;
  EXPECT_EQ(std::count(taken.output.begin(), taken.output.end(), '\n'), 1) << taken.output;
}

TEST(LineTest, LogCommandsReadBesideARunningHub) {
  Shop shop;
  shop.start_simulator({"--machines", "1", "--behaviour", "steady"});
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return shop.last_position() > 5; }));
  const auto info = shop.run({"log", "info", "--json", "--data", shop.data().string()});
  EXPECT_EQ(info.code, 0) << info.output;
  EXPECT_GT(json::parse(info.output)["last_position"].get<int>(), 4);
  const auto cat = shop.run({"log", "cat", "--json", "--limit", "3", "--after", "1", "--data", shop.data().string()});
  std::istringstream lines(cat.output);
  int expected = 2;
  for (std::string line; std::getline(lines, line); ++expected) EXPECT_EQ(json::parse(line)["position"], expected);
  EXPECT_EQ(expected, 5);
  EXPECT_EQ(shop.run({"log", "cat", "--type", "Nonsense", "--data", shop.data().string()}).code, 2);
  EXPECT_EQ(shop.run({"log", "info", "--data", "/nowhere"}).code, 1);
  const auto digest = shop.run({"replay", "--projection", "job_history", "--digest", "--data", shop.data().string()});
  EXPECT_EQ(digest.output.size(), 65u) << digest.output;
}

TEST(LineTest, ReadinessMetricsAndApiDocument) {
  Shop shop;
  shop.start_simulator({"--machines", "1", "--behaviour", "idle"});
  shop.start_all();
  const json ready = shop.get("/health/ready");
  EXPECT_EQ(ready["ready"], true);
  const auto metrics = http_request({.url = "http://127.0.0.1:" + std::to_string(shop.http_port) + "/metrics"});
  EXPECT_NE(metrics->body.find("millrace_log_last_position"), std::string::npos);
  EXPECT_TRUE(shop.get("/api/openapi.json")["paths"].contains("/api/v1/machines"));
  EXPECT_EQ(shop.status_of("/api/v1/machines/nobody"), 404);
  EXPECT_EQ(shop.status_of("/api/v1/jobs?limit=0"), 400);
}

}  // namespace
}  // namespace millrace
