// SPDX-License-Identifier: Apache-2.0
// The users, topics and TLS that ./run and docs/broker.md give to a Mosquitto, on a real one.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "bus/file_io.h"
#include "bus/mqtt_client.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"
#include "tests/support/tls_proxy.h"

namespace millrace {
namespace {

using namespace testing;

class BrokerSecurityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto conf = directory / "mosquitto.conf";
    const std::string script =
        ". scripts/broker.sh; prepare_broker \"$1\" \"$2\" \"$3\" '' millrace product-password millrace";
    auto prepared = ChildProcess::start({"bash", "-c", "cd '" MILLRACE_SOURCE_DIR "' && " + script, "prepare",
                                         conf.string(), std::to_string(port), folder().string()},
                                        directory / "prepare.log");
    ASSERT_TRUE(prepared);
    ASSERT_EQ(prepared->wait(), 0) << text_of(directory / "prepare.log");
    std::ofstream(conf, std::ios::app) << "listener " << tls_port << " 127.0.0.1\ncafile "
                                       << certificates.authority.string() << "\ncertfile "
                                       << certificates.certificate.string() << "\nkeyfile " << certificates.key.string()
                                       << "\nuser root\n";
    const std::string program = std::filesystem::exists("/usr/sbin/mosquitto") ? "/usr/sbin/mosquitto" : "mosquitto";
    broker.emplace(ChildProcess::start({program, "-c", conf.string()}, directory / "mosquitto.log").value());
    ASSERT_TRUE(eventually([&] { return loopback_port_answers(port) && loopback_port_answers(tls_port); }))
        << text_of(directory / "mosquitto.log");
  }

  std::filesystem::path folder() const { return directory / "broker"; }
  static std::string text_of(const std::filesystem::path& file) {
    auto text = read_file(file);
    return text ? std::move(*text) : "(none)";
  }
  std::string password_of(const std::string& user) const {
    if (user == "millrace") return "product-password";
    std::string text = text_of(folder() / (user + ".password"));
    while (text.ends_with('\n')) text.pop_back();
    return text;
  }
  MqttOptions options_for(const std::string& user) const {
    MqttOptions options;
    options.url = "mqtt://127.0.0.1:" + std::to_string(port);
    options.username = user;
    if (!user.empty()) options.password = password_of(user);
    return options;
  }
  // nullptr: it is not let in within a while.
  static std::unique_ptr<MqttClient> connected(MqttOptions options,
                                               std::chrono::seconds patience = std::chrono::seconds(10)) {
    auto client = make_mqtt_client(std::move(options));
    client->start();
    if (eventually([&] { return client->connected(); }, patience)) return client;
    client->stop();
    return nullptr;
  }

  TemporaryDirectory directory;
  const uint16_t port = free_loopback_port();
  const uint16_t tls_port = free_loopback_port();
  const TestCertificates certificates{directory.path(), "localhost"};
  std::optional<ChildProcess> broker;
};

const std::vector<std::string> kTopics = {"millrace/v1/ingest/voron-2",
                                          "millrace/v1/recorded/voron-2",
                                          "millrace/v1/config/voron-2",
                                          "millrace/v1/command/voron-2/x",
                                          "millrace/v1/result/voron-2/c1",
                                          "millrace/v1/event/voron-2/x",
                                          "millrace/v1/state/voron-2/x",
                                          "millrace/v1/status/voron-2",
                                          "millrace/v1/log/anchor",
                                          "millrace/v1/reply/openpnp/1",
                                          "millrace/v1/reply/home-assistant/1",
                                          "homeassistant/device/x/config",
                                          "tele/shelf/SENSOR"};

const std::map<std::string, std::set<std::string>> kMayWrite = {
    {"adapters",
     {"millrace/v1/ingest/voron-2", "millrace/v1/result/voron-2/c1", "millrace/v1/status/voron-2",
      "millrace/v1/reply/openpnp/1", "millrace/v1/reply/home-assistant/1"}},
    {"home-assistant",
     {"millrace/v1/command/voron-2/x", "millrace/v1/reply/home-assistant/1", "homeassistant/device/x/config"}},
    {"openpnp", {"millrace/v1/command/voron-2/x", "millrace/v1/reply/openpnp/1"}},
    {"devices", {"tele/shelf/SENSOR"}},
    {"millrace", {kTopics.begin(), kTopics.end()}}};

const std::map<std::string, std::set<std::string>> kMayRead = {
    {"adapters",
     {"millrace/v1/recorded/voron-2", "millrace/v1/config/voron-2", "millrace/v1/command/voron-2/x",
      "millrace/v1/status/voron-2"}},
    {"home-assistant",
     {"millrace/v1/event/voron-2/x", "millrace/v1/state/voron-2/x", "millrace/v1/status/voron-2",
      "millrace/v1/result/voron-2/c1", "millrace/v1/reply/home-assistant/1", "homeassistant/device/x/config"}},
    {"openpnp",
     {"millrace/v1/result/voron-2/c1", "millrace/v1/state/voron-2/x", "millrace/v1/status/voron-2",
      "millrace/v1/reply/openpnp/1"}},
    {"devices", {"tele/shelf/SENSOR"}}};

