// SPDX-License-Identifier: Apache-2.0
// Machines that are added, changed, disabled and removed while everything runs, and the secrets that go with them.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "bus/clock.h"
#include "net/http_client.h"
#include "producers/simulator/simulator.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

constexpr const char* kCanary = "canary-5f1c0a77e2";
constexpr std::chrono::seconds kPatience{60};

SimulatorOptions with_key(const std::string& api_key) {
  SimulatorOptions options;
  options.api_key = api_key;
  return options;
}

SimulatorOptions with_login(const std::string& username, const std::string& password) {
  SimulatorOptions options;
  options.username = username;
  options.password = password;
  return options;
}

// A machine that asks for a key or a login, in a thread of the test.
class KeyedMachine {
 public:
  explicit KeyedMachine(const std::string& api_key, const std::string& behaviour = "steady")
      : KeyedMachine(with_key(api_key), behaviour) {}
  explicit KeyedMachine(SimulatorOptions options, const std::string& behaviour = "steady") {
    options.speed = 20;
    SimulatedMachine machine;
    machine.name = "sim";
    machine.behaviour = behaviour;
    options.machines = {machine};
    simulator_ = Simulator::start(loop_, clock_, options).value();
    port_ = simulator_->ports().at(0);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~KeyedMachine() {
    loop_.stop();
    thread_.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int connections() const {
    const auto answer = http_request({.url = url() + "/sim/state"});
    return answer ? json::parse(answer->body)["result"]["connections"].get<int>() : -1;
  }

 private:
  SystemClock clock_;
  IoLoop loop_;
  std::unique_ptr<Simulator> simulator_;
  uint16_t port_ = 0;
  std::thread thread_;
};

class MachinesTest : public ::testing::Test {
 protected:
  struct Answer {
    int status = 0;
    json body;
    std::string text;
  };
  // The machine "m", with the key that is looked for where it must not be.
  Answer make_by_api(const KeyedMachine& sim) {
    return ask("POST", "/api/v1/machines",
               {{"id", "m"}, {"name", "M"}, {"moonraker_url", sim.url()}, {"api_key", kCanary}});
  }
  Answer ask(const std::string& method, const std::string& path, const json& body = nullptr) {
    HttpClientRequest request;
    request.method = method;
    request.url = "http://127.0.0.1:" + std::to_string(shop.http_port) + path;
    if (!body.is_null()) request.body = body.dump();
    request.headers = {{"Content-Type", "application/json"}};
    request.timeout = std::chrono::seconds(30);
    const auto answer = http_request(request);
    if (!answer) return {};
    EXPECT_EQ(answer->body.find(kCanary), std::string::npos) << path;
    return {answer->status, json::parse(answer->body, nullptr, false), answer->body};
  }
  bool connected(const std::string& id) {
    return eventually([&] { return shop.machine(id).value("connection", "") == "connected"; }, kPatience);
  }
  bool disconnected(const std::string& id) {
    return eventually([&] { return shop.machine(id).value("connection", "") == "disconnected"; }, kPatience);
  }
  bool has_condition(const std::string& id, const std::string& name) {
    for (const json& condition : shop.machine(id).value("conditions", json::array())) {
      if (condition["condition"] == name) return true;
    }
    return false;
  }
  static std::string text_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
  }
  void append_to_config(const std::string& text) const { std::ofstream(shop.config(), std::ios::app) << text; }
  // The files below the shop's folder that hold the text, of any kind.
  std::vector<std::string> files_with(const std::string& text) {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(shop.directory())) {
      if (!entry.is_regular_file()) continue;
      if (text_of(entry.path()).find(text) != std::string::npos) found.push_back(entry.path().filename().string());
    }
    return found;
  }

  Shop shop;
};

