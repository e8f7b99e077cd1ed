// SPDX-License-Identifier: Apache-2.0
// What the door does, over real sockets: keys, sessions, foreign pages, guessing, limits, and what is recorded of it.
#include "access_fixture.h"
#include "bus/file_io.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;
using schema::AccessDeniedT;

class AccessTest : public AccessFixture {
 protected:
  std::vector<AccessDeniedT> denials() { return recorded<AccessDeniedT, schema::AccessDenied>(); }
  Headers cookie(const std::string& value, Headers more = {}) {
    more.emplace_back("Cookie", value);
    return more;
  }
};

// --- keys

TEST_F(AccessTest, TheFirstKeyClosesTheDoorForThisComputerToo) {
  EXPECT_EQ(json::parse(get("/api/v1/site").body)["access"], "open");
  EXPECT_EQ(json::parse(get("/api/v1/session").body)["how"], "local");
  const HttpResponse made = ask("POST", "/api/v1/keys", {}, R"({"name":"Anna","scopes":["read","administer"]})");
  ASSERT_EQ(made.status, 201) << made.body;
  const json key = json::parse(made.body);
  expect(get("/api/v1/site"), 401, "key_missing");
  const Headers anna{{"Authorization", "Bearer " + key["key"].get<std::string>()}};
  EXPECT_EQ(json::parse(get("/api/v1/site", anna).body)["access"], "keys");
  const json shown = json::parse(get("/api/v1/keys/" + key["id"].get<std::string>(), anna).body);
  EXPECT_FALSE(shown.contains("key")) << "its text is shown once";
  EXPECT_EQ(shown["prefix"], key["key"].get<std::string>().substr(0, 12));
  const auto created = recorded<schema::KeyCreatedT, schema::KeyCreated>();
  ASSERT_EQ(created.size(), 1u);
  EXPECT_EQ(created[0].name, "Anna");
}

TEST_F(AccessTest, AFirstKeyThatCouldNotMakeAnotherIsRefused) {
  expect(ask("POST", "/api/v1/keys", {}, R"({"name":"Anna","scopes":["read"]})"), 400, "invalid_field");
  EXPECT_TRUE(keys.empty());
}

TEST_F(AccessTest, WhatIsWrongWithAKeyIsSaid) {
  const Key admin = make_admin();
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"scopes":["read"]})", "name"},
           {R"({"name":"a"})", "scopes"},
           {R"({"name":"a","scopes":[]})", "scopes"},
           {R"({"name":"a","scopes":["root"]})", "scopes"},
           {R"({"name":"local","scopes":["read"]})", "name"},
           {R"({"name":"a\nb","scopes":["read"]})", "name"},
           {R"({"name":"a","scopes":["read"],"machines":["Not An Id"]})", "machines"},
           {R"({"name":"a","scopes":["read"],"expires_at":"2001-01-01T00:00:00Z"})", "expires_at"},
           {R"({"name":"a","scopes":["read"],"requests_per_minute":0})", "requests_per_minute"},
           {R"({"name":"a","scopes":["read"],"id":"key-1"})", "id"}}) {
    const HttpResponse answer = ask("POST", "/api/v1/keys", admin.header(), body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_NE(answer.body.find("'" + field + "'"), std::string::npos) << answer.body;
  }
  expect(ask("POST", "/api/v1/keys", admin.header(), R"({"name":"admin","scopes":["read"]})"), 409, "name_taken");
  EXPECT_EQ(keys.keys().size(), 1u);
}

