// SPDX-License-Identifier: Apache-2.0
// Every command's topic by whoever may publish on it, through a real Mosquitto to a machine's desk: who may ask for
// what, and what the machine gets to see of the rest.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "bus/command_key.h"
#include "producers/command_reception.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"
#include "tests/unit/safety/machine_fixture.h"

namespace millrace {
namespace {

using namespace testing;
using nlohmann::json;

// What each command needs, written down a second time by hand, and arguments that a machine takes.
struct Row {
  std::string command;
  std::string scope;
  std::string args;
};
const std::vector<Row> kRows = {{"start", "operate", R"({"filename":"a.gcode"})"},
                                {"pause", "operate", "{}"},
                                {"resume", "operate", "{}"},
                                {"cancel", "operate", "{}"},
                                {"reset_emergency", "operate", "{}"},
                                {"firmware_restart", "operate", "{}"},
                                {"host_restart", "operate", "{}"},
                                {"set_temperature", "operate", R"({"heater":"heater_bed","target":50})"},
                                {"set_fan", "operate", R"({"speed":0.5})"},
                                {"set_speed_factor", "operate", R"({"factor":1})"},
                                {"set_flow_factor", "operate", R"({"factor":1})"},
                                {"home", "operate", "{}"},
                                {"move", "operate", R"({"x":10,"feedrate":600})"},
                                {"gcode", "gcode", R"({"script":"M117 hi"})"},
                                {"macro", "gcode", R"({"name":"CLEAN_NOZZLE"})"},
                                {"exclude_object", "operate", R"({"name":"HOOK"})"},
                                {"set_power", "operate", R"({"device":"psu","on":false})"},
                                {"set_pin", "operate", R"({"pin":"caselight","value":1})"},
                                {"set_light", "operate", R"({"light":"strip","red":1})"},
                                {"queue_add", "operate", R"({"filenames":["a.gcode"]})"},
                                {"queue_start", "operate", "{}"},
                                {"queue_pause", "operate", "{}"},
                                {"queue_remove", "operate", R"({"all":true})"},
                                {"cool_down", "operate", "{}"},
                                {"load_filament", "operate", "{}"},
                                {"unload_filament", "operate", "{}"},
                                {"plate_cleared", "operate", "{}"}};
const std::vector<std::string> kScopes = {"read", "operate", "gcode", "moderate", "administer"};

class CommandTopicsTest : public ::testing::Test, private EventSink {
 protected:
  void SetUp() override {
    SystemRandom random;
    key = read_or_make_command_key(directory / "command_key", random).value();
    broker.start();
    commands = make_mqtt_client({.url = broker.url(), .mqtt5 = true});
    reception = std::make_unique<CommandReception>(
        loop, *commands, topics, reception_options(), clock, *metrics,
        [this](const std::string& machine, AskedCommand asked) { return deliver(machine, std::move(asked)); });
    reception->start();
    commands->start();
    asker = make_mqtt_client({.url = broker.url()});
    asker->on_message([this](const MqttClient::Message& message) { hear(message); });
    asker->subscribe("millrace/v1/result/#", 1);
    asker->subscribe("millrace/v1/config/#", 1);
    asker->subscribe("replies/#", 1);
    asker->start();
    thread = std::thread([this] { loop.run(); });
    ASSERT_TRUE(eventually([this] { return commands->connected() && asker->connected(); }));
  }
  void TearDown() override {
    asker->stop();
    commands->stop();
    loop.stop();
    thread.join();
  }

  void ask(const std::string& command, const json& message, Retain retain = Retain::kNo) {
    ASSERT_TRUE(asker->publish("millrace/v1/command/voron-2/" + command, message.dump(), 1, retain));
  }
  // The rules that an answer names, empty for one that was accepted; waits for it.
  std::set<std::string> refusals_of(const std::string& id) {
    json answer;
    EXPECT_TRUE(eventually([&] {
      std::lock_guard lock(mutex);
      const auto found = heard.find("millrace/v1/result/voron-2/" + id);
      if (found != heard.end()) answer = found->second;
      return found != heard.end();
    })) << id;
    std::set<std::string> rules;
    for (const json& reason : answer.value("reasons", json::array())) rules.insert(reason["rule"]);
    return rules;
  }
  bool was_called() {
    std::lock_guard lock(mutex);
    return !calls.empty();
  }

  TemporaryDirectory directory;
  Broker broker{directory / "broker"};
  const Topics topics;
  SystemClock clock;
  std::unique_ptr<Metrics> metrics = make_metrics();
  std::string key;
  IoLoop loop;
  std::unique_ptr<MqttClient> commands;
  std::unique_ptr<MqttClient> asker;
  std::unique_ptr<CommandReception> reception;
  std::thread thread;
  std::mutex mutex;
  std::map<std::string, json> heard;  // the first answer on each topic
  std::vector<std::string> calls;     // methods that the machine was asked for