TEST_F(MachinesTest, AreAddedChangedDisabledAndRemovedWithoutARestart) {
  KeyedMachine sim(kCanary);
  shop.start_all();
  const Answer added = ask("POST", "/api/v1/machines",
                           {{"name", "Voron 2"},
                            {"moonraker_url", sim.url()},
                            {"api_key", kCanary},
                            {"location", "Cellar"},
                            {"loaded_materials", json::array({"PLA"})}});
  ASSERT_EQ(added.status, 201) << added.text;
  EXPECT_EQ(added.body["id"], "voron-2");
  EXPECT_EQ(added.body["managed_by"], "api");
  EXPECT_EQ(added.body["has_api_key"], true);
  ASSERT_TRUE(connected("voron-2"));
  ASSERT_TRUE(eventually([&] { return !shop.jobs().empty(); }, kPatience));
  EXPECT_EQ(files_with(kCanary), std::vector<std::string>{"secrets.json"});

  const auto since = shop.machine("voron-2")["connected_since"];
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/voron-2", {{"location", "Attic"}}).body["location"], "Attic");
  EXPECT_EQ(shop.machine("voron-2")["connected_since"], since) << "nobody had to connect again for that";
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/voron-2", {{"enabled", false}}).body["enabled"], false);
  EXPECT_TRUE(disconnected("voron-2"));
  EXPECT_TRUE(eventually([&] { return sim.connections() == 0; }));
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/voron-2", {{"enabled", true}}).status, 200);
  EXPECT_TRUE(connected("voron-2"));

  const size_t jobs = shop.jobs().size();
  EXPECT_EQ(ask("DELETE", "/api/v1/machines/voron-2").status, 204);
  EXPECT_EQ(ask("GET", "/api/v1/machines/voron-2").status, 404);
  EXPECT_TRUE(eventually([&] { return sim.connections() == 0; }, kPatience));
  EXPECT_GE(shop.jobs().size(), jobs) << "its history stays";
  EXPECT_TRUE(eventually([&] {
    for (const json& job : shop.jobs()) {
      if (job["outcome"] == "running") return false;
    }
    return true;
  })) << "what ran was ended: nobody looks any more";
  ask("GET", "/api/v1/events?limit=500");
  EXPECT_EQ(files_with(kCanary), std::vector<std::string>{}) << "its secret went with it";
}

TEST_F(MachinesTest, AWrongKeyIsAConditionUntilItIsPutRight) {
  KeyedMachine sim("the-right-one", "idle");
  shop.start_all();
  ASSERT_EQ(make_by_api(sim).status, 201);
  ASSERT_TRUE(eventually([&] { return has_condition("m", "unauthorised"); }, kPatience));
  ASSERT_EQ(ask("PATCH", "/api/v1/machines/m", {{"api_key", "the-right-one"}}).status, 200);
  EXPECT_TRUE(connected("m")) << "at once, not at the next slow attempt";
  EXPECT_TRUE(eventually([&] { return !has_condition("m", "unauthorised"); }, kPatience));
}

TEST_F(MachinesTest, AMachineWithALoginIsServedAndItsFilesAreRead) {
  KeyedMachine sim(with_login("anna", kCanary));
  shop.start_all();
  const Answer added =
      ask("POST", "/api/v1/machines",
          {{"id", "m"}, {"name", "M"}, {"moonraker_url", sim.url()}, {"username", "anna"}, {"password", kCanary}});
  ASSERT_EQ(added.status, 201) << added.text;
  ASSERT_TRUE(connected("m"));
  EXPECT_EQ(files_with(kCanary), std::vector<std::string>{"secrets.json"});
  EXPECT_TRUE(eventually(
      [&] {
        for (const json& job : shop.jobs()) {
          const json sliced = shop.get("/api/v1/jobs/" + job["id"].get<std::string>()).value("sliced", json());
          if (sliced.is_object() && sliced["source"] == "file") return true;
        }
        return false;
      },
      kPatience))
      << "what the slicer wrote is read from the file, behind the same login: "
      << shop.get("/api/v1/jobs").dump().substr(0, 1500);
}

TEST_F(MachinesTest, AWrongPasswordIsAConditionUntilItIsPutRight) {
  KeyedMachine sim(with_login("anna", "the-right-one"), "idle");
  shop.start_all();
  ASSERT_EQ(ask("POST", "/api/v1/machines",
                {{"id", "m"}, {"name", "M"}, {"moonraker_url", sim.url()}, {"username", "anna"}, {"password", kCanary}})
                .status,
            201);
  ASSERT_TRUE(eventually([&] { return has_condition("m", "unauthorised"); }, kPatience));
  ASSERT_EQ(ask("PATCH", "/api/v1/machines/m", {{"password", "the-right-one"}}).status, 200);
  EXPECT_TRUE(connected("m"));
  EXPECT_TRUE(eventually([&] { return !has_condition("m", "unauthorised"); }, kPatience));
}

