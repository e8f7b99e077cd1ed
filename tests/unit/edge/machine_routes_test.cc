// SPDX-License-Identifier: Apache-2.0
// Machines made, changed and removed by requests, on a log and views in memory.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "net/io_loop.h"
#include "projections/machine_state.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/routes.h"

namespace millrace {
namespace {

using nlohmann::json;

class MachineRoutes : public ::testing::Test {
 protected:
  MachineRoutes() { options.secrets_file = directory / "secrets.json"; }

  struct Answer {
    int status = 0;
    json body;
  };
  Answer ask(const std::string& method, const std::string& path, const std::string& body = "") {
    HttpRequest http;
    http.method = method;
    http.path = path;
    http.body = body;
    if (!body.empty()) http.headers = {{"content-type", "application/json"}};
    bring_up();
    const RouteMatch match = find_route(method, path);
    EXPECT_NE(match.route, nullptr) << method << " " << path;
    const RouteContext context{parts, options, nullptr};
    auto decision = match.route->decide(context, {http, match.path, "local"});
    if (!decision) return answer_of(decision.error());
    for (EventDraft& draft : decision->events) {
      EXPECT_EQ(draft.actor, "local");
      shop.append({std::move(draft)});
    }
    bring_up();
    return answer_of(decision->answer(context));
  }
  void bring_up() {
    Projector projector(*shop.log, *store, make_projections(), *metrics, health);
    EXPECT_TRUE(projector.start());
    EXPECT_TRUE(projector.wait_for(shop.log->last(), std::chrono::seconds(10)));
  }
  static Answer answer_of(const HttpResponse& response) {
    EXPECT_EQ(response.body.find("canary"), std::string::npos);
    return {response.status, json::parse(response.body, nullptr, false)};
  }
  Answer add(const std::string& extra = "") {
    return ask("POST", "/api/v1/machines", R"({"name":"Voron 2","moonraker_url":"http://v:7125")" + extra + "}");
  }
  void expect_problem(const Answer& answer, int status, const std::string& code, const std::string& words = "") {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.body.value("code", ""), code);
    EXPECT_NE(answer.body.value("detail", "").find(words), std::string::npos) << answer.body;
  }
  std::string all_events() {
    std::string text;
    for (const RecordedEvent& event : shop.events()) text += std::string(event.envelope.bytes());
    return text;
  }

