// SPDX-License-Identifier: Apache-2.0
// Emergency stops over HTTP: before everything that may refuse, wait or fail.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "net/emergency_stopper.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/edge.h"
#include "web/edge/emergency_stops.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// A Moonraker that answers as it is told to.
class Moonraker final : public HttpService {
 public:
  Moonraker() {
    EXPECT_TRUE(server_.listen("127.0.0.1", 0));
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Moonraker() override {
    loop_.stop();
    thread_.join();
  }
  void on_request(HttpRequest request, Responder respond) override {
    HttpResponse response;
    response.body = R"({"result":"ok"})";
    if (request.path == "/printer/emergency_stop") {
      ++stops;
      response.status = status;
    }
    respond(std::move(response));
  }
  boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest&,
                                                                     std::shared_ptr<WebSocketPeer>) override {
    return HttpResponse{.status = 404};
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }

  std::atomic<int> stops{0};
  std::atomic<int> status{200};

 private:
  IoLoop loop_;
  HttpServer server_{loop_, *this};
  std::thread thread_;
};

class EdgeEmergencyStop : public ::testing::Test {
 protected:
  EdgeEmergencyStop() {
    EdgeOptions options;
    options.port = 0;
    options.max_queued_reads = 0;  // everything that waits is refused
    options.max_queued_writes = 0;
    options.http.max_connections = 20;
    edge = std::make_unique<Edge>(
        EdgeParts{loop, *shop.log, *store, clock, *metrics, health, nullptr, nullptr, nullptr, nullptr, nullptr,
                  stopper.get(), [this](EmergencyRecord record) { keep(std::move(record)); }},
        options);
    EXPECT_TRUE(edge->start());
    thread = std::thread([this] { loop.run(); });
    stopper->set("voron-2", {moonraker.url(), "", nullptr});
  }
  ~EdgeEmergencyStop() override {
    stopper.reset();
    loop.post([this] {
      edge->stop();
      loop.stop();
    });
    thread.join();
  }
  void keep(EmergencyRecord record) {
    std::lock_guard lock(mutex);
    records.push_back(std::move(record));
  }
  std::vector<EmergencyRecord> kept() {
    std::lock_guard lock(mutex);
    return records;
  }
  struct Answer {
    int status = 0;
    json body;
  };
  Answer post(const std::string& path, const std::string& body = "",
              std::vector<std::pair<std::string, std::string>> headers = {}) {
    const auto answer = http_request({.method = "POST",
                                      .url = "http://127.0.0.1:" + std::to_string(edge->port()) + path,
                                      .headers = std::move(headers),
                                      .body = body});
    if (!answer) return {};
    return {answer->status, json::parse(answer->body, nullptr, false)};
  }

  Moonraker moonraker;
  Shop shop;
  SystemClock clock;
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  std::unique_ptr<EmergencyStopper> stopper = std::make_unique<EmergencyStopper>(clock, *metrics);
  std::mutex mutex;
  std::vector<EmergencyRecord> records;
  std::unique_ptr<Edge> edge;
  std::thread thread;
};

TEST_F(EdgeEmergencyStop, IsAnsweredWithWhatCameOfItAndRecorded) {
  const Answer answer = post("/api/v1/machines/voron-2/emergency_stop", R"({"reason":"smoke"})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body["confirmed"], true);
  EXPECT_EQ(moonraker.stops, 1);
  ASSERT_EQ(kept().size(), 1u);
  EXPECT_EQ(kept()[0].reason, "smoke");
  EXPECT_EQ(kept()[0].actor, "local");
  EXPECT_EQ(kept()[0].command_id, answer.body["command_id"]);
  EXPECT_EQ(kept()[0].address, "127.0.0.1");
}

TEST_F(EdgeEmergencyStop, WhatIsNotConfirmedIsNoSuccess) {
  moonraker.status = 503;
  const Answer answer = post("/api/v1/machines/voron-2/emergency_stop");
  EXPECT_EQ(answer.status, 502);
  EXPECT_EQ(answer.body["code"], "not_confirmed");
  EXPECT_EQ(answer.body["status"], 502);
  EXPECT_EQ(answer.body["confirmed"], false);
  EXPECT_NE(answer.body["machine_said"].get<std::string>().find("503"), std::string::npos);
  EXPECT_FALSE(answer.body["what_to_do"].get<std::string>().empty());
  ASSERT_EQ(kept().size(), 1u);
  EXPECT_FALSE(kept()[0].confirmed);
}

TEST_F(EdgeEmergencyStop, WaitsForNoPositionQueueOrParameter) {
  EXPECT_EQ(post("/api/v1/machines/voron-2/emergency_stop?min_position=999999&what=ever", "{broken").status, 200);
  EXPECT_EQ(post("/api/v1/machines/voron-2/emergency_stop", "", {{"Millrace-Min-Position", "nonsense"}}).status, 200);
  EXPECT_EQ(moonraker.stops, 2);
}

TEST_F(EdgeEmergencyStop, AllAreStoppedAndEachHasARecordOfItsOwn) {
  stopper->set("ender-3", {moonraker.url(), "", nullptr});
  const Answer answer = post("/api/v1/emergency_stop");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body["machines"].size(), 2u);
  EXPECT_EQ(moonraker.stops, 2);
  ASSERT_EQ(kept().size(), 2u);
  EXPECT_EQ(kept()[0].machine, "ender-3");
  EXPECT_NE(kept()[0].command_id, kept()[1].command_id);
  moonraker.status = 500;
  EXPECT_EQ(post("/api/v1/emergency_stop").status, 502);
}

TEST_F(EdgeEmergencyStop, StrangersAndUnknownMachinesStopNothing) {
  EXPECT_EQ(post("/api/v1/machines/nobody/emergency_stop").status, 404);
  EXPECT_EQ(post("/api/v1/machines/voron-2/emergency_stop", "", {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(post("/api/v1/emergency_stop", "", {{"Host", "evil.example"}}).status, 421);
  stopper->remove("voron-2");
  EXPECT_EQ(post("/api/v1/emergency_stop").body["code"], "machine_not_found");
  EXPECT_EQ(moonraker.stops, 0);
  EXPECT_TRUE(kept().empty());
}

// Connections of somebody who says nothing.
class SilentClients {
 public:
  SilentClients(uint16_t port, int count) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; ++i) {
      sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      EXPECT_EQ(::connect(sockets_.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    }
  }
  ~SilentClients() {
    for (const int socket : sockets_) ::close(socket);
  }
  SilentClients(const SilentClients&) = delete;
  SilentClients& operator=(const SilentClients&) = delete;

 private:
  std::vector<int> sockets_;
};

TEST_F(EdgeEmergencyStop, AFullPortStopsMachinesAndDoesNothingElse) {
  const SilentClients crowd(edge->port(), 200);
  const auto ready = http_request({.url = "http://127.0.0.1:" + std::to_string(edge->port()) + "/health/live"});
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 503) << "the port is full";
  const Answer one = post("/api/v1/machines/voron-2/emergency_stop", R"({"reason":"smoke"})");
  EXPECT_EQ(one.status, 200) << one.body;
  EXPECT_EQ(one.body["confirmed"], true);
  EXPECT_EQ(post("/api/v1/emergency_stop").status, 200);
  EXPECT_EQ(moonraker.stops, 2);
  EXPECT_EQ(kept().size(), 2u);
}

}  // namespace
}  // namespace millrace