TEST_F(MachinesTest, AdaptersKnowTheirMachinesWithoutHubAndBroker) {
  KeyedMachine sim(kCanary, "idle");
  shop.start_all();
  ASSERT_EQ(make_by_api(sim).status, 201);
  ASSERT_TRUE(connected("m"));
  shop.adapters.reset();
  shop.hub.reset();
  shop.broker.kill();
  ASSERT_TRUE(eventually([&] { return sim.connections() == 0; }));
  shop.start_adapters();
  EXPECT_TRUE(eventually([&] { return sim.connections() == 1; }, kPatience));
}

TEST_F(MachinesTest, AMachineRemovedWhileTheAdaptersWereAwayIsNotServedAgain) {
  KeyedMachine sim("", "idle");
  shop.start_all();
  ASSERT_EQ(ask("POST", "/api/v1/machines", {{"id", "m"}, {"name", "M"}, {"moonraker_url", sim.url()}}).status, 201);
  ASSERT_TRUE(connected("m"));
  shop.adapters.reset();
  ASSERT_EQ(ask("DELETE", "/api/v1/machines/m").status, 204);
  shop.broker.kill();  // which forgets what was retained
  shop.broker.start();
  shop.start_adapters();
  const auto kept = shop.data() / "adapters" / "registry.json";
  ASSERT_TRUE(eventually([&] { return text_of(kept).find("127.0.0.1") == std::string::npos; }, kPatience));
  EXPECT_TRUE(eventually([&] { return sim.connections() == 0; }, kPatience));
  EXPECT_EQ(ask("POST", "/api/v1/machines", {{"id", "m"}, {"name", "M"}, {"moonraker_url", sim.url()}}).status, 201)
      << "the same id is the same machine again";
  EXPECT_TRUE(connected("m"));
}

TEST_F(MachinesTest, TheFilesMachinesAreTheFiles) {
  shop.start_simulator({"--machines", "1", "--behaviour", "idle"});
  shop.start_all();
  ASSERT_TRUE(connected("sim-1"));
  EXPECT_EQ(shop.machine("sim-1")["managed_by"], "config");
  const Answer refused = ask("PATCH", "/api/v1/machines/sim-1", {{"moonraker_url", "http://127.0.0.1:1"}});
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.body["code"], "managed_by_config");
  EXPECT_EQ(ask("DELETE", "/api/v1/machines/sim-1").status, 409);
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/sim-1", {{"make", "Voron Design"}}).status, 200);

  shop.adapters.reset();
  shop.hub.reset();
  const std::string kept = shop.config().string() + ".kept";
  std::filesystem::rename(shop.config(), kept);
  std::ifstream from(kept);
  std::ofstream to(shop.config());
  for (std::string line; std::getline(from, line) && line.find("[[machine]]") == std::string::npos;) to << line << "\n";
  to.close();
  shop.start_hub();
  shop.start_adapters();
  ASSERT_TRUE(shop.wait_ready());
  EXPECT_TRUE(eventually([&] { return shop.machine("sim-1").value("enabled", true) == false; }));
  EXPECT_EQ(shop.machine("sim-1")["make"], "Voron Design") << "what people said about it stays";
  EXPECT_EQ(ask("DELETE", "/api/v1/machines/sim-1").status, 204);
}

TEST_F(MachinesTest, AKeyThatIsWrittenIntoTheFileOpensTheMachineAtOnce) {
  KeyedMachine sim(kCanary, "idle");
  append_to_config("[[machine]]\nid = \"m\"\nmoonraker_url = \"" + sim.url() + "\"\n");
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return has_condition("m", "unauthorised"); }, kPatience));
  append_to_config("moonraker_api_key = \"" + std::string(kCanary) + "\"\n");
  EXPECT_TRUE(connected("m"));
  EXPECT_TRUE(eventually([&] { return !has_condition("m", "unauthorised"); }, kPatience));
  EXPECT_TRUE(eventually([&] { return ask("POST", "/api/v1/machines/m/test").body["ok"] == true; }))
      << "the hub has it too";
}