TEST_F(AccessTest, ChangesRotationsAndRevocationsCountAtOnceAndAreRecorded) {
  const Key admin = make_admin();
  const Key bench = make("bench", {"read"});
  const std::string path = "/api/v1/keys/" + bench.id;
  expect(ask("POST", "/api/v1/jobs", bench.header()), 403, "scope_missing");
  ASSERT_EQ(ask("PATCH", path, admin.header(), R"({"scopes":["read","operate"],"description":"at the door"})").status,
            200);
  expect(ask("POST", "/api/v1/jobs", bench.header()), 400, "invalid_field");
  const HttpResponse rotated = ask("POST", path + "/rotate", admin.header());
  ASSERT_EQ(rotated.status, 200);
  expect(get("/api/v1/site", bench.header()), 401, "key_invalid");
  const Headers anew{{"X-API-Key", json::parse(rotated.body)["key"].get<std::string>()}};
  EXPECT_EQ(get("/api/v1/site", anew).status, 200);
  EXPECT_EQ(ask("DELETE", path, admin.header()).status, 204);
  expect(get("/api/v1/site", anew), 401, "key_invalid");
  expect(ask("DELETE", path, admin.header()), 404, "key_not_found");
  const auto changed = recorded<schema::KeyChangedT, schema::KeyChanged>();
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].scopes, (std::vector<std::string>{"read", "operate"}));
  EXPECT_EQ((recorded<schema::KeyRotatedT, schema::KeyRotated>().size()), 1u);
  EXPECT_EQ((recorded<schema::KeyRevokedT, schema::KeyRevoked>()[0].key_id), bench.id);
}

TEST_F(AccessTest, TheLastKeyThatMayAdministerCannotGoByItself) {
  const Key admin = make_admin();
  make("reader", {"read"});
  const std::string path = "/api/v1/keys/" + admin.id;
  expect(ask("DELETE", path, admin.header()), 409, "last_administrator");
  expect(ask("PATCH", path, admin.header(), R"({"active":false})"), 409, "last_administrator");
  expect(ask("PATCH", path, admin.header(), R"({"scopes":["read"]})"), 409, "last_administrator");
  expect(ask("PATCH", path, admin.header(), R"({"machines":["mk4"]})"), 409, "last_administrator");
  make("second", {"administer"});
  EXPECT_EQ(ask("DELETE", path, admin.header()).status, 204);
}

TEST_F(AccessTest, AKeyThatTheLogCannotTellOfIsNotGivenOut) {
  const Key admin = make_admin();
  const Key bench = make("bench", {"read"});
  {
    std::lock_guard lock(log_mutex);
    log_down = true;
  }
  expect(ask("POST", "/api/v1/keys", admin.header(), R"({"name":"new","scopes":["read"]})"), 503, "keys_unavailable");
  expect(ask("PATCH", "/api/v1/keys/" + bench.id, admin.header(), R"({"scopes":["operate"]})"), 503,
         "keys_unavailable");
  EXPECT_EQ(keys.keys().size(), 2u);
  EXPECT_EQ(keys.find(bench.id)->scopes, (std::vector<std::string>{"read"}));
  const HttpResponse revoked = ask("DELETE", "/api/v1/keys/" + bench.id, admin.header());
  EXPECT_EQ(revoked.status, 204) << "rights are taken away whatever the log says";
  EXPECT_FALSE(header_of(revoked, "warning").empty());
  expect(get("/api/v1/site", bench.header()), 401, "key_invalid");
}

TEST_F(AccessTest, AKeyMadeOrRevokedByAnotherProcessCountsSoon) {
  ApiKeys elsewhere(directory / "keys.json", clock, random);
  const auto made = elsewhere.create({"cli", {"read", "administer"}}).value();
  const Headers header{{"X-API-Key", made.secret}};
  const auto until = [&](int status, const Headers& headers) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (get("/api/v1/keys", headers).status != status && std::chrono::steady_clock::now() < deadline) {
    }
    return get("/api/v1/keys", headers).status;
  };
  EXPECT_EQ(until(401, {}), 401) << "the door is closed";
  EXPECT_EQ(get("/api/v1/keys", header).status, 200);
  ApiKeyFields off = fields_of(made.key);
  off.active = false;
  ASSERT_TRUE(elsewhere.change(made.key.id, off));
  EXPECT_EQ(until(401, header), 401);
  expect(get("/api/v1/keys", header), 401, "key_invalid");
}

