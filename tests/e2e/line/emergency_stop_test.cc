// SPDX-License-Identifier: Apache-2.0
// The emergency stop through the whole product, with every other part of it away, dead or full.
#include <gtest/gtest.h>

#include <fstream>

#include "bus/emergency_record.h"
#include "bus/mqtt_client.h"
#include "bus/outbox.h"
#include "bus/random.h"
#include "bus/topics.h"
#include "cli/hub.h"
#include "net/http_client.h"
#include "producers/moonraker/adapter_state.h"
#include "tests/support/shop/shop.h"
#include "tests/support/small_disk.h"
#include "tests/support/tls_proxy.h"

namespace millrace {
namespace {

using namespace testing;

constexpr std::chrono::seconds kPatience{60};

class EmergencyStopTest : public ::testing::Test {
 protected:
  struct Answer {
    int status = 0;
    json body;
  };
  static Answer http(const std::string& method, const std::string& url, const std::string& body = "") {
    const auto answer = http_request({.method = method, .url = url, .body = body, .timeout = std::chrono::seconds(15)});
    if (!answer) return {};
    return {answer->status, json::parse(answer->body, nullptr, false)};
  }
  Answer post(const std::string& path, const std::string& body = "") {
    return http("POST", "http://127.0.0.1:" + std::to_string(shop.http_port) + path, body);
  }
  Answer stop(const std::string& machine, const std::string& body = "") {
    return post("/api/v1/machines/" + machine + "/emergency_stop", body);
  }
  // Idle machines sim-1, sim-2, ...
  void begin(int count = 2) {
    base = free_ports(count);
    simulate(count);
    shop.start_all();
    for (int i = 1; i <= count; ++i) ASSERT_TRUE(connected(name(i))) << shop.output();
  }
  // So many ports in a row, below those that the system gives out by itself.
  static uint16_t free_ports(int count) {
    SeededRandom random(random_seed());
    for (;;) {
      const auto first = static_cast<uint16_t>(random.between(15'000, 30'000));
      bool free = true;
      for (int i = 0; i < count; ++i) free = free && !loopback_port_answers(static_cast<uint16_t>(first + i));
      if (free) return first;
    }
  }
  void simulate(int count) {
    shop.start_simulator({"--machines", std::to_string(count), "--behaviour", "idle", "--base-port",
                          std::to_string(base), "--seed", "3"});
  }
  static std::string name(int number) { return "sim-" + std::to_string(number); }
  bool connected(const std::string& machine) {
    return eventually([&] { return shop.machine(machine).value("connection", "") == "connected"; }, kPatience);
  }
  json simulated(int number) {
    const json body = http("GET", "http://127.0.0.1:" + std::to_string(base + number - 1) + "/sim/state").body;
    return body.is_object() ? body.value("result", json::object()) : json::object();
  }
  bool is_stopped(int number) {
    return eventually([&] { return simulated(number).value("klippy_state", "") == "shutdown"; });
  }
  void restart_klipper(int number) {
    http("POST", "http://127.0.0.1:" + std::to_string(base + number - 1) + "/printer/firmware_restart");
    EXPECT_TRUE(eventually([&] { return simulated(number).value("klippy_state", "") == "ready"; }));
  }
  std::vector<json> events(const std::string& type, const std::string& machine = "") {
    std::vector<json> found;
    const json answer =
        shop.get("/api/v1/events?limit=500&type=" + type + (machine.empty() ? "" : "&machine=" + machine));
    if (!answer.is_object()) return found;
    for (const json& event : answer.value("items", json::array())) found.push_back(event);
    return found;
  }
  bool recorded(size_t count, const std::string& machine = "") {
    return eventually([&] { return events("EmergencyStopped", machine).size() >= count; }, kPatience);
  }
  void publish(const std::string& machine, const std::string& payload, Retain retain = Retain::kNo) {
    MqttOptions options;
    options.url = shop.broker.url();
    const auto client = make_mqtt_client(options);
    client->start();
    ASSERT_TRUE(eventually([&] { return client->connected(); }));
    ASSERT_TRUE(client->publish(Topics().command(machine, "emergency_stop"), payload, 1, retain));
    client->stop();
  }
  Shop::Ran cli(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "stop");
    arguments.insert(arguments.end(), {"--config", shop.config().string()});
    return shop.run(arguments);
  }
  bool is_latched(const std::string& machine) {
    const auto outbox = Outbox::open(outbox_directory(shop.data()) / machine, {});
    if (!outbox) return false;
    const auto state = decode_adapter_state((*outbox)->state());
    return state && state->latched;
  }

