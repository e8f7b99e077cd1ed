// SPDX-License-Identifier: Apache-2.0
// Every row of the table of routes, asked by every kind of caller.  What a route needs is written down here a second
// time, by hand: a new route fails until somebody has thought about who may ask for it.
#include "access_fixture.h"
#include "web/edge/access/route_access.h"
#include "web/edge/routes.h"

namespace millrace::testing {
namespace {

const std::set<std::string_view> kOpen = {"healthLive", "healthReady", "olderHealth", "openSession"};
const std::set<std::string_view> kAnyKey = {"session", "closeSession", "makeSocketToken", "placerStatus"};
const std::set<std::string_view> kAdminister = {"addMachine",
                                                "replaceMachine",
                                                "changeMachine",
                                                "removeMachine",
                                                "testConnection",
                                                "testMachine",
                                                "addOlderPrinter",
                                                "changeOlderPrinter",
                                                "removeOlderPrinter",
                                                "importOlderHistory",
                                                "keys",
                                                "makeKey",
                                                "key",
                                                "changeKey",
                                                "revokeKey",
                                                "rotateKey",
                                                "placerKeys",
                                                "makePlacerKey",
                                                "placerKey",
                                                "changePlacerKey",
                                                "revokePlacerKey",
                                                "olderKeys",
                                                "makeOlderKey",
                                                "revokeOlderKey",
                                                "replaceMachineLimits",
                                                "changeMachineLimits",
                                                "changeSafetyRule",
                                                "removeSafetyRule",
                                                "backfillOlderDetails"};
const std::set<std::string_view> kRead = {"testSafetyRule"};
const std::set<std::string_view> kOperate = {"askCommand",
                                             "acknowledgeAlarm",
                                             "shelveAlarm",
                                             "unshelveAlarm",
                                             "addMaintenanceRecord",
                                             "changeMaintenanceRecord",
                                             "removeMaintenanceRecord",
                                             "addMaintenanceTask",
                                             "changeMaintenanceTask",
                                             "removeMaintenanceTask",
                                             "enterJob",
                                             "changeVerdictReasons",
                                             "changeJob",
                                             "hideJob",
                                             "restoreJob",
                                             "addJobPhoto",
                                             "removeJobPhoto",
                                             "putBlob",
                                             "changeOlderJob",
                                             "hideOlderJob",
                                             "addOlderRecord",
                                             "changeOlderRecord",
                                             "removeOlderRecord"};

// "" for any key; "nobody" for open; "?" when nobody has thought about it.
std::string needed_scope(const Route& route) {
  if (kOpen.contains(route.operation)) return "nobody";
  if (kAnyKey.contains(route.operation) || route.pattern.ends_with("/emergency_stop")) return "";
  if (kAdminister.contains(route.operation)) return "administer";
  if (kOperate.contains(route.operation)) return "operate";
  return route.method == "GET" || kRead.contains(route.operation) ? "read" : "?";
}

// The pattern with something in its variables.
std::string path_of(const Route& route, const std::string& machine) {
  std::string path(route.pattern);
  const std::string id = path.starts_with("/api/v1/jobs/")       ? machine + "." + std::to_string(kStart)
                         : path.starts_with("/api/v1/machines/") ? machine
                                                                 : "none";
  for (size_t open = path.find('{'); open != std::string::npos; open = path.find('{')) {
    const size_t close = path.find('}');
    const std::string name = path.substr(open + 1, close - open - 1);
    path.replace(open, close - open + 1, name == "id" ? id : name == "sha256" ? std::string(64, 'a') : "none");
  }
  return path;
}

bool is_denied(int status) { return status == 401 || status == 403 || status == 429; }

class AccessMatrix : public AccessFixture {
 protected:
  // A fresh answer of each route to this caller; sockets have a test of their own.
  template <class Check>
  void for_each_route(const Headers& headers, const std::string& machine, const Check& check) {
    for (const Route& route : routes()) {
      if (route.runs_on == RunsOn::kSocket) continue;
      const HttpResponse answer = ask(std::string(route.method), path_of(route, machine), headers);
      check(route, answer);
    }
  }
};

TEST_F(AccessMatrix, EveryRouteIsThoughtAbout) {
  for (const Route& route : routes()) {
    const std::string scope = needed_scope(route);
    EXPECT_NE(scope, "?") << route.method << " " << route.pattern << ": say here what " << route.operation << " needs";
    const std::string said = scope == "nobody" ? "nothing" : scope.empty() ? "any key" : scope;
    EXPECT_EQ(name_of(needs_of(route)), said) << route.operation;
    const bool is_read = route.method == "GET";
    EXPECT_TRUE(is_read || is_emergency_stop(route) || route.access.needs != Needs::kByMethod)
        << route.operation << ": a change says what it needs";
  }
}

TEST_F(AccessMatrix, EachScopeOpensItsRoutesAndNoOther) {
  make_admin();
  for (const std::string scope : {"read", "operate", "gcode", "moderate", "administer"}) {
    const Key key = make("only " + scope, {scope});
    for_each_route(key.header(), "voron-2", [&](const Route& route, const HttpResponse& answer) {
      const std::string needed = needed_scope(route);
      const bool allowed = needed == "nobody" || needed.empty() || needed == scope;
      EXPECT_EQ(is_denied(answer.status), !allowed)
          << scope << ": " << route.method << " " << route.pattern << " -> " << answer.status << " " << answer.body;
      if (!allowed) {
        EXPECT_EQ(answer.status, 403) << route.pattern;
        EXPECT_NE(answer.body.find("'" + needed + "'"), std::string::npos) << "names the scope: " << answer.body;
      }
    });
  }
}

TEST_F(AccessMatrix, WithoutAGoodKeyOnlyWhatIsOpenAnswers) {
  make_admin();
  const std::vector<std::string> all = {"read", "operate", "gcode", "moderate", "administer"};
  const Key expired = make("expired", all, {}, clock.wall() + std::chrono::seconds(1));
  const Key revoked = make("revoked", all);
  const Key rotated = make("rotated", all);
  const Key off = make("off", all);
  ASSERT_TRUE(desk.revoke(revoked.id, "", {"test", true}));
  ASSERT_TRUE(desk.rotate(rotated.id, {"test", true}));
  ApiKeyFields fields = fields_of(*keys.find(off.id));
  fields.active = false;
  ASSERT_TRUE(desk.change(off.id, fields, {"test", true}));
  clock.advance(std::chrono::seconds(1));
  const std::vector<std::pair<std::string, Headers>> callers = {
      {"nobody", {}},
      {"expired", expired.header()},
      {"off", off.header()},
      {"bearer", {{"Authorization", "Bearer " + expired.secret}}}};
  for (const auto& [name, headers] : callers) {
    for_each_route(headers, "voron-2", [&, &name = name](const Route& route, const HttpResponse& answer) {
      const bool open = needed_scope(route) == "nobody";
      EXPECT_EQ(answer.status == 401, !open)
          << name << ": " << route.method << " " << route.pattern << " -> " << answer.status;
      if (!open) EXPECT_NE(header_of(answer, "www-authenticate").find("ApiKey"), std::string::npos) << route.pattern;
    });
  }
  // Wrong keys block their address after a few, which is a denial all the same.
  for (const Key& key : {revoked, rotated}) {
    for_each_route(key.header(), "voron-2", [&](const Route& route, const HttpResponse& answer) {
      const bool open = needed_scope(route) == "nobody";
      EXPECT_EQ(answer.status == 401 || answer.status == 429, !open) << route.pattern << " " << answer.status;
    });
  }
}

TEST_F(AccessMatrix, AKeyOfOneMachineReachesNoOther) {
  make_admin();
  const Key key = make("mk4 alone", {"read", "operate", "gcode", "moderate", "administer"}, {"mk4"});
  for_each_route(key.header(), "voron-2", [&](const Route& route, const HttpResponse& answer) {
    const Concerns concerns = concerns_of(route);
    const bool needs_key = needs_of(route) != Needs::kNothing;
    const bool refused = needs_key && (concerns == Concerns::kMachine || concerns == Concerns::kJob ||
                                       concerns == Concerns::kQuery || concerns == Concerns::kShop);
    EXPECT_EQ(answer.status == 403, refused)
        << route.method << " " << route.pattern << " -> " << answer.status << " " << answer.body;
  });
  for_each_route(key.header(), "mk4", [&](const Route& route, const HttpResponse& answer) {
    const Concerns concerns = concerns_of(route);
    if (concerns != Concerns::kMachine && concerns != Concerns::kJob) return;
    EXPECT_FALSE(is_denied(answer.status)) << route.method << " " << route.pattern << " -> " << answer.status;
  });
}

TEST_F(AccessMatrix, WhatIsAboutAMachineIsKnownByItsPattern) {
  for (const Route& route : routes()) {
    const bool machine =
        route.pattern.starts_with("/api/v1/machines/{id}") && !route.pattern.ends_with("/emergency_stop");
    EXPECT_EQ(concerns_of(route) == Concerns::kMachine, machine) << route.pattern;
    const bool job = route.pattern.starts_with("/api/v1/jobs/{id}");
    EXPECT_EQ(concerns_of(route) == Concerns::kJob, job) << route.pattern;
  }
}

TEST_F(AccessMatrix, SocketsAskForTheSame) {
  make_admin();
  for (const char* path : {"/api/v1/live", "/ws/status"}) {
    const std::string socket = "ws://127.0.0.1:" + std::to_string(edge->port()) + path;
    for (const std::string scope : {"read", "operate", "gcode", "moderate", "administer"}) {
      const std::string name = "only " + scope + path;
      SocketTry attempt(loop, socket, make(name, {scope}).header());
      EXPECT_EQ(attempt.opened(), scope == "read") << path << " " << scope;
    }
    SocketTry nobody(loop, socket, {});
    EXPECT_FALSE(nobody.opened());
    EXPECT_NE(nobody.closed().find("401"), std::string::npos) << nobody.closed();
  }
}

// Without any key this computer's user may do everything, as the only user there is.
TEST_F(AccessMatrix, WithoutKeysThisComputerIsLetIn) {
  for_each_route({}, "voron-2", [&](const Route& route, const HttpResponse& answer) {
    if (route.operation == "openSession") return;  // there is no key to open one with
    EXPECT_FALSE(is_denied(answer.status)) << route.method << " " << route.pattern << " " << answer.status;
  });
  for_each_route({{"X-Forwarded-For", "192.0.2.7"}}, "voron-2", [&](const Route& route, const HttpResponse& answer) {
    EXPECT_EQ(answer.status == 401, needed_scope(route) != "nobody") << route.pattern << " " << answer.status;
  });
}

}  // namespace
}  // namespace millrace::testing
