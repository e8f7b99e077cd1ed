// SPDX-License-Identifier: Apache-2.0
// The edge over real sockets, on a log and views in memory.
#include "web/edge/edge.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "net/http_client.h"
#include "net/web_socket_client.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/api_document.h"
#include "web/edge/static_files.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

class EdgeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    shop.say(registered("Voron 2"));
    shop.say(connected());
    shop.say(state_changed(schema::MachineState::printing));
    shop.say(sampled({{"extruder", "temperature", 214.9},
                      {"extruder", "target", 215},
                      {"fan", "speed", 0.5},
                      {"toolhead", "position.x", 12}},
                     true));
    shop.say(started(row_id(), kStart));
    clock.set_wall(from_unix_us(shop.now_us));
    open();
  }
  void open() {
    EdgeOptions options;
    options.port = 0;
    options.version = "0.1.0";
    options.view_wait = 50ms;
    options.heartbeat = 20ms;
    edge = std::make_unique<Edge>(EdgeParts{loop, *shop.log, *store, clock, *metrics, health}, options);
    projector = std::make_unique<Projector>(*shop.log, *store, make_projections(), *metrics, health);
    projector->on_applied = [this](auto group) { edge->on_applied(std::move(group)); };
    ASSERT_TRUE(projector->start());
    ASSERT_TRUE(projector->wait_for(shop.log->last(), 10s));
    ASSERT_TRUE(edge->start());
    thread = std::thread([this] { loop.run(); });
  }
  void TearDown() override {
    projector->stop();
    loop.post([this] {
      edge->stop();
      loop.stop();
    });
    thread.join();
  }
  template <class PayloadT>
  void say(PayloadT payload) {
    projector->offer(shop.say(std::move(payload)));
  }
  HttpResponse get(const std::string& target, std::vector<std::pair<std::string, std::string>> headers = {},
                   const std::string& method = "GET") {
    const auto answer = http_request({.method = method,
                                      .url = "http://127.0.0.1:" + std::to_string(edge->port()) + target,
                                      .headers = std::move(headers)});
    EXPECT_TRUE(answer.has_value()) << target;
    return answer ? *answer : HttpResponse{};
  }
  json body(const std::string& target) { return json::parse(get(target).body); }
  void expect_problem(const std::string& target, int status, const std::string& code) {
    const HttpResponse answer = get(target);
    EXPECT_EQ(answer.status, status) << target;
    const json problem = json::parse(answer.body);
    EXPECT_EQ(problem["code"], code) << target;
    EXPECT_EQ(problem["status"], status);
    EXPECT_FALSE(problem["detail"].get<std::string>().empty());
  }

  Shop shop;
  ::millrace::testing::ManualClock clock;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  std::unique_ptr<Edge> edge;
  std::unique_ptr<Projector> projector;
  std::thread thread;
};

TEST_F(EdgeTest, AMachineIsShownWhole) {
  const json machine = body("/api/v1/machines/voron-2");
  EXPECT_EQ(machine["name"], "Voron 2");
  EXPECT_EQ(machine["state"], "printing");
  EXPECT_EQ(machine["connection"], "connected");
  EXPECT_EQ(machine["state_version"], "7-3");
  EXPECT_EQ(machine["temperatures"]["extruder"]["value"], 214.9);
  EXPECT_EQ(machine["temperatures"]["extruder"]["power"], nullptr);
  EXPECT_EQ(machine["fans"]["fan"]["speed"], 0.5);
  EXPECT_EQ(machine["toolhead"]["x"], 12);
  EXPECT_EQ(machine["job"]["id"], row_id());
  EXPECT_EQ(machine["stale"], false);
  EXPECT_EQ(body("/api/v1/machines")["items"][0], machine);
}

TEST_F(EdgeTest, AMachineThatNothingIsHeardOfIsStale) {
  clock.advance(61s);
  EXPECT_EQ(body("/api/v1/machines/voron-2")["stale"], true);
}