  Shop shop;
  uint16_t base = 0;
};

TEST_F(EmergencyStopTest, ByHttpItIsConfirmedRecordedOnceAndLatches) {
  begin();
  const Answer answer = stop("sim-1", R"({"reason":"smoke"})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body["confirmed"], true);
  EXPECT_EQ(answer.body["machine"], "sim-1");
  EXPECT_LE(answer.body["sent_after"].get<double>(), answer.body["answered_after"].get<double>());
  EXPECT_TRUE(is_stopped(1));
  EXPECT_EQ(simulated(2)["klippy_state"], "ready");
  ASSERT_TRUE(recorded(1));
  const json event = events("EmergencyStopped").front();
  EXPECT_EQ(event["payload"]["reason"], "smoke");
  EXPECT_EQ(event["payload"]["client"], "http");
  EXPECT_EQ(event["payload"]["command_id"], answer.body["command_id"]);
  EXPECT_EQ(event["actor"], "local");
  EXPECT_TRUE(eventually([&] { return events("EmergencyLatched", "sim-1").size() == 1; }, kPatience));
  EXPECT_TRUE(eventually([&] { return shop.machine("sim-1").value("state", "") == "shutdown"; }, kPatience));
  EXPECT_EQ(stop("sim-1").status, 200) << "also when it is shut down already";
}

TEST_F(EmergencyStopTest, WhatIsInTheBodyKeepsNoStopFromBeingDone) {
  begin(1);
  EXPECT_EQ(stop("sim-1", "}{ nonsense").status, 200);
  EXPECT_EQ(stop("sim-1", R"({"reason":17,"more":[1,2]})").status, 200);
  EXPECT_EQ(stop("sim-1", std::string(2u << 20, '{')).status, 200) << "larger than any body may be";
  EXPECT_EQ(stop("nobody").status, 404);
  EXPECT_EQ(stop("nobody").body["code"], "machine_not_found");
  ASSERT_TRUE(eventually([&] { return events("AccessDenied").size() == 2; })) << "that somebody tried is recorded";
  EXPECT_EQ(events("AccessDenied").front()["payload"]["path"], "/api/v1/machines/nobody/emergency_stop");
  EXPECT_EQ(http("GET", "http://127.0.0.1:" + std::to_string(shop.http_port) + "/api/v1/emergency_stop").status, 405);
  const auto foreign =
      http_request({.method = "POST",
                    .url = "http://127.0.0.1:" + std::to_string(shop.http_port) + "/api/v1/emergency_stop",
                    .headers = {{"Origin", "http://evil.example"}}});
  EXPECT_EQ(foreign->status, 403) << "another site's page stops nothing";
}

TEST_F(EmergencyStopTest, AllAreStoppedAndOneThatIsAwayIsNamed) {
  begin(3);
  EXPECT_EQ(post("/api/v1/emergency_stop").status, 200);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(is_stopped(i));
  ASSERT_TRUE(recorded(3));
  shop.machines.reset();
  const Answer answer = post("/api/v1/emergency_stop");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.body["code"], "not_confirmed");
  EXPECT_EQ(answer.body["confirmed"], false);
  EXPECT_EQ(answer.body["machines"].size(), 3u);
  EXPECT_NE(answer.body["what_to_do"].get<std::string>().find("plug"), std::string::npos);
  ASSERT_TRUE(recorded(6)) << "those that were not confirmed too";
}

TEST_F(EmergencyStopTest, ByHttpWithoutBrokerAndAdapters) {
  begin(1);
  shop.adapters.reset();
  shop.broker.kill();
  EXPECT_EQ(stop("sim-1").status, 200);
  EXPECT_TRUE(is_stopped(1));
  EXPECT_TRUE(recorded(1));
}

TEST_F(EmergencyStopTest, WithAFullDiskItIsDoneAndRecordedOnceThereIsRoom) {
  SmallDisk disk(shop.data(), 300);
  MILLRACE_NEEDS_MOUNTED(disk);
  begin(1);
  disk.fill_up_to(256 << 10);
  ASSERT_TRUE(eventually([&] { return shop.status_of("/health/ready") == 503; }, kPatience));
  const size_t before = events("EmergencyStopped").size();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(stop("sim-1", R"({"reason":"full"})").status, 200);
  EXPECT_TRUE(is_stopped(1));
  EXPECT_EQ(events("EmergencyStopped").size(), before);
  const EmergencyFile file(emergency_file(shop.data()));
  EXPECT_TRUE(eventually([&] { return file.read().value().records.size() == 20; })) << "they survive a power cut";
  shop.hub->kill();
  shop.hub.reset();
  disk.make_room();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  ASSERT_TRUE(recorded(20, "sim-1"));
  EXPECT_TRUE(eventually([&] { return file.read().value().records.empty(); }));
  std::set<std::string> ids;
  for (const json& event : events("EmergencyStopped")) ids.insert(event["payload"]["command_id"].get<std::string>());
  EXPECT_EQ(ids.size(), 20u);
  EXPECT_EQ(events("EmergencyStopped").size(), 20u);
}

TEST_F(EmergencyStopTest, FromTheCommandLineWithHubAndWithoutAnything) {
  begin(2);
  const auto one = cli({"sim-1", "--reason", "by hand"});
  EXPECT_EQ(one.code, 0) << one.output;
  EXPECT_NE(one.output.find("sim-1: STOPPED"), std::string::npos) << one.output;
  EXPECT_TRUE(is_stopped(1));
  ASSERT_TRUE(recorded(1));
  EXPECT_EQ(events("EmergencyStopped").front()["payload"]["client"], "cli");
  shop.hub->kill();
  shop.hub.reset();
  shop.adapters.reset();
  shop.broker.kill();
  const auto all = cli({"--all"});
  EXPECT_EQ(all.code, 0) << all.output;
  EXPECT_TRUE(is_stopped(2));
  EXPECT_EQ(EmergencyFile(emergency_file(shop.data())).read().value().records.size(), 2u);
  shop.machines.reset();
  const auto dead = cli({"sim-2"});
  EXPECT_EQ(dead.code, 1);
  EXPECT_NE(dead.output.find("NOT CONFIRMED"), std::string::npos) << dead.output;
  EXPECT_NE(dead.output.find("GO TO THE MACHINE"), std::string::npos) << dead.output;
  EXPECT_EQ(cli({"nobody"}).code, 2);
  EXPECT_EQ(cli({}).code, 2);
  shop.broker.start();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready());
  ASSERT_TRUE(recorded(4));
  EXPECT_EQ(events("EmergencyStopped").size(), 4u);
}

