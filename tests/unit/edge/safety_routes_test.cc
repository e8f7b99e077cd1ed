// SPDX-License-Identifier: Apache-2.0
// Limits, rules and alarms by way of HTTP: an edge over real sockets, and a log that takes what it submits.
#include <nlohmann/json.hpp>

#include "net/http_client.h"
#include "projections/safety_state.h"
#include "safety/monitor_rules.h"
#include "tests/unit/edge/writing_edge.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class EdgeSafetyTest : public WritingEdgeTest {
 protected:
  void SetUp() override {
    shop.say(registered("Voron 2"));
    shop.say(registered("Ender 3"), "ender-3");
    open();
  }
  template <class PayloadT>
  void say(PayloadT payload, const std::string& machine = "voron-2") {
    std::lock_guard lock(mutex);
    projector->offer(shop.say(std::move(payload), machine));
    ASSERT_TRUE(projector->wait_for(shop.log->last(), 10s));
  }
  void raise(const std::string& id, schema::AlarmLevel level = schema::AlarmLevel::warning) {
    schema::AlarmRaisedT event;
    event.alarm_id = id;
    event.rule = "temperature_drift";
    event.subject = "heater_generic a/b~c";
    event.level = level;
    event.text = "it drifts";
    say(std::move(event));
  }
  std::pair<int, json> ask(const std::string& method, const std::string& target, const json& body = nullptr) {
    HttpClientRequest request{.method = method, .url = "http://127.0.0.1:" + std::to_string(edge->port()) + target};
    request.headers = {{"Millrace-Min-Position", std::to_string(shop.log->last().value)}};
    if (!body.is_null()) {
      request.headers.emplace_back("Content-Type", "application/json");
      request.body = body.dump();
    }
    const auto answer = http_request(request);
    EXPECT_TRUE(answer.has_value()) << target;
    return answer ? std::pair(answer->status, json::parse(answer->body, nullptr, false)) : std::pair(0, json());
  }
  json get(const std::string& target) { return ask("GET", target).second; }
  json done(const std::string& method, const std::string& target, const json& body, int status = 200) {
    const auto [found, answer] = ask(method, target, body);
    EXPECT_EQ(found, status) << method << " " << target << " " << answer.dump();
    return answer;
  }
  void expect_problem(const std::string& method, const std::string& target, const json& body, int status,
                      const std::string& code, const std::string& detail = "") {
    const auto [found, answer] = ask(method, target, body);
    EXPECT_EQ(found, status) << answer.dump();
    EXPECT_EQ(answer.value("code", ""), code) << answer.dump();
    if (!detail.empty()) EXPECT_NE(answer.value("detail", "").find(detail), std::string::npos) << answer.dump();
  }
};

const std::string kLimits = "/api/v1/safety/limits/voron-2";

TEST_F(EdgeSafetyTest, LimitsAre202UntilTheAdapterWorksByThem) {
  EXPECT_EQ(get(kLimits)["status"], "applied") << "the defaults";
  const json set = done("PATCH", kLimits, {{"extruder_temp_max", 290}, {"reason", "new hotend"}}, 202);
  EXPECT_EQ(set["status"], "pending");
  EXPECT_EQ(set["limits"]["extruder_temp_max"], 290);
  EXPECT_EQ(set["limits"]["bed_temp_max"], nullptr);
  EXPECT_EQ(set["actor"], "local");
  EXPECT_EQ(set["reason"], "new hotend");
  EXPECT_EQ(set["applied"], nullptr);
  schema::LimitsAppliedT applied;
  applied.version = set["version"];
  applied.limits = std::make_unique<schema::LimitSetT>();
  applied.limits->extruder_temp_max = 275;  // Klipper's own is lower
  say(std::move(applied));
  const json now = get(kLimits);
  EXPECT_EQ(now["status"], "applied");
  EXPECT_EQ(now["limits"]["extruder_temp_max"], 290);
  EXPECT_EQ(now["applied"]["extruder_temp_max"], 275);
  EXPECT_EQ(get("/api/v1/machines/voron-2")["limits"]["extruder_temp_max"], 275);
  const size_t events = actors.size();
  done("PATCH", kLimits, {{"extruder_temp_max", 290}}, 200);
  EXPECT_EQ(actors.size(), events) << "nothing has changed";
}