TEST_F(BrokerSecurityTest, NobodyComesInWithoutItsPassword) {
  EXPECT_EQ(connected(options_for(""), std::chrono::seconds(1)), nullptr);
  MqttOptions wrong = options_for("home-assistant");
  wrong.password = "guess";
  EXPECT_EQ(connected(wrong, std::chrono::seconds(1)), nullptr);
  EXPECT_NE(connected(options_for("home-assistant")), nullptr);
}

TEST_F(BrokerSecurityTest, EachUserWritesItsOwnTopicsAlone) {
  std::mutex mutex;
  std::map<std::string, std::set<std::string>> heard;  // by payload, which is the user
  auto listener = make_mqtt_client(options_for("millrace"));
  listener->on_message([&](const MqttClient::Message& message) {
    std::lock_guard lock(mutex);
    heard[std::string(message.payload)].insert(std::string(message.topic));
  });
  listener->subscribe("#", 1);
  listener->start();
  ASSERT_TRUE(eventually([&] { return listener->connected(); }));
  for (const auto& [user, topics] : kMayWrite) {
    const auto client = connected(options_for(user));
    ASSERT_NE(client, nullptr) << user;
    for (const std::string& topic : kTopics) ASSERT_TRUE(client->publish(topic, user, 1, Retain::kNo));
    // The last one that is allowed is behind all that are not.
    EXPECT_TRUE(eventually([&, name = user, wanted = topics.size()] {
      std::lock_guard lock(mutex);
      return heard[name].size() >= wanted;
    })) << user;
    client->stop();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  listener->stop();
  for (const auto& [user, topics] : kMayWrite) EXPECT_EQ(heard[user], topics) << user;
}

TEST_F(BrokerSecurityTest, EachUserHearsItsOwnTopicsAlone) {
  std::mutex mutex;
  std::map<std::string, std::set<std::string>> heard;
  std::vector<std::unique_ptr<MqttClient>> clients;
  for (const auto& [user, topics] : kMayRead) {
    auto& client = clients.emplace_back(make_mqtt_client(options_for(user)));
    client->on_message([&, user = user](const MqttClient::Message& message) {
      std::lock_guard lock(mutex);
      heard[user].insert(std::string(message.topic));
    });
    client->subscribe("#", 1);
    client->start();
    ASSERT_TRUE(eventually([&] { return client->connected(); })) << user;
  }
  const auto product = connected(options_for("millrace"));
  ASSERT_NE(product, nullptr);
  for (const std::string& topic : kTopics) ASSERT_TRUE(product->publish(topic, "x", 1, Retain::kNo));
  EXPECT_TRUE(eventually([&] {
    std::lock_guard lock(mutex);
    return heard == kMayRead;
  }));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  for (const auto& client : clients) client->stop();
  EXPECT_EQ(heard, kMayRead);
}

TEST_F(BrokerSecurityTest, TlsIsForTheNameAndTheAuthorityThatAreExpected) {
  MqttOptions options = options_for("adapters");
  options.url = "mqtts://localhost:" + std::to_string(tls_port);
  options.ca_file = certificates.authority.string();
  EXPECT_NE(connected(options), nullptr);
  const auto refused = [&](const MqttOptions& wrong) {
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(connected(wrong, std::chrono::seconds(2)), nullptr);
    return ::testing::internal::GetCapturedStdout();
  };
  MqttOptions other_name = options;
  other_name.url = "mqtts://127.0.0.1:" + std::to_string(tls_port);
  EXPECT_THAT(refused(other_name), ::testing::HasSubstr("its certificate is for another name; trying on"));
  MqttOptions other_authority = options;
  other_authority.ca_file.clear();
  EXPECT_THAT(refused(other_authority), ::testing::HasSubstr("failure: certificate verify failed; trying on"));
}

TEST_F(BrokerSecurityTest, PasswordsAreKeptForTheirOwnerAndHashed) {
  for (const char* user : {"adapters", "home-assistant", "openpnp", "devices"}) {
    const auto status = std::filesystem::status(folder() / (std::string(user) + ".password"));
    EXPECT_EQ(status.permissions() & std::filesystem::perms::all, static_cast<std::filesystem::perms>(0600)) << user;
    EXPECT_EQ(text_of(folder() / "passwords").find(password_of(user)), std::string::npos) << user;
  }
  EXPECT_EQ(text_of(folder() / "passwords").find("product-password"), std::string::npos);
}

}  // namespace
}  // namespace millrace