TEST_F(EmergencyStopTest, OverTlsItIsConfirmedAndAWrongCertificateIsToldByEveryWay) {
  base = free_ports(1);
  simulate(1);
  const TestCertificates good(shop.directory(), "127.0.0.1");
  std::filesystem::create_directory(shop.directory() / "others");
  const TestCertificates others(shop.directory() / "others", "127.0.0.1");
  const TlsProxy front(good, base);
  for (const auto& [id, authority] : {std::pair{"vouched", good.authority}, std::pair{"doubtful", others.authority}}) {
    std::ofstream(shop.config(), std::ios::app)
        << "[[machine]]\nid = \"" << id << "\"\nmoonraker_url = \"https://127.0.0.1:" << front.port()
        << "\"\nmoonraker_ca_file = \"" << authority.string() << "\"\n";
  }
  shop.start_all();
  ASSERT_TRUE(connected("vouched")) << shop.output();
  const Answer wrong = stop("doubtful");
  EXPECT_EQ(wrong.status, 502) << wrong.body;
  EXPECT_EQ(wrong.body["code"], "not_confirmed");
  EXPECT_NE(wrong.body["machine_said"].get<std::string>().find("certificate"), std::string::npos) << wrong.body;
  const auto by_hand = cli({"doubtful"});
  EXPECT_EQ(by_hand.code, 1);
  EXPECT_NE(by_hand.output.find("NOT CONFIRMED"), std::string::npos) << by_hand.output;
  EXPECT_NE(by_hand.output.find("certificate"), std::string::npos) << by_hand.output;
  EXPECT_EQ(simulated(1)["emergency_stops"], 0);
  const Answer answer = stop("vouched");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(is_stopped(1));
  EXPECT_EQ(cli({"vouched"}).code, 0);
  EXPECT_TRUE(recorded(2, "vouched"));
  EXPECT_TRUE(recorded(2, "doubtful"));
}