TEST_F(AccessTest, AnUnreadableFileOfKeysLetsNobodyIn) {
  const Key admin = make_admin();
  ASSERT_TRUE(write_file_durably(keys.file(), "{"));
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (get("/health/ready").status != 503 && std::chrono::steady_clock::now() < deadline) {
  }
  EXPECT_EQ(get("/health/ready").status, 503);
  expect(get("/api/v1/site"), 401, "key_missing");
  EXPECT_EQ(get("/api/v1/site", admin.header()).status, 200) << "as it was read last";
}

// --- sessions

TEST_F(AccessTest, ABrowserIsLetInByACookieUntilItLeaves) {
  const Key admin = make_admin();
  const std::string session = sign_in(admin);
  const json who = json::parse(get("/api/v1/session", cookie(session)).body);
  EXPECT_EQ(who["how"], "session");
  EXPECT_EQ(who["actor"], "admin");
  EXPECT_EQ(who["scopes"].size(), 5u);
  EXPECT_EQ(ask("DELETE", "/api/v1/session", cookie(session, {{"Sec-Fetch-Site", "same-origin"}})).status, 204);
  const HttpResponse over = get("/api/v1/session", cookie(session));
  expect(over, 401, "session_ended");
  EXPECT_NE(header_of(over, "set-cookie").find("Max-Age=0"), std::string::npos);
  EXPECT_EQ((recorded<schema::SessionOpenedT, schema::SessionOpened>().size()), 1u);
  const auto closed = recorded<schema::SessionClosedT, schema::SessionClosed>();
  ASSERT_EQ(closed.size(), 1u);
  EXPECT_EQ(closed[0].reason, "logout");
}

TEST_F(AccessTest, RevokingOrRotatingAKeyEndsItsSessions) {
  make_admin();
  const Key bench = make("bench", {"read"});
  const std::string first = sign_in(bench);
  ASSERT_TRUE(desk.rotate(bench.id, {"test", true}));
  expect(get("/api/v1/site", cookie(first)), 401, "session_ended");
  const Key other = make("other", {"read"});
  const std::string second = sign_in(other);
  SocketTry socket(loop, live_url(), cookie(second, {{"Origin", origin()}}));
  ASSERT_TRUE(socket.opened());
  ASSERT_TRUE(desk.revoke(other.id, "", {"test", true}));
  expect(get("/api/v1/site", cookie(second)), 401, "session_ended");
  EXPECT_TRUE(socket.wait_closed()) << "its open socket too";
  const auto closed = recorded<schema::SessionClosedT, schema::SessionClosed>();
  ASSERT_EQ(closed.size(), 2u);
  EXPECT_EQ(closed[1].reason, "revoked");
}

TEST_F(AccessTest, ASessionExpiresAndIsRenewedByUse) {
  const std::string session = sign_in(make_admin());
  clock.advance(6min);
  const HttpResponse renewed = get("/api/v1/session", cookie(session));
  const std::string next = header_of(renewed, "set-cookie");
  ASSERT_FALSE(next.empty());
  clock.advance(12h - 6min);
  expect(get("/api/v1/session", cookie(session)), 401, "session_ended");
}

TEST_F(AccessTest, AForgedCookieIsNoCookie) {
  const std::string session = sign_in(make_admin());
  std::string forged = session;
  forged.back() = forged.back() == '0' ? '1' : '0';
  expect(get("/api/v1/site", cookie(forged)), 401, "key_missing");
  EXPECT_EQ(get("/api/v1/site", cookie(forged + "; " + session)).status, 200) << "another page's cookie does no harm";
}

// --- pages of other sites

TEST_F(AccessTest, AChangeByACookieComesFromAPageOfThisHost) {
  const std::string session = sign_in(make_admin());
  const auto change = [&](Headers headers) {
    return ask("POST", "/api/v1/session/token", cookie(session, std::move(headers)));
  };
  expect(change({}), 403, "origin_required");
  expect(change({{"Origin", "http://evil.example"}}), 403, "origin_not_allowed");
  expect(change({{"Origin", "null"}}), 403, "origin_not_allowed");
  expect(change({{"Sec-Fetch-Site", "cross-site"}}), 403, "origin_required");
  expect(change({{"Sec-Fetch-Site", "same-site"}, {"Origin", origin()}}), 403, "origin_required");
  EXPECT_EQ(change({{"Origin", origin()}}).status, 201);
  EXPECT_EQ(change({{"Sec-Fetch-Site", "same-origin"}}).status, 201);
}