TEST_F(EdgeSafetyTest, PutSaysAllLimitsAnewAndNullTakesOneAway) {
  done("PUT", kLimits, {{"x_max", 250}, {"y_max", 210}, {"require_plate_cleared", true}}, 202);
  const json put = done("PUT", kLimits, {{"x_max", 255}}, 202);
  EXPECT_EQ(put["limits"]["y_max"], nullptr);
  EXPECT_EQ(done("PATCH", kLimits, {{"x_max", nullptr}}, 202)["limits"]["x_max"], nullptr);
  const json all = get("/api/v1/safety/limits");
  EXPECT_EQ(all["total"], 2);
  EXPECT_EQ(all["items"][0]["machine"], "ender-3");
}

TEST_F(EdgeSafetyTest, WrongLimitsAreRefusedAndNothingIsRecorded) {
  expect_problem("PUT", kLimits, {{"extruder_temp_max", 1001}}, 400, "invalid_field", "0 to 1000");
  expect_problem("PUT", kLimits, {{"extruder_temp_max", "hot"}}, 400, "invalid_field");
  expect_problem("PUT", kLimits, {{"pwm_max", -0.1}}, 400, "invalid_field");
  expect_problem("PUT", kLimits, {{"x_min", 5}, {"x_max", 5}}, 400, "invalid_field", "not above x_min");
  expect_problem("PUT", kLimits, {{"warp_max", 9}}, 400, "invalid_field");
  EXPECT_TRUE(actors.empty());
  expect_problem("PUT", "/api/v1/safety/limits/nobody", {{"x_max", 5}}, 404, "machine_not_found");
  EXPECT_EQ(actors.size(), 1u) << "that was denied";
}

TEST_F(EdgeSafetyTest, RulesHaveDefaultsAndSettingsForAllOrOneMachine) {
  const std::string drift = "/api/v1/safety/rules/temperature_drift";
  EXPECT_EQ(get("/api/v1/safety/rules")["items"].size(), kMonitorRules);
  EXPECT_EQ(get(drift)["set_for"], "default");
  EXPECT_EQ(done("PUT", drift, {{"threshold", 5}})["set_for"], "all");
  const json own = done("PUT", drift + "?machine=voron-2", {{"for_s", 10}, {"action", "pause"}, {"level", "critical"}});
  EXPECT_EQ(own["set_for"], "machine");
  EXPECT_EQ(own["threshold"], 5) << "what is left out stays";
  EXPECT_EQ(get(drift + "?machine=ender-3")["action"], "notify");
  EXPECT_EQ(done("DELETE", drift + "?machine=voron-2", nullptr)["set_for"], "all");
  EXPECT_EQ(done("DELETE", drift, nullptr)["threshold"], 8);
}