TEST_F(EmergencyStopTest, ByMqttWithoutAHub) {
  begin(2);
  publish("sim-1", "");
  EXPECT_TRUE(is_stopped(1));
  shop.hub->kill();
  shop.hub.reset();
  publish(std::string(kAllMachines), R"({"command_id":"all-1","reason":"from the wall"})");
  EXPECT_TRUE(is_stopped(2));
  EXPECT_TRUE(eventually([&] { return simulated(1)["emergency_stops"] == 2; }));
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready());
  ASSERT_TRUE(recorded(3));
  bool found = false;
  for (const json& event : events("EmergencyStopped", "sim-2")) {
    found = found || event["payload"]["command_id"] == "all-1-sim-2";
    EXPECT_EQ(event["payload"]["client"], "mqtt");
  }
  EXPECT_TRUE(found);
  EXPECT_EQ(events("EmergencyStopped").size(), 3u);
}

TEST_F(EmergencyStopTest, ByMqttItIsAnsweredAlsoWhenTheMachineDoesNot) {
  begin(1);
  MqttOptions options;
  options.url = shop.broker.url();
  const auto listener = make_mqtt_client(options);
  std::mutex mutex;
  std::map<std::string, json> heard;
  listener->on_message([&](const MqttClient::Message& message) {
    std::lock_guard lock(mutex);
    heard[std::string(message.topic)] = json::parse(message.payload, nullptr, false);
  });
  listener->subscribe("millrace/v1/result/sim-1/+", 1);
  listener->start();
  ASSERT_TRUE(eventually([&] { return listener->connected(); }));
  const auto answer = [&](const std::string& id) {
    json found;
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(mutex);
      if (const auto at = heard.find("millrace/v1/result/sim-1/" + id); at != heard.end()) found = at->second;
      return found.is_object();
    })) << id;
    return found;
  };
  publish("sim-1", R"({"id":"stop-1","reason":"smoke"})");
  const json done = answer("stop-1");
  EXPECT_EQ(done["command"], "emergency_stop");
  EXPECT_EQ(done["status"], "completed");
  EXPECT_EQ(done["text"], "ok");
  shop.machines.reset();
  publish(std::string(kAllMachines), R"({"id":"stop-2"})");
  const json open = answer("stop-2-sim-1");
  EXPECT_EQ(open["status"], "not_confirmed");
  EXPECT_FALSE(open["text"].get<std::string>().empty());
  listener->stop();
}

// The hub has connections of its own: with the adapters dead, a stop by MQTT is done all the same.
TEST_F(EmergencyStopTest, ByMqttWithoutAdapters) {
  begin(2);
  shop.adapters->kill();
  shop.adapters.reset();
  const auto asked = std::chrono::steady_clock::now();
  publish("sim-1", R"({"id":"stop-1","reason":"smoke"})");
  publish("sim-1", R"({"id":"stop-2"})");
  EXPECT_TRUE(is_stopped(1));
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(5));
  EXPECT_EQ(simulated(2)["klippy_state"], "ready");
  publish(std::string(kAllMachines), R"({"id":"all-1"})");
  EXPECT_TRUE(is_stopped(2));
  ASSERT_TRUE(recorded(4));
  std::set<std::string> ids;
  for (const json& event : events("EmergencyStopped")) {
    ids.insert(event["payload"]["command_id"].get<std::string>());
    EXPECT_EQ(event["payload"]["client"], "mqtt");
    EXPECT_EQ(event["payload"]["confirmed"], true);
  }
  EXPECT_EQ(ids, (std::set<std::string>{"stop-1", "stop-2", "all-1-sim-1", "all-1-sim-2"}));
  EXPECT_EQ(events("EmergencyStopped").size(), 4u);
}

// With them, it is done and recorded by them alone.
TEST_F(EmergencyStopTest, ByMqttTheHubLeavesItToAdaptersThatAreThere) {
  begin(1);
  publish("sim-1", R"({"id":"stop-1"})");
  ASSERT_TRUE(recorded(1));
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(simulated(1)["emergency_stops"], 1);
  EXPECT_EQ(events("EmergencyStopped").size(), 1u);
}