TEST_F(AccessTest, AForeignPageOnThisComputerChangesNothingWithoutKeysEither) {
  expect(ask("DELETE", "/api/v1/machines/mk4", {{"Origin", "http://evil.example"}}), 403, "origin_not_allowed");
  expect(ask("DELETE", "/api/v1/machines/mk4", {{"Sec-Fetch-Site", "cross-site"}}), 403, "origin_required");
}

TEST_F(AccessTest, AForeignPageOpensNoSocketByACookie) {
  const std::string session = sign_in(make_admin());
  SocketTry foreign(loop, live_url(), cookie(session, {{"Origin", "http://evil.example"}}));
  EXPECT_FALSE(foreign.opened());
  SocketTry silent(loop, live_url(), cookie(session));
  EXPECT_FALSE(silent.opened());
  SocketTry own(loop, live_url(), cookie(session, {{"Origin", origin()}}));
  EXPECT_TRUE(own.opened());
}

// --- sockets

TEST_F(AccessTest, ASocketTakesAKeyInItsProtocolAndATokenOnce) {
  const Key admin = make_admin();
  SocketTry by_protocol(loop, live_url(), {{"Sec-WebSocket-Protocol", "millrace.v1, key." + admin.secret}});
  EXPECT_TRUE(by_protocol.opened());
  const json token = json::parse(ask("POST", "/api/v1/session/token", admin.header()).body);
  const std::string url = live_url("?token=" + token["token"].get<std::string>());
  SocketTry first(loop, url, {});
  EXPECT_TRUE(first.opened());
  SocketTry second(loop, url, {});
  EXPECT_FALSE(second.opened());
}

TEST_F(AccessTest, AKeyOfOneMachineSeesItAloneInListsAndOnTheFeed) {
  make_admin();
  const Key key = make("mk4 alone", {"read"}, {"mk4"});
  const json list = json::parse(get("/api/v1/machines", key.header()).body);
  ASSERT_EQ(list["items"].size(), 1u);
  EXPECT_EQ(list["items"][0]["id"], "mk4");
  EXPECT_EQ(list["total"], 1);
  SocketTry socket(loop, live_url(), key.header());
  ASSERT_TRUE(socket.opened());
  const json snapshot = json::parse(socket.first_text());
  ASSERT_EQ(snapshot["machines"].size(), 1u);
  EXPECT_EQ(snapshot["jobs"].size(), 1u);
  EXPECT_EQ(socket.first_text().find("voron-2"), std::string::npos);
  EXPECT_EQ(get("/api/v1/jobs?machine=mk4", key.header()).status, 200);
  expect(get("/api/v1/jobs?machine=mk4&machine=voron-2", key.header()), 403, "machine_not_allowed");
  expect(get("/api/v1/jobs?machine=mk4,voron-2", key.header()), 403, "machine_not_allowed");
  expect(get("/api/v1/jobs", key.header()), 403, "machine_not_allowed");
  expect(get("/api/v1/jobs/voron-2." + std::to_string(kStart), key.header()), 403, "machine_not_allowed");
  expect(get("/api/v1/jobs/nothing", key.header()), 403, "machine_not_allowed");
  EXPECT_EQ(get("/api/v1/jobs/mk4." + std::to_string(kStart), key.header()).status, 200);
}

// --- guessing

TEST_F(AccessTest, WhoGuessesWaits) {
  const Key admin = make_admin();
  std::string guess = admin.secret;
  guess.replace(20, 8, "AAAAAAAA");
  for (int i = 0; i < 6; ++i) expect(get("/api/v1/site", {{"X-API-Key", guess}}), 401, "key_invalid");
  const HttpResponse blocked = get("/api/v1/site", admin.header());
  expect(blocked, 429, "address_blocked");
  EXPECT_EQ(header_of(blocked, "retry-after"), "1");
  expect(ask("POST", "/api/v1/session", {}, R"({"key":")" + admin.secret + "\"}"), 429, "address_blocked");
  EXPECT_EQ(get("/health/live").status, 200);
  clock.advance(1s);
  EXPECT_EQ(get("/api/v1/site", admin.header()).status, 200);
}