// Values age from the last sign of the subscription, each category by its own time to live.
TEST_F(EdgeTest, ValuesThatNobodyConfirmsAreStaleWithTheirAge) {
  const json fresh = body("/api/v1/machines/voron-2");
  EXPECT_EQ(fresh["values"]["stale"], json::array());
  EXPECT_EQ(fresh["values"]["age"], 0.1);
  EXPECT_EQ(fresh["temperatures"]["extruder"]["stale"], false);
  clock.advance(2900ms);
  EXPECT_EQ(body("/api/v1/machines/voron-2")["values"]["stale"], json::array()) << "the subscription is in force";
  clock.advance(200ms);
  const json old = body("/api/v1/machines/voron-2");
  EXPECT_EQ(old["values"]["stale"], (json{"gpio", "sensor", "position", "fan", "pwm", "printer_state", "actuator"}));
  EXPECT_EQ(old["values"]["age"], 3.2);
  EXPECT_EQ(old["temperatures"]["extruder"]["value"], 214.9) << "the last value";
  EXPECT_EQ(old["temperatures"]["extruder"]["age"], 3.2);
  EXPECT_EQ(old["temperatures"]["extruder"]["stale"], true);
  EXPECT_EQ(old["fans"]["fan"]["stale"], true);
  EXPECT_EQ(old["toolhead"]["stale"], true);
  EXPECT_EQ(old["stale"], false) << "of the machine something was heard within the minute";
  clock.advance(2s);
  EXPECT_EQ(body("/api/v1/machines/voron-2")["values"]["stale"].size(), 8u);
}

TEST_F(EdgeTest, AfterALostLinkEachCategoryIsStaleAfterItsOwnTime) {
  say(disconnected("closed"));
  get("/api/v1/machines", {{"Millrace-Min-Position", "6"}});
  const auto stale_after = [&](std::chrono::milliseconds more) {
    clock.advance(more);
    return body("/api/v1/machines/voron-2")["values"]["stale"];
  };
  EXPECT_EQ(stale_after(0ms), json::array()) << "0.1 s old";
  EXPECT_EQ(stale_after(300ms), json::array({"position"}));
  EXPECT_EQ(stale_after(200ms), (json{"sensor", "position"}));
  EXPECT_EQ(stale_after(500ms), (json{"gpio", "sensor", "position", "fan", "pwm", "actuator"}));
  EXPECT_EQ(stale_after(1000ms), (json{"gpio", "sensor", "position", "fan", "pwm", "printer_state", "actuator"}));
  EXPECT_EQ(stale_after(3000ms).size(), 8u);
}

TEST_F(EdgeTest, JobsEventsSiteAndHealth) {
  const json jobs = body("/api/v1/jobs?outcome=running,failed&machine=voron-2&q=CUBE&limit=1");
  EXPECT_EQ(jobs["items"][0]["id"], row_id());
  EXPECT_EQ(jobs["total"], 1);
  EXPECT_EQ(body("/api/v1/jobs/" + row_id())["metadata"], nullptr);
  const json events = body("/api/v1/events?limit=2&type=MachineConnected,JobStarted");
  ASSERT_EQ(events["items"].size(), 2u);
  EXPECT_EQ(events["items"][1]["type"], "JobStarted");
  EXPECT_EQ(body("/api/v1/events/2")["type"], "MachineConnected");
  EXPECT_EQ(body("/api/v1/site")["position"], 5);
  EXPECT_EQ(get("/health/live").status, 200);
  EXPECT_EQ(get("/health/ready").status, 200);
  health.set("broker", false, "no answer from 127.0.0.1:1883");
  EXPECT_EQ(get("/health/ready").status, 503);
  EXPECT_EQ(body("/health/ready")["parts"]["broker"]["text"], "no answer from 127.0.0.1:1883");
  EXPECT_NE(get("/metrics").body.find("millrace_projector_events_total"), std::string::npos);
}

