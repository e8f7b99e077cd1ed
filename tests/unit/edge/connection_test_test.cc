// SPDX-License-Identifier: Apache-2.0
// The connection test against a server that answers like a Moonraker.
#include "web/edge/connection_test.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "net/http_server.h"

namespace millrace {
namespace {

struct AnsweredPaths final : HttpService {
  std::map<std::string, std::string, std::less<>> bodies;
  std::map<std::string, int, std::less<>> failures;  // so often 503 before what there is
  std::map<std::string, int, std::less<>> asked;

  void on_request(HttpRequest request, Responder respond) override {
    HttpResponse response;
    ++asked[request.path];
    if (failures[request.path] > 0) {
      --failures[request.path];
      response.status = 503;
      response.body = R"({"error":{"message":"busy"}})";
      return respond(std::move(response));
    }
    const auto body = bodies.find(request.path);
    response.status = body == bodies.end() ? 404 : 200;
    if (body != bodies.end()) response.body = body->second;
    respond(std::move(response));
  }
  boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest&,
                                                                     std::shared_ptr<WebSocketPeer>) override {
    return HttpResponse{.status = 404};
  }
};

class ConnectionTestTest : public ::testing::Test {
 protected:
  ConnectionTestTest() {
    says("ready");
    has(R"(["webhooks","print_stats"])");
  }
  void says(const std::string& state) {
    moonraker.bodies["/server/info"] = R"({"result":{"moonraker_version":"v0.9.3","klippy_state":")" + state + R"("}})";
  }
  void has(const std::string& objects) {
    moonraker.bodies["/printer/objects/list"] = R"({"result":{"objects":)" + objects + "}}";
  }
  // The last step that was not skipped.
  ConnectionTestStep tried(bool prints = true) {
    IoLoop loop;
    const SystemClock clock;
    HttpServer server(loop, moonraker);
    EXPECT_TRUE(server.listen("127.0.0.1", 0));
    ConnectionTestRequest request;
    request.url = "http://127.0.0.1:" + std::to_string(server.port());
    request.prints = prints;
    std::vector<ConnectionTestStep> steps;
    ConnectionTest::start(loop, clock, request, [&](std::vector<ConnectionTestStep> told) {
      steps = std::move(told);
      loop.stop();
    });
    loop.run();
    ConnectionTestStep last;
    for (auto& step : steps) {
      if (step.outcome != "skipped") last = std::move(step);
    }
    return last;
  }

  AnsweredPaths moonraker;
};

TEST_F(ConnectionTestTest, APrinterHasPrintStats) {
  EXPECT_EQ(tried().step, "objects");
  EXPECT_EQ(tried().outcome, "ok");
  has(R"(["webhooks","gcode"])");
  const auto step = tried();
  EXPECT_EQ(step.step, "objects");
  EXPECT_EQ(step.outcome, "failed");
  EXPECT_EQ(step.detail, "2 objects, without print_stats");
  EXPECT_NE(step.advice.find("[virtual_sdcard]"), std::string::npos) << step.advice;
  has("[]");
  EXPECT_EQ(tried().outcome, "failed");
}

TEST_F(ConnectionTestTest, AMachineThatDoesNotPrintNeedsNoPrintStats) {
  has(R"(["webhooks","gcode"])");
  EXPECT_EQ(tried(false).outcome, "ok");
}

TEST_F(ConnectionTestTest, WhyKlipperHasStoppedIsSaidInItsWords) {
  says("shutdown");
  moonraker.bodies["/printer/info"] = R"({"result":{"state":"shutdown","state_message":"MCU 'mcu' shutdown: M112"}})";
  const auto step = tried();
  EXPECT_EQ(step.step, "klipper");
  EXPECT_EQ(step.outcome, "failed");
  EXPECT_EQ(step.detail, "shutdown: MCU 'mcu' shutdown: M112");
  EXPECT_NE(step.advice.find("FIRMWARE_RESTART"), std::string::npos);
  says("error");
  EXPECT_EQ(tried().detail, "error: MCU 'mcu' shutdown: M112");
  EXPECT_EQ(tried().advice.find("FIRMWARE_RESTART"), std::string::npos) << "a wrong printer.cfg needs RESTART alone";
}

TEST_F(ConnectionTestTest, AReadThatFailsIsTriedOnceMoreAndThatIsTold) {
  moonraker.failures["/printer/objects/list"] = 1;
  auto step = tried();
  EXPECT_EQ(step.outcome, "ok");
  EXPECT_EQ(step.detail, "2 objects (at the second try; the first: 503 busy)");
  moonraker.failures["/server/info"] = 2;
  moonraker.asked.clear();
  step = tried();
  EXPECT_EQ(step.step, "moonraker");
  EXPECT_EQ(step.outcome, "failed");
  EXPECT_EQ(step.detail, "503 busy (at the second try; the first: 503 busy)");
  EXPECT_EQ(moonraker.asked["/server/info"], 2) << "somebody waits";
  EXPECT_EQ(tried().detail, "2 objects");
}

TEST_F(ConnectionTestTest, WhatAnswersAsItWillIsAskedOnce) {
  moonraker.bodies.erase("/server/info");
  EXPECT_EQ(tried().outcome, "failed");
  EXPECT_EQ(moonraker.asked["/server/info"], 1);
}

TEST_F(ConnectionTestTest, WithoutItsWordsTheStateIsSaid) {
  says("shutdown");
  EXPECT_EQ(tried().detail, "shutdown");
}

}  // namespace
}  // namespace millrace