TEST_F(AccessTest, AKeyThatIsAtHomeAtAnAddressGoesOnWhileOthersGuessThere) {
  const Key admin = make_admin();
  const Key bench = make("bench", {"read"});
  EXPECT_EQ(get("/api/v1/site", admin.header()).status, 200);
  for (int i = 0; i < 6; ++i) expect(get("/api/v1/site", {{"X-API-Key", "mr_wrong"}}), 401, "key_invalid");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(get("/api/v1/site", admin.header()).status, 200);
    expect(get("/api/v1/site", {{"X-API-Key", "mr_wrong"}}), 429, "address_blocked");
    expect(get("/api/v1/site", bench.header()), 429, "address_blocked");
  }
  const HttpResponse rotated = ask("POST", "/api/v1/keys/" + bench.id + "/rotate", admin.header());
  ASSERT_EQ(rotated.status, 200) << rotated.body;
  // The next failure doubles the delay: what the key at home did has not undone the others.
  clock.advance(1s);
  expect(get("/api/v1/site", {{"X-API-Key", "mr_wrong"}}), 401, "key_invalid");
  EXPECT_EQ(header_of(get("/api/v1/site", {{"X-API-Key", "mr_wrong"}}), "retry-after"), "2");
  const HttpResponse own = ask("POST", "/api/v1/keys/" + admin.id + "/rotate", admin.header());
  ASSERT_EQ(own.status, 200) << own.body;
  const Headers anew{{"X-API-Key", json::parse(own.body)["key"].get<std::string>()}};
  expect(get("/api/v1/site", anew), 429, "address_blocked");
  clock.advance(2s);
  EXPECT_EQ(get("/api/v1/site", anew).status, 200);
}

TEST_F(AccessTest, AStopPassesTheBlockByEitherRouteAndOpensItForNothingElse) {
  const Key bench = make("bench", {"read", "operate"});
  for (int i = 0; i < 8; ++i) get("/api/v1/site", {{"X-API-Key", "mr_wrong"}});
  expect(ask("POST", "/api/v1/machines/voron-2/emergency_stop", bench.header()), 501, "not_served");
  expect(ask("POST", "/api/v1/machines/voron-2/commands", bench.header(), R"({"command":"emergency_stop"})"), 501,
         "not_served");
  expect(ask("POST", "/api/v1/emergency_stop", bench.header()), 501, "not_served");
  expect(ask("POST", "/api/v1/machines/voron-2/commands", bench.header(), R"({"command":"pause"})"), 429,
         "address_blocked");
}

TEST_F(AccessTest, ASessionGoesOnWhileItsAddressIsBlocked) {
  const std::string session = sign_in(make_admin());
  for (int i = 0; i < 10; ++i) get("/api/v1/site", {{"X-API-Key", "mr_wrong"}});
  EXPECT_EQ(get("/api/v1/site", cookie(session)).status, 200);
}

TEST_F(AccessTest, AnswersNeverRepeatAKey) {
  const Key admin = make_admin();
  std::string guess = admin.secret;
  guess.back() = guess.back() == 'A' ? 'B' : 'A';
  for (const std::string& text : {guess, std::string("hunter2-password")}) {
    const HttpResponse answer = get("/api/v1/site", {{"X-API-Key", text}});
    EXPECT_EQ(answer.body.find(text.substr(text.size() - 8)), std::string::npos) << answer.body;
  }
  for (const RecordedEvent& event : shop.events()) {
    EXPECT_EQ(std::string(event.envelope.bytes()).find(admin.secret.substr(12)), std::string::npos);
  }
}

// --- limits