  testing::TemporaryDirectory directory;
  Shop shop;
  testing::ManualClock clock;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  EdgeParts parts{loop, *shop.log, *store, clock, *metrics, health};
  EdgeOptions options;
};

TEST_F(MachineRoutes, AMachineIsMadeWithAllThatIsSaidOfIt) {
  const Answer made = add(R"(,"api_key":"canary","technology":"FDM","make":"Voron Design","model":"2.4","location":"A",
    "description":"two\nlines","nozzle_diameter":0.4,"filament_diameter":1.75,"bed_x":300,"bed_y":300,"bed_z":280,
    "heated_bed":true,"heated_chamber":false,"loaded_materials":[{"material":"PLA"}])");
  ASSERT_EQ(made.status, 201) << made.body;
  EXPECT_EQ(made.body["id"], "voron-2");
  EXPECT_EQ(made.body["technology"], "FDM");
  EXPECT_EQ(made.body["bed_z"], 280);
  EXPECT_EQ(made.body["heated_chamber"], false);
  EXPECT_EQ(made.body["loaded_materials"][0]["material"], "PLA");
  EXPECT_EQ(made.body["has_api_key"], true);
  EXPECT_EQ(MachineSecrets(options.secrets_file).read("voron-2").value().api_key, "canary");
  EXPECT_EQ(all_events().find("canary"), std::string::npos);
}

TEST_F(MachineRoutes, WhatIsWrongIsNamed) {
  expect_problem(ask("POST", "/api/v1/machines", "{}"), 400, "invalid_field", "name");
  expect_problem(ask("POST", "/api/v1/machines", R"({"name":"V","moonraker_url":"ftp://v"})"), 400, "invalid_field",
                 "http://HOST:PORT");
  expect_problem(add(R"(,"id":"Not An Id")"), 400, "invalid_field", "a-z");
  expect_problem(ask("POST", "/api/v1/machines", R"({"name":"  ","moonraker_url":"http://v"})"), 400, "invalid_field",
                 "empty");
  expect_problem(add(R"(,"id":"hub")"), 400, "invalid_field", "reserved");
  expect_problem(add(R"(,"nozzle_diameter":-1)"), 400, "invalid_field", "-1");
  expect_problem(add(R"(,"technology":"laser")"), 400, "invalid_field", "laser");
  expect_problem(add(R"(,"tls_ca":"../../etc/passwd")"), 400, "invalid_field", "secrets.json");
  expect_problem(add(R"(,"colour":"red")"), 400, "invalid_field", "colour");
  EXPECT_EQ(shop.log->last().value, 0u);
}

// Pasted with its line break, a key is as secret as without.
TEST_F(MachineRoutes, ASecretThatIsWrongIsNotRepeated) {
  for (const auto* field : {"api_key", "username", "password"}) {
    const std::string quoted = std::string(",\"") + field + "\":";
    expect_problem(add(quoted + R"("canary\n")"), 400, "invalid_field", "one line of text");
    expect_problem(add(quoted + R"(["canary"])"), 400, "invalid_field", field);
  }
}

TEST_F(MachineRoutes, ALoginIsANameAndAPassword) {
  expect_problem(add(R"(,"username":"bob")"), 400, "invalid_field", "password");
  expect_problem(add(R"(,"password":"canary")"), 400, "invalid_field", "username");
  ASSERT_EQ(add(R"(,"username":"bob","password":"canary")").status, 201);
  expect_problem(ask("PATCH", "/api/v1/machines/voron-2", R"({"password":null})"), 400, "invalid_field", "password");
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/voron-2", R"({"username":null,"password":null})").body["authentication"],
            "none");
}

TEST_F(MachineRoutes, IdsAndNamesAreTakenOnce) {
  ASSERT_EQ(add().status, 201);
  expect_problem(add(), 409, "id_taken", "voron-2");
  expect_problem(add(R"(,"id":"other")"), 409, "name_taken", "Voron 2");
  ASSERT_EQ(ask("DELETE", "/api/v1/machines/voron-2").status, 204);
  EXPECT_EQ(add().status, 201) << "the same id is the same machine again";
}

TEST_F(MachineRoutes, PatchChangesWhatItNamesAndPutEverything) {
  ASSERT_EQ(add(R"(,"api_key":"canary","make":"A","model":"B")").status, 201);
  const Answer patched = ask("PATCH", "/api/v1/machines/voron-2", R"({"make":null,"location":"Shelf"})");
  EXPECT_EQ(patched.body["make"], nullptr);
  EXPECT_EQ(patched.body["model"], "B");
  EXPECT_EQ(patched.body["location"], "Shelf");
  const Answer put = ask("PUT", "/api/v1/machines/voron-2", R"({"name":"V","moonraker_url":"https://v"})");
  EXPECT_EQ(put.body["name"], "V");
  EXPECT_EQ(put.body["model"], nullptr);
  EXPECT_EQ(put.body["has_api_key"], true) << "a secret cannot be read, so leaving it out does not take it away";
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/voron-2", R"({"api_key":null})").body["has_api_key"], false);
  EXPECT_TRUE(MachineSecrets(options.secrets_file).read("voron-2").value().empty());
  expect_problem(ask("PATCH", "/api/v1/machines/voron-2", R"({"id":"other"})"), 400, "invalid_field", "for ever");
  expect_problem(ask("PUT", "/api/v1/machines/voron-2", R"({"name":"V"})"), 400, "invalid_field", "moonraker_url");
}

TEST_F(MachineRoutes, ARemovedMachineIsGoneAndItsSecretToo) {
  ASSERT_EQ(add(R"(,"api_key":"canary")").status, 201);
  EXPECT_EQ(ask("DELETE", "/api/v1/machines/voron-2").status, 204);
  EXPECT_TRUE(MachineSecrets(options.secrets_file).read("voron-2").value().empty());
  expect_problem(ask("DELETE", "/api/v1/machines/voron-2"), 404, "machine_not_found");
  expect_problem(ask("PATCH", "/api/v1/machines/voron-2", "{}"), 404, "machine_not_found");
}

TEST_F(MachineRoutes, TheFilesMachinesAreDescribedOnly) {
  schema::MachineConfiguredT configured;
  configured.name = "Voron 2";
  configured.kind = "printer";
  configured.managed_by = "config";
  configured.enabled = true;
  configured.moonraker_url = "http://v:7125";
  shop.say(std::move(configured));
  for (const char* change : {R"({"moonraker_url":"http://x"})", R"({"api_key":"canary"})", R"({"enabled":false})",
                             R"({"name":"Other"})", R"({"kind":"pick_and_place"})"}) {
    expect_problem(ask("PATCH", "/api/v1/machines/voron-2", change), 409, "managed_by_config");
  }
  expect_problem(ask("DELETE", "/api/v1/machines/voron-2"), 409, "managed_by_config");
  EXPECT_EQ(ask("PATCH", "/api/v1/machines/voron-2", R"({"location":"Shelf"})").body["location"], "Shelf");
}

}  // namespace
}  // namespace millrace