TEST_F(EdgeTest, EventsArePagedByACursor) {
  std::string cursor;
  std::vector<int> positions;
  do {
    const json page = body("/api/v1/events?limit=2" + (cursor.empty() ? "" : "&cursor=" + cursor));
    for (const json& event : page["items"]) positions.push_back(event["position"]);
    cursor = page["next_cursor"].is_null() ? "" : page["next_cursor"].get<std::string>();
  } while (!cursor.empty());
  EXPECT_EQ(positions, (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST_F(EdgeTest, WrongRequestsSayWhatWouldBeRight) {
  expect_problem("/api/v1/nothing", 404, "not_found");
  expect_problem("/api/v1/machines/none", 404, "machine_not_found");
  expect_problem("/api/v1/jobs/none", 404, "job_not_found");
  expect_problem("/api/v1/events/99", 404, "event_not_found");
  for (const char* target :
       {"/api/v1/jobs?limit=0", "/api/v1/jobs?limit=501", "/api/v1/jobs?limit=x", "/api/v1/jobs?colour=red",
        "/api/v1/jobs?outcome=lost", "/api/v1/jobs?from=yesterday", "/api/v1/jobs?machine=A%20B",
        "/api/v1/jobs?cursor=zz", "/api/v1/events?type=Dance", "/api/v1/events?after=-1", "/api/v1/events/0",
        "/api/v1/events?cursor=00", "/api/v1/machines?min_position=x"}) {
    expect_problem(target, 400, "invalid_parameter");
  }
  const HttpResponse refused = get("/api/v1/site", {}, "DELETE");
  EXPECT_EQ(refused.status, 405);
  EXPECT_TRUE(std::any_of(refused.headers.begin(), refused.headers.end(),
                          [](const auto& header) { return header.second == "GET, HEAD"; }));
  expect_problem("/api/v1/live", 426, "upgrade_required");
  expect_problem("/missing.js", 404, "not_found");
}

TEST_F(EdgeTest, HeadIsGetWithoutTheBody) {
  for (const char* target : {"/api/v1/machines", "/health/live", "/"}) {
    const HttpResponse head = get(target, {}, "HEAD");
    EXPECT_EQ(head.status, 200) << target;
    EXPECT_EQ(head.body, "") << target;
  }
  EXPECT_EQ(get("/api/v1/machines/none", {}, "HEAD").status, 404);
}

TEST_F(EdgeTest, AForeignHostOrOriginIsRefused) {
  EXPECT_EQ(get("/api/v1/machines", {{"Host", "evil.example"}}).status, 421);
  EXPECT_EQ(get("/api/v1/machines", {{"Host", "localhost:1"}}).status, 200);
}

TEST_F(EdgeTest, ReadsWaitForTheirPositionOrSayThatTheViewIsBehind) {
  expect_problem("/api/v1/jobs?min_position=6", 503, "view_behind");
  say(finished(row_id(), schema::JobOutcome::completed, schema::JobEvidence::conclusive));
  const HttpResponse answer = get("/api/v1/jobs", {{"Millrace-Min-Position", "6"}});
  EXPECT_EQ(json::parse(answer.body)["items"][0]["outcome"], "completed");
}

TEST_F(EdgeTest, PagesOfTheAppAreServedWithAStrictPolicy) {
  const HttpResponse page = get("/jobs");
  EXPECT_EQ(page.status, 200);
  std::map<std::string, std::string> headers;
  for (auto [name, value] : page.headers) {
    std::transform(name.begin(), name.end(), name.begin(), ::tolower);
    headers[name] = value;
  }
  EXPECT_NE(headers["content-security-policy"].find("default-src 'self'"), std::string::npos);
  EXPECT_EQ(headers["x-content-type-options"], "nosniff");
}

std::set<std::string> keys_of(const json& object) {
  std::set<std::string> keys;
  for (const auto& [key, value] : object.items()) keys.insert(key);
  return keys;
}

TEST_F(EdgeTest, TheApiDocumentDescribesWhatTheAnswersHold) {
  const json document = body("/api/openapi.json");
  EXPECT_EQ(document["openapi"], "3.1.0");
  const json& schemas = document["components"]["schemas"];
  const std::map<std::string, std::string> answers = {{"Machine", "/api/v1/machines/voron-2"},
                                                      {"JobDetail", "/api/v1/jobs/" + row_id()},
                                                      {"Event", "/api/v1/events/1"},
                                                      {"Site", "/api/v1/site"},
                                                      {"JobList", "/api/v1/jobs"},
                                                      {"EventList", "/api/v1/events"},
                                                      {"MachineList", "/api/v1/machines"},
                                                      {"SignalList", "/api/v1/machines/voron-2/signals"},
                                                      {"Telemetry", "/api/v1/machines/voron-2/telemetry"},
                                                      {"Ready", "/health/ready"},
                                                      {"Live", "/health/live"},
                                                      {"Problem", "/api/v1/nothing"}};
  for (const auto& [name, target] : answers) {
    EXPECT_EQ(keys_of(body(target)), keys_of(schemas[name]["properties"])) << name;
  }
  EXPECT_EQ(keys_of(body("/api/v1/machines/voron-2")["job"]), keys_of(schemas["CurrentJob"]["properties"]));
  EXPECT_EQ(keys_of(body("/api/v1/jobs")["items"][0]), keys_of(schemas["Job"]["properties"]));
  EXPECT_EQ(keys_of(body("/api/v1/machines/voron-2/signals")["items"][0]), keys_of(schemas["Signal"]["properties"]));
  EXPECT_EQ(keys_of(body("/api/v1/jobs/" + row_id() + "/telemetry")["signals"][0]),
            keys_of(schemas["Telemetry"]["properties"]["signals"]["items"]["properties"]));
  for (const Route& route : routes()) EXPECT_TRUE(document["paths"].contains(std::string(route.pattern)));
}

// A client of the live feed that keeps what it was told.
class Browser {
 public:
  Browser(IoLoop& loop, const std::string& url, std::vector<std::pair<std::string, std::string>> headers = {})
      : loop_(loop) {
    loop_.post([this, url, headers] {
      client_ = std::make_unique<WebSocketClient>(loop_, WebSocketClientOptions{.headers = headers});
      client_->on_text = [this](std::string_view text) { take(json::parse(text)); };
      client_->on_closed = [this](const WebSocketClosed&) { take({{"type", "closed"}}); };
      client_->open(url);
    });
  }
  ~Browser() {
    std::unique_lock lock(mutex_);
    bool gone = false;
    loop_.post([&] {
      client_.reset();
      std::lock_guard inner(mutex_);
      gone = true;
      changed_.notify_all();
    });
    changed_.wait_for(lock, 10s, [&] { return gone; });
  }
  bool wait_until(std::function<bool()> condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 10s, condition);
  }
  std::map<std::string, json> machines, jobs;
  uint64_t position = 0;
  std::vector<std::string> types;

 private:
  void take(const json& message) {
    std::lock_guard lock(mutex_);
    types.push_back(message["type"]);
    if (message["type"] == "snapshot") {
      machines.clear();
      jobs.clear();
    }
    for (const json& machine : message.value("machines", json::array())) machines[machine["id"]] = machine;
    for (const json& job : message.value("jobs", json::array())) jobs[job["id"]] = job;
    position = message.value("position", position);
    changed_.notify_all();
  }
  IoLoop& loop_;
  std::unique_ptr<WebSocketClient> client_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

TEST_F(EdgeTest, SnapshotAndDeltasEqualAFreshSnapshot) {
  const std::string url = "ws://127.0.0.1:" + std::to_string(edge->port()) + "/api/v1/live";
  Browser first(loop, url);
  ASSERT_TRUE(first.wait_until([&] { return first.position == 5; }));
  for (int i = 0; i < 20; ++i) {
    say(sampled({{"extruder", "temperature", 200.0 + i}}));
    say(progressed(row_id(), i / 20.0, i));
    const uint64_t last = shop.log->last().value;
    ASSERT_TRUE(first.wait_until([&] { return first.position == last; }));
    Browser fresh(loop, url);
    ASSERT_TRUE(fresh.wait_until([&] { return fresh.position == last; }));
    EXPECT_EQ(first.machines, fresh.machines);
    EXPECT_EQ(first.jobs, fresh.jobs);
  }
  ASSERT_TRUE(first.wait_until([&] { return first.types.back() == "heartbeat"; }));
  Browser back(loop, url + "?position=20");
  ASSERT_TRUE(back.wait_until([&] { return back.position == shop.log->last().value; }));
  EXPECT_EQ(back.types.front(), "delta");
}

TEST_F(EdgeTest, ASocketOfAnotherOriginIsRefused) {
  const std::string url = "ws://127.0.0.1:" + std::to_string(edge->port()) + "/api/v1/live";
  Browser evil(loop, url, {{"Origin", "http://evil.example"}});
  ASSERT_TRUE(evil.wait_until([&] { return !evil.types.empty(); }));
  EXPECT_EQ(evil.types, std::vector<std::string>{"closed"});
}

TEST_F(EdgeTest, KlipperiwcClientsGetTheirShapesWithTrueData) {
  say(progressed(row_id(), 0.25, 3));
  ASSERT_TRUE(projector->wait_for(shop.log->last(), 10s));
  const std::string at = std::to_string(shop.log->last().value);
  const json status = body("/api/status?min_position=" + at);
  EXPECT_EQ(status["state"], "printing");
  EXPECT_TRUE(status["uptime_seconds"].is_number_integer()) << status["uptime_seconds"];
  EXPECT_EQ(status["active_job"]["progress"], 0.25);
  EXPECT_EQ(status["active_job"]["status"], "running");
  EXPECT_EQ(status["temperatures"], body("/api/temperatures"));
  EXPECT_EQ(status["temperatures"][0]["component"], "extruder");
  EXPECT_EQ(status["temperatures"][0]["target"], 215);
  EXPECT_EQ(body("/api/jobs?machine=voron-2")[0]["id"], row_id());
  const json schemas = body("/api/openapi.json")["components"]["schemas"];
  EXPECT_EQ(keys_of(status), keys_of(schemas["KlipperiwcStatus"]["properties"]));
  EXPECT_EQ(keys_of(status["active_job"]), keys_of(schemas["KlipperiwcJob"]["properties"]));
  EXPECT_EQ(keys_of(status["temperatures"][0]), keys_of(schemas["KlipperiwcTemperature"]["properties"]));
}

TEST_F(EdgeTest, WhatWaitsInTheQueueIsShownToBoth) {
  schema::JobQueueChangedT queue;
  queue.state = "ready";
  queue.total = 1;
  queue.jobs.push_back(std::make_unique<schema::WaitingJobT>());
  queue.jobs.back()->id = "0001";
  queue.jobs.back()->filename = "q one.gcode";
  queue.jobs.back()->added_us = kStart;
  say(std::move(queue));
  ASSERT_TRUE(projector->wait_for(shop.log->last(), 10s));
  const std::string at = "min_position=" + std::to_string(shop.log->last().value);
  const json shown = body("/api/v1/machines/voron-2?" + at)["queue"];
  EXPECT_EQ(shown["state"], "ready");
  EXPECT_EQ(shown["total"], 1);
  EXPECT_EQ(shown["jobs"][0],
            json({{"id", "0001"}, {"filename", "q one.gcode"}, {"added_at", to_rfc3339(from_unix_us(kStart))}}));
  const json waiting = body("/api/status?" + at)["queued_jobs"];
  ASSERT_EQ(waiting.size(), 1u);
  EXPECT_EQ(waiting[0]["name"], "q one.gcode");
  EXPECT_EQ(waiting[0]["status"], "queued");
  const json jobs = body("/api/jobs?" + at);
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0]["status"], "running");
  EXPECT_EQ(jobs[1], waiting[0]);
}

TEST_F(EdgeTest, KlipperiwcReadsChangeNothingAndUnknownMachinesAreNamed) {
  const auto before = shop.log->last();
  get("/api/status");
  EXPECT_EQ(shop.log->last(), before);
  EXPECT_EQ(get("/api/status?machine=nobody").status, 404);
  EXPECT_EQ(body("/api/status?machine=nobody")["detail"], "there is no machine 'nobody'");
}

TEST_F(EdgeTest, KlipperiwcSocketTellsOnConnectAndAtEachChange) {
  Browser old(loop, "ws://127.0.0.1:" + std::to_string(edge->port()) + "/ws/status");
  ASSERT_TRUE(old.wait_until([&] { return !old.types.empty(); }));
  EXPECT_EQ(old.types, std::vector<std::string>{"status"});
  say(state_changed(schema::MachineState::paused));
  EXPECT_TRUE(old.wait_until([&] { return old.types.size() > 1; }));
  Browser other(loop, "ws://127.0.0.1:" + std::to_string(edge->port()) + "/ws/status?machine=nobody");
  ASSERT_TRUE(other.wait_until([&] { return !other.types.empty(); }));
  EXPECT_EQ(other.types, std::vector<std::string>{"closed"});
}

TEST(RouteTable, NoTwoRoutesClaimTheSamePathAndMethod) {
  for (const Route& a : routes()) {
    for (const Route& b : routes()) {
      if (&a == &b || a.method != b.method) continue;
      EXPECT_FALSE(overlap(a.pattern, b.pattern)) << a.pattern << " " << b.pattern;
    }
  }
  EXPECT_TRUE(overlap("/a/{id}", "/{x}/b"));
  EXPECT_FALSE(overlap("/a/{id}", "/a/b"));  // the words count
  EXPECT_EQ(find_route("GET", "/api/v1/jobs/export").route->operation, "exportJobs");
}

TEST(StaticFiles, FilesPagesCompressionAndEtags) {
  const std::vector<EmbeddedFile> files = {
      {"/index.html", "<p>", "e1"}, {"/assets/a-1f.js", "long", "e2"}, {"/assets/a-1f.js.gz", "gz", "e3"}};
  const auto get = [&](std::string path, std::vector<std::pair<std::string, std::string>> headers = {}) {
    return serve_file({.method = "GET", .path = std::move(path), .headers = std::move(headers)}, files);
  };
  EXPECT_EQ(get("/").body, "<p>");
  EXPECT_EQ(get("/jobs/voron-2").body, "<p>");
  EXPECT_EQ(get("/assets/a-1f.js").body, "long");
  EXPECT_EQ(get("/assets/a-1f.js", {{"accept-encoding", "br, gzip"}}).body, "gz");
  EXPECT_EQ(get("/assets/a-1f.js", {{"if-none-match", "\"e2\""}}).status, 304);
  EXPECT_EQ(get("/assets/gone.js").status, 404);
  EXPECT_EQ(serve_file({.method = "GET", .path = "/jobs/m.1796065480920256"}, files).body, "<p>")
      << "the page of a job, whose name holds a dot";
  EXPECT_EQ(serve_file({.method = "GET", .path = "/"}, {}).status, 200);
}

}  // namespace
}  // namespace millrace