TEST_F(AccessTest, TooManyRequestsAreTurnedAwayAndTheLimitsAreSaid) {
  make_admin();
  const Key bench = make("bench", {"read"});
  ApiKeyFields fields = fields_of(*keys.find(bench.id));
  fields.requests_per_minute = 3;
  ASSERT_TRUE(desk.change(bench.id, fields, {"test", true}));
  const HttpResponse first = get("/api/v1/site", bench.header());
  EXPECT_EQ(header_of(first, "x-ratelimit-limit"), "3");
  EXPECT_EQ(header_of(first, "x-ratelimit-remaining"), "2");
  EXPECT_EQ(header_of(first, "x-ratelimit-reset"), "20");
  get("/api/v1/site", bench.header());
  get("/api/v1/site", bench.header());
  const HttpResponse refused = get("/api/v1/site", bench.header());
  expect(refused, 429, "rate_limited");
  EXPECT_EQ(header_of(refused, "retry-after"), "20");
  EXPECT_EQ(get("/health/live", bench.header()).status, 200);
  clock.advance(20s);
  EXPECT_EQ(get("/api/v1/site", bench.header()).status, 200);
}

// --- what is recorded

TEST_F(AccessTest, DenialsAreRecordedWithWhoAndWhatAndAreBounded) {
  make_admin();
  const Key reader = make("reader", {"read"});
  ask("DELETE", "/api/v1/machines/mk4", reader.header());
  for (int i = 0; i < 100; ++i) get("/api/v1/machines");
  auto told = denials();
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0].code, "scope_missing");
  EXPECT_EQ(told[0].method, "DELETE");
  EXPECT_EQ(told[0].path, "/api/v1/machines/mk4");
  EXPECT_EQ(told[0].address, "127.0.0.1");
  EXPECT_EQ(told[0].key_id, reader.id);
  EXPECT_EQ(told[1].code, "key_missing");
  clock.advance(1min);
  get("/api/v1/machines");
  told = denials();
  ASSERT_EQ(told.size(), 5u);
  EXPECT_EQ(told[4].count, 98u);
}

TEST_F(AccessTest, EventsSayWhoseKeyItWas) {
  make_admin();
  const Key bench = make("bench", {"read", "operate"});
  ASSERT_EQ(ask("PATCH", "/api/v1/jobs/mk4." + std::to_string(kStart), bench.header(), R"({"notes":"fine"})").status,
            200);
  std::lock_guard lock(log_mutex);
  EXPECT_EQ(text(shop.events().back().envelope.table().actor()), "bench");
}

// --- older clients

TEST_F(AccessTest, ClientsOf3dPrintLoggerManageKeysInTheirShape) {
  const Key admin = make_admin();
  const HttpResponse made = ask("POST", "/api/admin/api-keys", admin.header(), R"({"name":"old"})");
  ASSERT_EQ(made.status, 201) << made.body;
  const json key = json::parse(made.body);
  EXPECT_EQ(key["key_prefix"], key["key"].get<std::string>().substr(0, 12));
  const json list = json::parse(get("/api/admin/api-keys", admin.header()).body);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1]["id"], key["id"]);
  EXPECT_FALSE(list[1].contains("key"));
  EXPECT_EQ(json::parse(get("/api/printers").body)["detail"], "Missing API key");
  EXPECT_EQ(json::parse(get("/api/printers", {{"X-API-Key", "nonsense"}}).body)["detail"], "Invalid API key");
  EXPECT_EQ(get("/api/printers", {{"X-API-Key", key["key"]}}).status, 200);
  EXPECT_EQ(ask("POST", "/api/admin/api-keys", admin.header(), R"({"name":""})").status, 422);
  EXPECT_EQ(ask("DELETE", "/api/admin/api-keys/" + list[0]["id"].dump(), admin.header()).status, 400) << "its own";
  EXPECT_EQ(ask("DELETE", "/api/admin/api-keys/" + key["id"].dump(), admin.header()).status, 204);
  EXPECT_EQ(ask("DELETE", "/api/admin/api-keys/" + key["id"].dump(), admin.header()).status, 404);
}

