// SPDX-License-Identifier: Apache-2.0
// The configuration file is edited while everything runs: its machines come, change and go, and nobody else notices.
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <sstream>

#include "bus/mqtt_client.h"
#include "bus/topics.h"
#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

constexpr std::chrono::seconds kPatience{60};

class ConfigReloadTest : public ::testing::Test {
 protected:
  struct Entry {
    std::string id;
    int at = 1;  // number of the simulated machine
    std::string more = {};
  };
  struct Answer {
    int status = 0;
    std::string body;
  };

  // So many idle machines are simulated, and the product runs with those of the file.
  void begin(int simulated, const std::vector<Entry>& entries) {
    const std::string without_machines = text_of(shop.config());
    shop.start_simulator({"--machines", std::to_string(simulated), "--behaviour", "idle"});
    std::istringstream lines(text_of(shop.config()));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("moonraker_url"))
        urls.push_back(line.substr(line.find('"') + 1, line.rfind('"') - line.find('"') - 1));
    }
    ASSERT_EQ(urls.size(), static_cast<size_t>(simulated));
    settings = without_machines;
    write_in_place(file_with(entries));
    shop.start_all();
    for (const Entry& entry : entries) ASSERT_TRUE(connected(entry.id)) << shop.output();
  }
  std::string file_with(const std::vector<Entry>& entries) const {
    std::string text = settings;
    for (const Entry& entry : entries) {
      text += "[[machine]]\nid = \"" + entry.id + "\"\nmoonraker_url = \"" + url(entry.at) + "\"\n" + entry.more;
    }
    return text;
  }
  void write_in_place(const std::string& text) const { std::ofstream(shop.config()) << text; }
  void replace(const std::string& text) const {
    const auto beside = shop.directory() / "millrace.toml.new";
    std::ofstream(beside) << text;
    std::filesystem::rename(beside, shop.config());
  }
  static std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string url(int number) const { return urls.at(static_cast<size_t>(number - 1)); }
  json simulated(int number) const {
    const auto answer = http_request({.url = url(number) + "/sim/state"});
    return answer ? json::parse(answer->body)["result"] : json::object();
  }
  bool left(int number) const {
    return eventually([&] { return simulated(number).value("connections", -1) == 0; }, kPatience);
  }
  bool connected(const std::string& id) {
    return eventually([&] { return shop.machine(id).value("connection", "") == "connected"; }, kPatience);
  }
  bool is_enabled(const std::string& id, bool enabled) {
    return eventually([&] { return shop.machine(id).value("enabled", !enabled) == enabled; }, kPatience);
  }
  size_t events(const std::string& type, const std::string& machine) {
    const json answer = shop.get("/api/v1/events?limit=500&type=" + type + "&machine=" + machine);
    return answer.is_object() ? answer.value("items", json::array()).size() : 0;
  }
  Answer ask(const std::string& method, const std::string& path) const {
    HttpClientRequest request;
    request.method = method;
    request.url = "http://127.0.0.1:" + std::to_string(shop.http_port) + path;
    request.timeout = std::chrono::seconds(30);
    const auto answer = http_request(request);
    return answer ? Answer{answer->status, answer->body} : Answer{};
  }
  bool is_refused(bool refused) const {
    const std::string line = std::string("\nmillrace_configuration_refused ") + (refused ? "1\n" : "0\n");
    return eventually([&] { return ask("GET", "/metrics").body.find(line) != std::string::npos; });
  }
  // By the broker, which the adapters hear.
  void publish_stop(const std::string& machine) {
    MqttOptions options;
    options.url = shop.broker.url();
    const auto client = make_mqtt_client(options);
    client->start();
    ASSERT_TRUE(eventually([&] { return client->connected(); }));
    ASSERT_TRUE(client->publish(Topics().command(machine, "emergency_stop"), "{}", 1, Retain::kNo));
    client->stop();
  }
  bool said(const std::string& text) const {
    return eventually([&] { return shop.output().find(text) != std::string::npos; });
  }

  Shop shop;
  std::vector<std::string> urls;
  std::string settings;  // the file without its machines
};