TEST_F(EdgeSafetyTest, WrongSettingsAreRefused) {
  const std::string drift = "/api/v1/safety/rules/temperature_drift";
  expect_problem("PUT", drift, {{"threshold", 501}}, 400, "invalid_field", "0.5 to 500 K");
  expect_problem("PUT", drift, {{"for_s", 86'401}}, 400, "invalid_field");
  expect_problem("PUT", drift, {{"action", "explode"}}, 400, "invalid_field");
  expect_problem("PUT", "/api/v1/safety/rules/nobody_watching", {{"action", "pause"}}, 400, "invalid_field");
  expect_problem("PUT", "/api/v1/safety/rules/warp", {{"for_s", 1}}, 404, "rule_not_found");
  EXPECT_TRUE(actors.empty());
}

TEST_F(EdgeSafetyTest, AlarmIsAcknowledgedShelvedAndTakenBackByItsRef) {
  raise("voron-2/temperature_drift/heater_generic a/b~c");
  const json listed = get("/api/v1/safety/alarms?state=active")["items"][0];
  EXPECT_EQ(listed["ref"], "voron-2~temperature_drift~heater_generic a/b~c");
  raise("voron-2/temperature_drift/extruder");
  const std::string path = "/api/v1/safety/alarms/voron-2~temperature_drift~extruder";
  EXPECT_EQ(get(path)["state"], "active");
  EXPECT_EQ(get("/api/v1/machines/voron-2")["alarms"].size(), 2u);
  const json seen = done("POST", path + "/acknowledge", {{"note", "on my way"}});
  EXPECT_EQ(seen["state"], "acknowledged");
  EXPECT_EQ(seen["acknowledged_by"], "local");
  EXPECT_EQ(seen["note"], "on my way");
  const size_t events = actors.size();
  done("POST", path + "/acknowledge", json::object());
  EXPECT_EQ(actors.size(), events) << "said twice it is one acknowledgement";
  const json quiet = done("POST", path + "/shelve", {{"for_s", 600}, {"reason", "the sensor is on order"}});
  EXPECT_EQ(quiet["state"], "shelved");
  EXPECT_EQ(quiet["shelve_reason"], "the sensor is on order");
  EXPECT_EQ(get("/api/v1/machines/voron-2")["alarms"].size(), 1u) << "shelved ones are not shown";
  EXPECT_EQ(done("POST", path + "/unshelve", json::object())["state"], "acknowledged");
  schema::AlarmEscalatedT escalated;
  escalated.alarm_id = quiet["id"];
  escalated.level = schema::AlarmLevel::critical;
  say(std::move(escalated));
  const json again = get(path);
  EXPECT_EQ(again["state"], "active");
  EXPECT_EQ(again["acknowledged_by"], nullptr) << "nobody has seen this";
  EXPECT_EQ(again["acknowledged_at"], nullptr);
  EXPECT_EQ(again["note"], nullptr);
  schema::AlarmClearedT cleared;
  cleared.alarm_id = "voron-2/temperature_drift/extruder";
  say(std::move(cleared));
  EXPECT_EQ(get(path)["state"], "cleared");
}

TEST_F(EdgeSafetyTest, WrongRequestsOfAlarmsAreRefused) {
  raise("voron-2/host_load");
  const std::string path = "/api/v1/safety/alarms/voron-2~host_load";
  expect_problem("GET", "/api/v1/safety/alarms/voron-2~warp", nullptr, 404, "alarm_not_found");
  expect_problem("POST", path + "/shelve", json::object(), 400, "invalid_field", "until");
  expect_problem("POST", path + "/shelve", {{"for_s", 0}}, 400, "invalid_field");
  expect_problem("POST", path + "/shelve", {{"until", "2020-01-01T00:00:00Z"}}, 400, "invalid_field", "after now");
  expect_problem("POST", path + "/shelve", {{"until", "2999-01-01T00:00:00Z"}}, 400, "invalid_field", "at most");
  expect_problem("GET", "/api/v1/safety/alarms?state=loud", nullptr, 400, "invalid_parameter", "shelved or cleared");
  expect_problem("GET", "/api/v1/safety/alarms?level=loud", nullptr, 400, "invalid_parameter");
  expect_problem("GET", "/api/v1/safety/events?type=JobStarted", nullptr, 400, "invalid_parameter",
                 "no event of safety");
  EXPECT_TRUE(actors.empty());
}

TEST_F(EdgeSafetyTest, EventsAndSummaryTellWhatHappened) {
  raise("voron-2/temperature_drift/extruder", schema::AlarmLevel::critical);
  clock.set_wall(from_unix_us(shop.now_us) + 90s);
  shop.now_us += 90 * kSecond;
  done("POST", "/api/v1/safety/alarms/voron-2~temperature_drift~extruder/acknowledge", json::object());
  schema::EmergencyStoppedT stopped;
  stopped.reason = "smoke";
  say(stopped);
  schema::CommandRejectedT rejected;
  rejected.reasons.push_back(std::make_unique<schema::RefusalT>());
  rejected.reasons.back()->rule = "position_limit";
  say(std::move(rejected), "ender-3");
  const json events = get("/api/v1/safety/events");
  EXPECT_EQ(events["items"].size(), 4u);
  EXPECT_EQ(get("/api/v1/safety/events?machine=ender-3")["items"].size(), 1u);
  const json summary = get("/api/v1/safety/summary");
  EXPECT_EQ(summary["total_events"], 3);
  EXPECT_EQ(summary["emergency_stops"], 1);
  EXPECT_EQ(summary["position_violations"], 1);
  EXPECT_EQ(summary["standing"], 1);
  EXPECT_EQ(summary["unacknowledged"], 0);
  EXPECT_NEAR(summary["median_ack_s"].get<double>(), 90, 1);
  EXPECT_EQ(summary["top_rules"][0]["rule"], "temperature_drift");
  EXPECT_EQ(summary["alarms_per_day"].size(), 30u);
  EXPECT_EQ(get("/api/v1/safety/summary?machine=ender-3")["emergency_stops"], 0);
  const json machine = get("/api/v1/machines/voron-2");
  EXPECT_EQ(machine["emergency"]["latched"], true);
  EXPECT_EQ(machine["emergency"]["text"], "smoke");
}

TEST_F(EdgeSafetyTest, TheApiDocumentDescribesWhatTheAnswersHold) {
  raise("voron-2/host_load");
  const json schemas = get("/api/openapi.json")["components"]["schemas"];
  const auto keys = [](const json& object) {
    std::set<std::string> names;
    for (const auto& [key, value] : object.items()) names.insert(key);
    return names;
  };
  const json test = done("POST", "/api/v1/safety/rules/test", {{"rule", "host_load"}});
  const std::map<std::string, json> answers = {{"Alarm", get("/api/v1/safety/alarms/voron-2~host_load")},
                                               {"MachineLimits", get(kLimits)},
                                               {"SafetyRule", get("/api/v1/safety/rules/host_load")},
                                               {"SafetySummary", get("/api/v1/safety/summary")},
                                               {"RuleTest", test}};
  for (const auto& [name, answer] : answers) EXPECT_EQ(keys(answer), keys(schemas[name]["properties"])) << name;
}

// --- the look back

class EdgeBackTest : public EdgeSafetyTest {
 protected:
  // Every second for so long.
  void hold(double extruder, int seconds) {
    for (int i = 0; i < seconds; ++i) {
      shop.now_us += kSecond;
      shop.say(sampled({{"extruder", "temperature", extruder + (i % 2) * 0.01}, {"extruder", "target", 210}}));
    }
  }
  // Drifts, and fails ten minutes later; then drifts without any harm.
  void tell_a_story() {
    std::lock_guard lock(mutex);
    shop.say(connected());
    shop.say(state_changed(schema::MachineState::printing));
    hold(210, 10);
    hold(200, 40);
    hold(210, 560);
    shop.say(state_changed(schema::MachineState::shutdown, "shutdown"));
    shop.say(finished("voron-2.1", schema::JobOutcome::failed, schema::JobEvidence::conclusive));
    shop.say(state_changed(schema::MachineState::printing));
    hold(210, 20);
    hold(201.5, 60);
    hold(210, 30);
    projector->offer(shop.say(state_changed(schema::MachineState::ready)));
    clock.set_wall(from_unix_us(shop.now_us + kSecond));
    ASSERT_TRUE(projector->wait_for(shop.log->last(), 30s));
  }
};

TEST_F(EdgeBackTest, RuleWouldHaveForeseenTheFailureAndOnceCriedWolf) {
  tell_a_story();
  const json test = done("POST", "/api/v1/safety/rules/test",
                         {{"rule", "temperature_drift"}, {"machines", {"voron-2"}}, {"threshold", 8}, {"for_s", 30}});
  EXPECT_EQ(test["hit_count"], 2);
  EXPECT_EQ(test["before_failure"], 1);
  EXPECT_EQ(test["failures"], 1) << "the shutdown and the print that failed by it are one";
  EXPECT_EQ(test["foreseen"], 1);
  EXPECT_EQ(test["precision"], 0.5);
  EXPECT_NEAR(test["median_lead_s"].get<double>(), 570 * 1.1, 80);
  EXPECT_EQ(test["stopped"], nullptr);
  EXPECT_EQ(test["hits"][0]["subject"], "extruder");
  EXPECT_EQ(test["hits"][0]["failure"], "shutdown");
  EXPECT_EQ(test["hits"][1]["failure_at"], nullptr);
  EXPECT_EQ(get("/api/v1/events/" + std::to_string(test["hits"][0]["position"].get<int>()))["type"],
            "TelemetrySampled");
}

TEST_F(EdgeBackTest, AnotherThresholdTimeOrHorizonGivesOtherHits) {
  tell_a_story();
  const auto hits = [&](const json& more) {
    json body = {{"rule", "temperature_drift"}};
    body.update(more);
    return done("POST", "/api/v1/safety/rules/test", body);
  };
  EXPECT_EQ(hits({{"threshold", 9}})["hit_count"], 1);
  EXPECT_EQ(hits({{"threshold", 12}})["hit_count"], 0);
  EXPECT_EQ(hits({{"for_s", 120}})["hit_count"], 0);
  EXPECT_EQ(hits({{"horizon_s", 60}})["before_failure"], 0);
  EXPECT_EQ(hits({{"machines", {"ender-3"}}})["hit_count"], 0);
  EXPECT_EQ(hits({{"to", to_rfc3339(from_unix_us(kStart + 20 * kSecond))}})["hit_count"], 0);
}

TEST_F(EdgeBackTest, WrongTestsAreRefused) {
  const std::string path = "/api/v1/safety/rules/test";
  expect_problem("POST", path, json::object(), 400, "invalid_field");
  expect_problem("POST", path, {{"rule", "warp"}}, 400, "invalid_field", "no rule 'warp'");
  expect_problem("POST", path, {{"rule", "nobody_watching"}}, 400, "invalid_field");
  expect_problem("POST", path, {{"rule", "host_load"}, {"machines", {"nobody"}}}, 400, "invalid_field");
  expect_problem("POST", path, {{"rule", "host_load"}, {"max_seconds", 60}}, 400, "invalid_field");
  expect_problem("POST", path, {{"rule", "host_load"}, {"from", "2030-01-01T00:00:00Z"}}, 400, "invalid_field");
}

}  // namespace
}  // namespace millrace