TEST_F(AccessTest, ClientsOfKlipperPlaceManageKeysInTheirShape) {
  const Key admin = make_admin();
  const HttpResponse made = ask("POST", "/api/v1/auth/keys", admin.header(),
                                R"({"name":"placer","permissions":["read","write"],"rate_limit":50})");
  ASSERT_EQ(made.status, 201) << made.body;
  const json key = json::parse(made.body);
  const std::string id = key["key_id"];
  EXPECT_EQ(keys.find(id)->scopes, (std::vector<std::string>{"read", "operate"}));
  EXPECT_EQ(keys.find(id)->requests_per_minute, 3'000u);
  const Headers placer{{"X-API-Key", key["api_key"].get<std::string>()}};
  const json status = json::parse(get("/api/v1/auth/status", placer).body);
  EXPECT_EQ(status["key_name"], "placer");
  EXPECT_EQ(status["permissions"], json({"read", "write"}));
  EXPECT_EQ(status["rate_limit"]["limit"], 3'000);
  const HttpResponse denied = get("/api/v1/auth/keys", placer);
  EXPECT_EQ(denied.status, 403);
  EXPECT_EQ(json::parse(denied.body)["error_code"], "PERMISSION_DENIED");
  EXPECT_EQ(json::parse(get("/api/v1/auth/status").body)["error_code"], "AUTHORIZATION_REQUIRED");
  EXPECT_EQ(json::parse(get("/api/v1/auth/keys", {{"X-API-Key", "x"}}).body)["error_code"], "INVALID_API_KEY");
  EXPECT_EQ(ask("PUT", "/api/v1/auth/keys/" + id, admin.header(), R"({"is_active":false})").status, 200);
  EXPECT_EQ(get("/api/v1/auth/status", placer).status, 401);
  EXPECT_EQ(ask("DELETE", "/api/v1/auth/keys/" + id, admin.header()).status, 200);
  const HttpResponse gone = get("/api/v1/auth/keys/" + id, admin.header());
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(json::parse(gone.body)["error_code"], "KEY_NOT_FOUND");
  EXPECT_EQ(ask("POST", "/api/v1/auth/keys", admin.header(), R"({"name":"x","permissions":["root"]})").status, 400);
}

// --- what the document and the answers say

TEST_F(AccessTest, AnswersHoldWhatTheDocumentSays) {
  const Key admin = make_admin();
  const json schemas = json::parse(get("/api/openapi.json", admin.header()).body)["components"]["schemas"];
  const auto names = [](const json& object) {
    std::set<std::string> found;
    for (const auto& [name, _] : object.items()) found.insert(name);
    return found;
  };
  const auto same = [&](const std::string& target, const std::string& schema) {
    EXPECT_EQ(names(json::parse(get(target, admin.header()).body)), names(schemas[schema]["properties"])) << target;
  };
  same("/api/v1/session", "Session");
  same("/api/v1/keys", "ApiKeyList");
  same("/api/v1/auth/keys", "PlacerKeyList");
  same("/api/v1/auth/keys/" + admin.id, "PlacerKeyAnswer");
  same("/api/v1/auth/status", "PlacerStatus");
  auto shown = names(json::parse(get("/api/v1/keys/" + admin.id, admin.header()).body));
  shown.insert("key");
  EXPECT_EQ(shown, names(schemas["ApiKey"]["properties"]));
}

TEST_F(AccessTest, EveryAnswerTellsTheBrowserToBeStrict) {
  for (const char* target : {"/", "/health/live", "/api/v1/site", "/api/v1/nothing", "/api/printers"}) {
    const HttpResponse answer = get(target);
    EXPECT_NE(header_of(answer, "content-security-policy").find("default-src 'self'"), std::string::npos) << target;
    EXPECT_EQ(header_of(answer, "content-security-policy").find("unsafe"), std::string::npos);
    EXPECT_EQ(header_of(answer, "x-content-type-options"), "nosniff");
    EXPECT_EQ(header_of(answer, "x-frame-options"), "DENY");
    EXPECT_EQ(header_of(answer, "strict-transport-security"), "") << "without TLS";
  }
}

}  // namespace
}  // namespace millrace::testing