// Whoever may publish may stop; a key only says who it was.
TEST_F(EmergencyStopTest, ByMqttAKeyTellsWhoStoppedAndAWrongOneIsNoReasonToRefuse) {
  begin(2);
  const auto made =
      shop.run({"keys", "create", "--data", shop.data().string(), "--name", "Wall panel", "--scopes", "read"});
  ASSERT_EQ(made.code, 0) << made.output;
  const std::string key = made.output.substr(made.output.find("mr_"), 46);
  const auto admin = shop.run({"keys", "create", "--data", shop.data().string(), "--name", "Anna"});
  const std::string reader = admin.output.substr(admin.output.find("mr_"), 46);
  publish("sim-1", R"({"reason":"smoke","key":")" + key + R"("})");
  EXPECT_TRUE(is_stopped(1));
  publish("sim-2", R"({"reason":"smoke","key":"mr_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})");
  EXPECT_TRUE(is_stopped(2));
  const auto told = [&](const std::string& machine) {
    json found;
    EXPECT_TRUE(eventually(
        [&] {
          const auto answer = http_request({.url = "http://127.0.0.1:" + std::to_string(shop.http_port) +
                                                   "/api/v1/events?type=EmergencyStopped&machine=" + machine,
                                            .headers = {{"X-API-Key", reader}}});
          if (!answer || answer->status != 200) return false;
          EXPECT_EQ(answer->body.find(key), std::string::npos) << "a key is in no event";
          const json items = json::parse(answer->body)["items"];
          if (items.empty()) return false;
          found = items[0];
          return true;
        },
        kPatience));
    return found;
  };
  const json good = told("sim-1");
  EXPECT_EQ(good["actor"], "Wall panel");
  EXPECT_EQ(good["payload"]["client"], "mqtt");
  EXPECT_EQ(good["payload"]["reason"], "smoke");
  EXPECT_FALSE(good["payload"].value("key_id", "").empty());
  const json wrong = told("sim-2");
  EXPECT_EQ(wrong["actor"], "mqtt");
  EXPECT_EQ(wrong["payload"]["reason"], "smoke (with a key that is not valid: there is no such key)");
}

TEST_F(EmergencyStopTest, ARetainedMessageStopsNothing) {
  begin(1);
  publish("sim-1", R"({"reason":"old"})", Retain::kYes);
  ASSERT_TRUE(is_stopped(1)) << "to those who are there it is a message like any other";
  restart_klipper(1);
  shop.adapters.reset();
  shop.start_adapters();
  ASSERT_TRUE(
      eventually([&] { return shop.output().find("retained emergency stop") != std::string::npos; }, kPatience));
  EXPECT_EQ(simulated(1)["klippy_state"], "ready");
  EXPECT_EQ(simulated(1)["emergency_stops"], 1);
}

TEST_F(EmergencyStopTest, TheLatchOutlivesAdapterAndKlipper) {
  begin(1);
  EXPECT_EQ(stop("sim-1").status, 200);
  ASSERT_TRUE(eventually([&] { return events("EmergencyLatched").size() == 1; }, kPatience));
  shop.adapters->kill();
  shop.adapters.reset();
  EXPECT_TRUE(is_latched("sim-1"));
  restart_klipper(1);
  shop.start_adapters();
  ASSERT_TRUE(eventually([&] { return shop.machine("sim-1").value("state", "") == "ready"; }, kPatience));
  shop.adapters->kill();
  shop.adapters.reset();
  EXPECT_TRUE(is_latched("sim-1"));
  EXPECT_EQ(events("EmergencyLatched").size(), 1u) << "told once";
}

TEST_F(EmergencyStopTest, AdaptersThatWereAwayLearnOfItFromTheHub) {
  begin(1);
  shop.adapters.reset();
  EXPECT_EQ(stop("sim-1").status, 200);
  restart_klipper(1);
  EXPECT_FALSE(is_latched("sim-1"));
  shop.start_adapters();
  ASSERT_TRUE(eventually([&] { return events("EmergencyLatched", "sim-1").size() == 1; }, kPatience));
  shop.adapters->kill();
  shop.adapters.reset();
  EXPECT_TRUE(is_latched("sim-1"));
}

}  // namespace
}  // namespace millrace
