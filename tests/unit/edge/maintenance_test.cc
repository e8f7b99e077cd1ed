// SPDX-License-Identifier: Apache-2.0
// Maintenance by way of HTTP: an edge over real sockets, and a log that takes what it submits.
#include <nlohmann/json.hpp>

#include "net/http_client.h"
#include "tests/unit/edge/writing_edge.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class EdgeMaintenanceTest : public WritingEdgeTest {
 protected:
  void SetUp() override {
    shop.say(registered("Voron 2"));
    shop.say(registered("Ender 3"), "ender-3");
    print(kStart, 7200);
    open();
  }
  void print(int64_t start_us, double seconds) {
    shop.say(started(row_id(start_us), start_us));
    auto event = finished(row_id(start_us), schema::JobOutcome::completed, schema::JobEvidence::conclusive, seconds);
    event.print_duration = seconds;
    event.filament_used = 5000;
    event.end_us = start_us + static_cast<int64_t>(seconds) * kSecond;
    event.row_status = "completed";
    shop.say(event);
    shop.now_us = std::max(shop.now_us, event.end_us);
  }
  std::pair<int, json> ask(const std::string& method, const std::string& target, const json& body = nullptr) {
    HttpClientRequest request{.method = method, .url = "http://127.0.0.1:" + std::to_string(edge->port()) + target};
    if (!body.is_null()) {
      request.headers = {{"Content-Type", "application/json"}};
      request.body = body.dump();
    }
    const auto answer = http_request(request);
    EXPECT_TRUE(answer.has_value()) << target;
    return answer ? std::pair(answer->status, json::parse(answer->body, nullptr, false)) : std::pair(0, json());
  }
  json get(const std::string& target) { return ask("GET", target).second; }
  json done(const std::string& method, const std::string& target, const json& body = nullptr) {
    const auto [status, answer] = ask(method, target, body);
    EXPECT_EQ(status, 200) << method << " " << target << " " << answer.dump();
    return answer;
  }
  void expect_problem(const std::string& method, const std::string& target, const json& body, int status,
                      const std::string& code) {
    const auto [found, answer] = ask(method, target, body);
    EXPECT_EQ(found, status) << answer.dump();
    EXPECT_EQ(answer.value("code", ""), code) << answer.dump();
  }
  std::set<std::string> keys_of(const json& object) {
    std::set<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.insert(key);
    return keys;
  }

  static constexpr const char* kRecords = "/api/v1/machines/voron-2/maintenance";
  static constexpr const char* kTasks = "/api/v1/machines/voron-2/maintenance/tasks";
};

TEST_F(EdgeMaintenanceTest, TheOdometerIsShown) {
  const json odometer = get("/api/v1/machines/voron-2/odometer");
  EXPECT_EQ(odometer["hours"], 2);
  EXPECT_EQ(odometer["filament_m"], 5);
  EXPECT_EQ(odometer["starts"], 1);
  EXPECT_EQ(get("/api/v1/machines/ender-3/odometer")["first_print_at"], nullptr);
}

TEST_F(EdgeMaintenanceTest, ARecordIsAddedChangedAndRemoved) {
  const json added = done("POST", kRecords, {{"category", "repair"}, {"description", "Belt"}, {"cost", 12.5}});
  EXPECT_EQ(added["id"], "m1");
  EXPECT_EQ(added["done"], true);
  EXPECT_EQ(added["date"], to_rfc3339(clock.wall()));
  EXPECT_EQ(added["actor"], "local");
  const json changed = done("PATCH", std::string(kRecords) + "/m1", {{"cost", nullptr}, {"notes", "two\nlines"}});
  EXPECT_EQ(changed["cost"], nullptr);
  EXPECT_EQ(changed["notes"], "two\nlines");
  EXPECT_EQ(changed["description"], "Belt");
  EXPECT_EQ(get(kRecords)["items"], json::array({changed}));
  EXPECT_EQ(done("DELETE", std::string(kRecords) + "/m1"), changed);
  EXPECT_EQ(get(kRecords)["items"], json::array());
  EXPECT_EQ(done("POST", kRecords, {{"category", "other"}})["id"], "m2") << "an id is given once";
}

TEST_F(EdgeMaintenanceTest, RecordsAreFilteredAndPaged) {
  for (const char* date : {"2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z", "2026-11-02T00:00:00Z"}) {
    done("POST", kRecords, {{"category", "cleaning"}, {"date", date}});
  }
  done("POST", kRecords, {{"category", "upgrade"}, {"date", "2027-11-02T00:00:00Z"}});
  const json first = get(std::string(kRecords) + "?limit=2&done=true");
  ASSERT_EQ(first["items"].size(), 2u);
  EXPECT_EQ(first["items"][0]["id"], "m2");
  const json second =
      get(std::string(kRecords) + "?limit=2&done=true&cursor=" + first["next_cursor"].get<std::string>());
  EXPECT_EQ(second["items"][0]["id"], "m1");
  EXPECT_EQ(get(std::string(kRecords) + "?done=false")["items"][0]["id"], "m4");
  EXPECT_EQ(get(std::string(kRecords) + "?category=upgrade")["items"].size(), 1u);
  EXPECT_EQ(get(std::string(kRecords) + "?from=2026-11-02T00:00:00Z&to=2026-11-03T00:00:00Z")["items"][0]["id"], "m3");
}

