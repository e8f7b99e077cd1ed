// SPDX-License-Identifier: Apache-2.0
// Commands for machines that nobody serves, by a real Mosquitto: answered, and recorded a few times a minute.
#include "cli/unserved_commands.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using nlohmann::json;

class UnservedCommandsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    broker.start();
    UnservedCommands::Parts parts{make_mqtt_client({.url = broker.url(), .mqtt5 = true}),
                                  Topics(),
                                  reception(),
                                  [this](const std::string& machine) { return why(machine); },
                                  [this](HubWrite write) { record(std::move(write)); },
                                  clock,
                                  *metrics};
    client = parts.client.get();
    unserved = std::make_unique<UnservedCommands>(UnservedCommandsOptions{.patience = 100ms}, std::move(parts));
    unserved->start();
    asker = make_mqtt_client({.url = broker.url()});
    asker->on_message([this](const MqttClient::Message& message) {
      std::lock_guard lock(mutex);
      heard.emplace(message.topic, json::parse(message.payload));
    });
    asker->subscribe("millrace/v1/result/#", 1);
    asker->start();
    ASSERT_TRUE(eventually([this] { return client->connected() && asker->connected(); }));
  }
  void TearDown() override {
    asker->stop();
    unserved->stop();
  }

  void ask(const std::string& machine, const std::string& command, const std::string& message,
           Retain retain = Retain::kNo) {
    ASSERT_TRUE(asker->publish("millrace/v1/command/" + machine + "/" + command, message, 1, retain));
  }
  // The rules that the answer on result/<level> names; waits for it.
  std::vector<std::string> refusals_on(const std::string& level) {
    json answer;
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(mutex);
      const auto found = heard.find("millrace/v1/result/" + level);
      if (found != heard.end()) answer = found->second;
      return found != heard.end();
    })) << level;
    std::vector<std::string> rules;
    EXPECT_EQ(answer.value("status", ""), "rejected") << answer;
    for (const json& reason : answer.value("reasons", json::array())) rules.push_back(reason["rule"]);
    return rules;
  }
  size_t answers() {
    std::lock_guard lock(mutex);
    return heard.size();
  }
  // "pause by Anna of '': machine_not_found", as recorded.
  std::vector<std::string> rejected() {
    std::lock_guard lock(mutex);
    std::vector<std::string> lines;
    for (const EventDraft& draft : events) {
      const auto* event = draft.payload.AsCommandRejected();
      if (event == nullptr) continue;
      lines.push_back(fmt::format("{} by {} of '{}':", event->command, draft.actor, draft.machine));
      for (const auto& reason : event->reasons) lines.back() += " " + reason->rule;
    }
    return lines;
  }
  size_t requested() {
    std::lock_guard lock(mutex);
    return static_cast<size_t>(std::count_if(events.begin(), events.end(), [](const EventDraft& draft) {
      return draft.payload.AsCommandRequested() != nullptr;
    }));
  }

  std::optional<UnservedCommands::Reason> why(const std::string& machine) {
    std::lock_guard lock(mutex);
    if (served.contains(machine)) return std::nullopt;
    if (machine == "mk4") return UnservedCommands::Reason{{"machine_disabled", "'mk4' is disabled"}, true};
    return UnservedCommands::Reason{{"machine_not_found", "there is no machine '" + machine + "'"}, false};
  }

  TemporaryDirectory directory;
  Broker broker{directory / "broker"};
  SystemClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  MqttClient* client = nullptr;
  std::unique_ptr<UnservedCommands> unserved;
  std::unique_ptr<MqttClient> asker;
  std::mutex mutex;
  std::set<std::string> served{"voron-2"};
  std::map<std::string, json> heard;
  std::vector<EventDraft> events;

 private:
  static CommandReceptionOptions reception() {
    CommandReceptionOptions options;
    options.key_holder = [](std::string_view key) -> Result<KeyHolder> {
      if (key == "annas") return KeyHolder{"k1", "Anna", ScopeSet::all(), {}};
      return make_error(Errc::kInvalidArgument, "there is no such key");
    };
    return options;
  }
  void record(HubWrite write) {
    std::lock_guard lock(mutex);
    std::move(write.events.begin(), write.events.end(), std::back_inserter(events));
    write.done(Position{1});
  }
};

TEST_F(UnservedCommandsTest, AnUnknownMachineIsToldAndRecorded) {
  ask("none", "pause", R"({"id":"c1","key":"annas"})");
  EXPECT_EQ(refusals_on("none/c1"), (std::vector<std::string>{"machine_not_found"}));
  ask("mk4", "home", R"({"id":"c2"})");
  EXPECT_EQ(refusals_on("mk4/c2"), (std::vector<std::string>{"machine_disabled"}));
  ASSERT_TRUE(eventually([&] { return rejected().size() == 2; }));
  EXPECT_EQ(rejected(), (std::vector<std::string>{"pause by Anna of '': machine_not_found",
                                                  "home by mqtt of 'mk4': machine_disabled"}))
      << "an unknown name makes no machine";
  EXPECT_EQ(requested(), 2u);
}

TEST_F(UnservedCommandsTest, WhatElseIsWrongIsToldBesideIt) {
  ask("none", "pause", R"({"id":"c1","key":"nobodys"})");
  EXPECT_EQ(refusals_on("none/c1"), (std::vector<std::string>{"machine_not_found", "key_invalid"}));
  ask("none", "home", R"({"id":"c2"})", Retain::kYes);
  EXPECT_EQ(refusals_on("none/c2"), (std::vector<std::string>{"machine_not_found", "retained"}));
  ask("none", "explode", "hello");
  ASSERT_TRUE(eventually([&] { return rejected().size() == 3; }));
  EXPECT_EQ(rejected().back(), "explode by  of '': machine_not_found malformed");
}

TEST_F(UnservedCommandsTest, AStopOfAMachineThatIsNotThereIsNoSilence) {
  ask("all", "emergency_stop", "{}");
  ask("voron-2", "emergency_stop", "{}");
  ask("none", "emergency_stop", R"({"reason":"smoke"})");
  ASSERT_TRUE(eventually([&] { return answers() == 1 && !rejected().empty(); }));
  EXPECT_EQ(rejected(), (std::vector<std::string>{"emergency_stop by mqtt of '': machine_not_found"}));
}

TEST_F(UnservedCommandsTest, WhatIsServedOrIsAMomentLaterIsLeftToItsAdapter) {
  ask("voron-2", "pause", R"({"id":"c1"})");
  ask("new", "pause", R"({"id":"c2"})");
  {
    std::lock_guard lock(mutex);
    served.insert("new");
  }
  ask("none", "pause", R"({"id":"c3"})");
  EXPECT_EQ(refusals_on("none/c3").size(), 1u);
  EXPECT_EQ(answers(), 1u);
}

TEST_F(UnservedCommandsTest, AFloodIsAnsweredAndFillsNoLog) {
  constexpr size_t kMany = 400;  // more than are held
  for (size_t i = 0; i < kMany; ++i) ask(fmt::format("m{}", i), "pause", R"({"id":"c1"})");
  ASSERT_TRUE(eventually([&] { return answers() == kMany; }));
  EXPECT_EQ(rejected().size(), 3u);
}

}  // namespace
}  // namespace millrace