  CommandMemory memory;  // of all desks; the loop's thread's own

 private:
  CommandReceptionOptions reception_options() {
    CommandReceptionOptions options;
    options.key_file = directory / "command_key";
    options.mqtt_scopes = {Scope::kRead, Scope::kOperate};
    // A key is called as its scopes are.
    options.key_holder = [](std::string_view api_key) -> Result<KeyHolder> {
      if (api_key == "all") return KeyHolder{"k0", "all", ScopeSet::all(), {}};
      if (api_key == "other machine") return KeyHolder{"k1", "other", ScopeSet::all(), {"mk4"}};
      const auto scope = scope_from(api_key);
      if (!scope) return make_error(Errc::kInvalidArgument, "there is no such key");
      return KeyHolder{"k2", std::string(api_key), {*scope}, {}};
    };
    return options;
  }
  // A desk for each command, so that none stands in the other's way.
  bool deliver(const std::string& machine, AskedCommand asked) {
    EventBatch events(machine, clock, *this);
    memory.under_way.clear();
    CommandDesk::Machine parts;
    const auto printing = std::set<std::string>{"pause", "cancel", "exclude_object"}.contains(asked.message.command);
    parts.snapshot = [&, command = asked.message.command] {
      MachineSnapshot snapshot = command == "resume" ? paused_printer()
                                 : printing          ? printing_printer()
                                                     : ready_printer();
      snapshot.objects = {"HOOK"};
      snapshot.excluded_objects.clear();
      return snapshot;
    };
    parts.factor = [](const std::string&) { return 1.0; };
    parts.print_file = [] { return std::string(); };
    parts.limits = [] { return Limits(); };
    parts.call = [this](const std::string& method, const std::string&, std::chrono::milliseconds, JsonRpc::Callback) {
      note_call(method);
      return true;
    };
    parts.read = [this](const MachineRead& wanted) {
      note_call(wanted.method);
      wanted.done(RpcReply{});  // no answer
    };
    parts.reply = [&](const CommandReply& reply) { reception->reply(machine, reply); };
    parts.clear_plate = [](const AskedCommand&) {};
    parts.reset_emergency = [](const AskedCommand&, const std::string&) {};
    CircuitBreaker breaker(clock);
    CommandDesk desk({.machine = machine}, clock, events, memory, breaker, std::move(parts));
    desk.take(std::move(asked));
    return true;
  }
  void note_call(const std::string& method) {
    std::lock_guard lock(mutex);
    calls.push_back(method);
  }
  void hear(const MqttClient::Message& message) {
    std::lock_guard lock(mutex);
    heard.emplace(std::string(message.topic), json::parse(message.payload, nullptr, false));
  }
  EventId next_id() const override { return {"voron-2", 1, 1}; }
  void emit(std::vector<EventDraft>, std::string_view) override {}
};

TEST_F(CommandTopicsTest, EveryCommandIsThoughtAbout) {
  std::set<std::string> thought_about = {"emergency_stop"};  // any key; CommandReception leaves it to the stopper
  for (const Row& row : kRows) thought_about.insert(row.command);
  for (const CommandText& command : command_texts()) {
    EXPECT_TRUE(thought_about.contains(std::string(command.name))) << command.name;
  }
}

TEST_F(CommandTopicsTest, EachScopeOpensItsCommandsAndNoOther) {
  for (const Row& row : kRows) {
    for (const std::string& scope : kScopes) {
      const std::string id = scope + "-" + row.command;
      ask(row.command, {{"id", id}, {"key", scope}, {"args", json::parse(row.args)}});
      const auto refused = refusals_of(id);
      EXPECT_EQ(refused.contains("scope_missing"), scope != row.scope) << id;
      if (scope == row.scope) EXPECT_TRUE(refused.empty()) << id << ": " << *refused.begin();
    }
    const std::string id = "all-" + row.command;
    ask(row.command, {{"id", id}, {"key", "all"}, {"args", json::parse(row.args)}});
    EXPECT_TRUE(refusals_of(id).empty()) << id;
    const std::string plain = "plain-" + row.command;  // no key: what the configuration gives to the broker's users
    ask(row.command, {{"id", plain}, {"args", json::parse(row.args)}});
    const bool wants_a_person = row.command == "reset_emergency";
    EXPECT_EQ(refusals_of(plain).empty(), row.scope == "operate" && !wants_a_person) << plain;
    EXPECT_EQ(refusals_of(plain).contains("key_required"), wants_a_person) << plain;
  }
}

TEST_F(CommandTopicsTest, AKeyOfScopesThatDoNotFitReachesNoMachine) {
  for (const Row& row : kRows) {
    for (const char* holder : {"read", "moderate", "administer", "nobody", "other machine"}) {
      const std::string id = fmt::format("{}-{}", holder[0] == 'o' ? "other" : holder, row.command);
      ask(row.command, {{"id", id}, {"key", holder}, {"args", json::parse(row.args)}});
      const auto refused = refusals_of(id);
      const char* rule = holder == std::string("nobody")          ? "key_invalid"
                         : holder == std::string("other machine") ? "machine_not_allowed"
                                                                  : "scope_missing";
      EXPECT_TRUE(refused.contains(rule)) << id;
    }
  }
  EXPECT_FALSE(was_called());
}

TEST_F(CommandTopicsTest, WhatTheHubSignsIsItsActorsAndNothingElseIs) {
  CommandMessage message;
  message.id = "signed";
  message.machine = "voron-2";
  message.command = "gcode";
  message.args = R"({"script":"M117 hi"})";
  message.actor = "Anna";
  message.scopes = {"operate", "gcode"};
  message.order = {1, 2};
  const std::string topic = "millrace/v1/command/voron-2/gcode";
  const std::string text = encode_signed_command(message, key);
  ASSERT_TRUE(asker->publish(topic, text, 1, Retain::kNo));
  EXPECT_TRUE(refusals_of("signed").empty());
  {
    std::lock_guard lock(mutex);
    EXPECT_EQ(calls.size(), 1u);
    calls.clear();
  }
  message.id = "forged";
  json forged = json::parse(encode_signed_command(message, std::string(64, '0')));
  ASSERT_TRUE(asker->publish(topic, forged.dump(), 1, Retain::kNo));
  // The same text on another command's topic.
  ASSERT_TRUE(asker->publish("millrace/v1/command/voron-2/macro", text, 1, Retain::kNo));
  ASSERT_TRUE(asker->publish(topic, R"({"id":"claims","actor":"Anna","args":{"script":"M117 hi"}})", 1, Retain::kNo));
  EXPECT_TRUE(refusals_of("claims").contains("scope_missing")) << "who is claimed has no rights";
  ASSERT_TRUE(asker->publish(topic, R"({"id":"scopes","scopes":["gcode"],"args":{"script":"M117"}})", 1, Retain::kNo));
  ASSERT_TRUE(asker->publish(topic, R"({"id":"last","args":{"script":"M117"}})", 1, Retain::kNo));
  EXPECT_TRUE(refusals_of("last").contains("scope_missing"));
  EXPECT_FALSE(was_called());
}

TEST_F(CommandTopicsTest, WhatTheHubSignedIsTakenOnce) {
  CommandMessage message;
  message.machine = "voron-2";
  message.command = "gcode";
  message.args = R"({"script":"M117 hi"})";
  message.actor = "Anna";
  message.scopes = {"gcode"};
  const std::string topic = "millrace/v1/command/voron-2/gcode";
  std::vector<std::string> texts;
  for (uint64_t i = 1; i <= 2; ++i) {
    message.id = fmt::format("signed-{}", i);
    message.order = {1, i};
    texts.push_back(encode_signed_command(message, key));
    ASSERT_TRUE(asker->publish(topic, texts.back(), 1, Retain::kNo));
    EXPECT_TRUE(refusals_of(message.id).empty());
  }
  ASSERT_TRUE(asker->publish(topic, texts[0], 1, Retain::kNo));
  ASSERT_TRUE(eventually([this] {
    std::lock_guard lock(mutex);
    return std::any_of(heard.begin(), heard.end(), [](const auto& entry) {
      return !entry.second["reasons"].empty() && entry.second["reasons"][0]["rule"] == "replayed";
    });
  }));
  std::lock_guard lock(mutex);
  EXPECT_EQ(calls.size(), 2u);
}

TEST_F(CommandTopicsTest, WhatIsRetainedIsNotCarriedOut) {
  ask("home", {{"id", "kept"}, {"key", "all"}}, Retain::kYes);
  EXPECT_TRUE(eventually([this] {
    std::lock_guard lock(mutex);
    for (const auto& [topic, answer] : heard) {
      if (!answer["reasons"].empty() && answer["reasons"][0]["rule"] == "retained") return true;
    }
    return false;
  }));
  EXPECT_FALSE(was_called());
  ask("home", {}, Retain::kYes);
}

// Else whoever may ask could have anything published with the program's rights.
TEST_F(CommandTopicsTest, AnAnswerGoesToNoTopicThatOthersRelyOn) {
  loop.post([this] {
    for (const char* topic : {"millrace/v1/config/voron-2", "millrace/v1/result/mk4/x", "replies/a"}) {
      reception->reply("voron-2", {"c1", R"({"status":"accepted"})", topic, ""});
    }
  });
  EXPECT_TRUE(eventually([this] {
    std::lock_guard lock(mutex);
    return heard.contains("replies/a");
  }));
  std::lock_guard lock(mutex);
  EXPECT_TRUE(heard.contains("millrace/v1/result/voron-2/c1"));
  EXPECT_EQ(heard.size(), 2u);
}

}  // namespace
}  // namespace millrace