TEST_F(EdgeMaintenanceTest, DoingATaskResetsIt) {
  const json task = done("POST", kTasks, {{"title", "Clean the nozzle"}, {"category", "cleaning"}, {"every_hours", 2}});
  EXPECT_EQ(task["id"], "t1");
  EXPECT_EQ(task["due"], false) << "it counts from its definition";
  done("POST", kRecords, {{"task_id", "t1"}, {"date", to_rfc3339(from_unix_us(kStart - kSecond))}});
  json due = get("/api/v1/maintenance")["items"][0];
  EXPECT_EQ(due["due"], true);
  EXPECT_EQ(due["used"]["hours"], 2);
  EXPECT_EQ(due["done_by"], "m1");
  const json record = done("POST", kRecords, {{"task_id", "t1"}});
  EXPECT_EQ(record["category"], "cleaning") << "its task's";
  due = get(kTasks)["items"][0];
  EXPECT_EQ(due["due"], false);
  EXPECT_EQ(due["share"], 0);
}

TEST_F(EdgeMaintenanceTest, WhatIsDueComesFirst) {
  done("POST", kTasks, {{"title", "Grease"}, {"every_days", 100}});
  done("POST", "/api/v1/machines/ender-3/maintenance/tasks", {{"title", "Belts"}, {"every_days", 10}});
  clock.advance(std::chrono::hours(24 * 20));
  const json all = get("/api/v1/maintenance");
  EXPECT_EQ(all["total"], 2);
  EXPECT_EQ(all["items"][0]["machine"], "ender-3");
  EXPECT_EQ(all["items"][0]["due"], true);
  EXPECT_EQ(all["items"][1]["due"], false);
}

TEST_F(EdgeMaintenanceTest, ATaskIsChangedAndRemoved) {
  done("POST", kTasks, {{"title", "Grease"}, {"every_days", 100}});
  const json changed = done("PATCH", std::string(kTasks) + "/t1", {{"every_days", nullptr}, {"every_starts", 5}});
  EXPECT_EQ(changed["every_days"], nullptr);
  EXPECT_EQ(changed["every_starts"], 5);
  EXPECT_EQ(changed["title"], "Grease");
  EXPECT_EQ(done("DELETE", std::string(kTasks) + "/t1")["title"], "Grease");
  EXPECT_EQ(get(kTasks)["total"], 0);
  EXPECT_EQ(done("POST", kTasks, {{"title", "Belts"}, {"every_days", 1}})["id"], "t2");
}

TEST_F(EdgeMaintenanceTest, APlannedRecordIsDoneWhenItIsSaid) {
  done("POST", kRecords, {{"category", "repair"}, {"date", "2030-01-01T00:00:00Z"}});
  const json record = done("PATCH", std::string(kRecords) + "/m1", {{"done", true}});
  EXPECT_EQ(record["date"], to_rfc3339(clock.wall()));
}

TEST_F(EdgeMaintenanceTest, WrongRequestsSayWhatWouldBeRight) {
  const std::string record = std::string(kRecords) + "/m1";
  expect_problem("POST", kRecords, {{"category", "dance"}}, 400, "invalid_field");
  expect_problem("POST", kRecords, json::object(), 400, "invalid_field");
  expect_problem("POST", kRecords, {{"category", "other"}, {"cost", -1}}, 400, "invalid_field");
  expect_problem("POST", kRecords, {{"category", "other"}, {"description", std::string(501, 'x')}}, 400,
                 "invalid_field");
  expect_problem("POST", kRecords, {{"category", "other"}, {"notes", std::string(2001, 'x')}}, 400, "invalid_field");
  expect_problem("POST", kRecords, {{"category", "other"}, {"colour", "red"}}, 400, "invalid_field");
  expect_problem("POST", kRecords, {{"category", "other"}, {"task_id", "t9"}}, 400, "invalid_field");
  expect_problem("POST", kRecords, {{"category", "other"}, {"date", "2030-01-01T00:00:00Z"}, {"done", true}}, 400,
                 "invalid_field");
  expect_problem("POST", kTasks, {{"every_days", 1}}, 400, "invalid_field");
  expect_problem("POST", kTasks, {{"title", "x"}}, 400, "invalid_field");
  expect_problem("POST", kTasks, {{"title", "x"}, {"every_hours", 0}}, 400, "invalid_field");
  expect_problem("PATCH", record, {{"cost", 1}}, 404, "maintenance_record_not_found");
  expect_problem("DELETE", record, nullptr, 404, "maintenance_record_not_found");
  expect_problem("PATCH", std::string(kTasks) + "/t1", {{"title", "x"}}, 404, "maintenance_task_not_found");
  expect_problem("POST", "/api/v1/machines/none/maintenance", {{"category", "other"}}, 404, "machine_not_found");
  expect_problem("GET", "/api/v1/machines/none/odometer", nullptr, 404, "machine_not_found");
  expect_problem("GET", std::string(kRecords) + "?done=perhaps", nullptr, 400, "invalid_parameter");
  expect_problem("GET", std::string(kRecords) + "?category=dance", nullptr, 400, "invalid_parameter");
  EXPECT_EQ(shop.log->last(), Position{5}) << "nothing of it was recorded, but that one machine is not there";
}

TEST_F(EdgeMaintenanceTest, TheApiDocumentDescribesTheAnswers) {
  const json schemas = get("/api/openapi.json")["components"]["schemas"];
  const json task = done("POST", kTasks, {{"title", "Grease"}, {"every_days", 100}});
  const json record = done("POST", kRecords, {{"task_id", "t1"}});
  EXPECT_EQ(keys_of(task), keys_of(schemas["MaintenanceTask"]["properties"]));
  EXPECT_EQ(keys_of(record), keys_of(schemas["MaintenanceRecord"]["properties"]));
  EXPECT_EQ(keys_of(get("/api/v1/machines/voron-2/odometer")), keys_of(schemas["Odometer"]["properties"]));
}

}  // namespace
}  // namespace millrace