TEST_F(ConfigReloadTest, MachinesComeChangeAndGoAndTheOthersNoticeNothing) {
  begin(4, {{"a", 1}, {"b", 2}});
  const json since = shop.machine("a")["connected_since"];

  replace(file_with({{"a", 1}, {"b", 2}, {"c", 3}}));
  ASSERT_TRUE(connected("c")) << "added";
  EXPECT_TRUE(eventually([&] { return events("MachineConfigured", "c") == 1; })) << "the hub reads it by itself";
  EXPECT_EQ(shop.machine("c")["managed_by"], "config");
  EXPECT_EQ(ask("POST", "/api/v1/machines/c/emergency_stop").status, 200);
  EXPECT_EQ(simulated(3)["emergency_stops"], 1) << "of the hub";
  publish_stop("c");
  EXPECT_TRUE(eventually([&] { return simulated(3)["emergency_stops"] == 2; })) << "of the adapters";

  write_in_place(file_with({{"a", 1}}) + "[[machine]]\nid = ");
  EXPECT_TRUE(is_refused(true)) << "half a file";
  EXPECT_EQ(shop.status_of("/health/ready"), 200);
  const json health = shop.get("/health/ready")["parts"]["configuration"];
  EXPECT_NE(health["text"].get<std::string>().find("not TOML"), std::string::npos) << health;
  EXPECT_TRUE(said("the configuration file is not used, everything stays as it was: " + shop.config().string()));

  write_in_place(file_with({{"a", 1}, {"b", 4, "name = \"Renamed\"\n"}, {"c", 3}}));
  EXPECT_TRUE(left(2)) << "another address";
  EXPECT_TRUE(connected("b"));
  EXPECT_TRUE(eventually([&] { return simulated(4).value("connections", 0) > 0; }, kPatience));
  EXPECT_TRUE(eventually([&] { return shop.machine("b").value("name", "") == "Renamed"; }));
  EXPECT_TRUE(is_refused(false));

  replace(file_with({{"a", 1}, {"b", 4, "name = \"Renamed\"\n"}, {"c", 3, "enabled = false\n"}}));
  EXPECT_TRUE(is_enabled("c", false));
  EXPECT_TRUE(left(3)) << "disabled";
  EXPECT_EQ(ask("DELETE", "/api/v1/machines/c").status, 409) << "the file still has it";
  replace(file_with({{"a", 1}, {"c", 3}}));
  EXPECT_TRUE(is_enabled("b", false)) << "removed";
  EXPECT_TRUE(left(4));
  EXPECT_TRUE(is_enabled("c", true));
  EXPECT_TRUE(connected("c"));
  EXPECT_EQ(ask("DELETE", "/api/v1/machines/b").status, 204) << "the file no longer has it";

  EXPECT_EQ(events("MachineConfigured", "a"), 1u);
  EXPECT_EQ(events("MachineConfigured", "b"), 3u) << "at the start, with another address, removed";
  EXPECT_EQ(events("MachineConfigured", "c"), 3u) << "added, disabled, enabled";
  EXPECT_EQ(events("MachineDisconnected", "a"), 0u);
  EXPECT_EQ(shop.machine("a")["connected_since"], since);
  EXPECT_TRUE(said("[adapters] 2 machines are looked after"));
}

TEST_F(ConfigReloadTest, AfterSighupMachinesCountAtOnceAndOtherSettingsAreNamed) {
  begin(2, {{"a", 1}});
  const std::string kept = settings;
  settings.replace(settings.find("Test shop"), 9, "Next shop");
  replace(file_with({{"a", 1}, {"b", 2}}));
  shop.hub->signal(SIGHUP);
  shop.adapters->signal(SIGHUP);
  EXPECT_TRUE(said("SIGHUP: '" + shop.config().string() + "' is read again"));
  EXPECT_TRUE(connected("b"));
  EXPECT_TRUE(said("at the next start only: site.name"));
  EXPECT_EQ(shop.get("/api/v1/site")["name"], "Test shop");
  settings = kept;
  write_in_place(file_with({{"a", 1}, {"b", 2}}));
  EXPECT_TRUE(said("nothing waits for the next start any more"));
  EXPECT_TRUE(shop.hub->running());
  EXPECT_TRUE(shop.adapters->running());
  EXPECT_EQ(events("MachineDisconnected", "a") + events("MachineDisconnected", "b"), 0u);
}

}  // namespace
}  // namespace millrace