TEST_F(MachinesTest, AMachineMadeByApiMayBecomeTheFilesAndIsDisabledWithIt) {
  KeyedMachine sim(kCanary, "idle");
  shop.start_all();
  ASSERT_EQ(make_by_api(sim).status, 201);
  ASSERT_TRUE(connected("m"));
  const std::string before = text_of(shop.config());
  append_to_config("[[machine]]\nid = \"m\"\nmoonraker_url = \"" + sim.url() + "\"\nmoonraker_api_key = \"" + kCanary +
                   "\"\n");
  const auto took_it = [&] {  // hub and adapters
    const std::string output = shop.output();
    const std::string line = "machines of the configuration file: 1 added";
    const auto first = output.find(line);
    return first != std::string::npos && output.find(line, first + 1) != std::string::npos;
  };
  EXPECT_TRUE(eventually(took_it));
  EXPECT_TRUE(eventually([&] { return shop.machine("m").value("managed_by", "") == "config"; }));
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/m", {{"enabled", false}}).body["code"], "managed_by_config");
  EXPECT_TRUE(connected("m"));
  std::ofstream(shop.config()) << before;
  EXPECT_TRUE(eventually([&] { return shop.machine("m").value("enabled", true) == false; }));
  EXPECT_TRUE(disconnected("m"));
  EXPECT_TRUE(eventually([&] { return sim.connections() == 0; }));
}

TEST_F(MachinesTest, AConnectionIsTriedStepByStep) {
  KeyedMachine sim(kCanary, "idle");
  shop.start_all();
  const auto outcomes = [](const json& answer) {
    std::string text;
    for (const json& step : answer["steps"]) {
      text += step["step"].get<std::string>() + "=" + step["outcome"].get<std::string>() + " ";
      EXPECT_EQ(step["outcome"] == "failed", step["what_to_do"].is_string()) << step;
    }
    return text;
  };
  const auto tried = ask("POST", "/api/v1/machines/test", {{"moonraker_url", sim.url()}, {"api_key", kCanary}});
  ASSERT_EQ(tried.status, 200) << tried.text;
  EXPECT_EQ(outcomes(tried.body),
            "address=ok tcp=ok tls=skipped http=ok moonraker=ok authorised=ok klipper=ok objects=ok ");
  EXPECT_EQ(tried.body["ok"], true);
  EXPECT_EQ(outcomes(ask("POST", "/api/v1/machines/test", {{"moonraker_url", sim.url()}}).body),
            "address=ok tcp=ok tls=skipped http=ok moonraker=ok authorised=failed klipper=skipped objects=skipped ");
  EXPECT_EQ(outcomes(ask("POST", "/api/v1/machines/test", {{"moonraker_url", "http://127.0.0.1:1"}}).body),
            "address=ok tcp=failed tls=skipped http=skipped moonraker=skipped authorised=skipped klipper=skipped "
            "objects=skipped ");
  EXPECT_EQ(
      outcomes(ask("POST", "/api/v1/machines/test", {{"moonraker_url", "http://nowhere.invalid"}}).body).substr(0, 15),
      "address=failed ");
  const std::string itself = "http://127.0.0.1:" + std::to_string(shop.http_port);
  EXPECT_NE(outcomes(ask("POST", "/api/v1/machines/test", {{"moonraker_url", itself}}).body).find("moonraker=failed"),
            std::string::npos);
  for (const char* bad : {"file:///etc/passwd", "gopher://127.0.0.1/", "http://user:pw@host/", ""}) {
    EXPECT_EQ(ask("POST", "/api/v1/machines/test", {{"moonraker_url", bad}}).status, 400) << bad;
  }
  ASSERT_EQ(make_by_api(sim).status, 201);
  EXPECT_EQ(ask("POST", "/api/v1/machines/m/test").body["ok"], true) << "with the key that is kept";
  const auto pasted =
      ask("POST", "/api/v1/machines/test", {{"moonraker_url", sim.url()}, {"api_key", std::string(kCanary) + "\n"}});
  EXPECT_EQ(pasted.status, 400);
  EXPECT_EQ(pasted.text.find(kCanary), std::string::npos) << pasted.text;
}

}  // namespace
}  // namespace millrace
