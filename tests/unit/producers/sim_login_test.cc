// SPDX-License-Identifier: Apache-2.0
// A simulated machine with a user, seen through real sockets: what a login gives, how long it serves, and that the link
// and the file reader get in with it.
#include <gtest/gtest.h>

#include <atomic>

#include "producers/moonraker/job_file.h"
#include "producers/moonraker/moonraker_socket.h"
#include "producers/simulator/service.h"
#include "tests/support/process.h"
#include "tests/unit/producers/sim_client.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr const char* kPassword = "correct horse";

HostProfile idle_profile() {
  HostProfile profile;
  profile.behaviour = "idle";
  profile.wall_start_s = 1'795'262'400;
  return profile;
}

class SimLoginTest : public ::testing::Test {
 protected:
  ~SimLoginTest() override {
    thread_.call([&] { service_.reset(); });
  }
  void start(double lifetime_s = 3600) {
    SimulatedServiceOptions options;
    options.username = "anna";
    options.password = kPassword;
    options.login_lifetime_s = lifetime_s;
    thread_.call([&] {
      service_ = std::make_unique<SimulatedService>(thread_.loop(), thread_.clock(), idle_profile(), options);
      ASSERT_TRUE(service_->start());
    });
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(service_->port()); }
  Document log_in(const std::string& password = kPassword, int status = 200) {
    const Document said{{"username", "anna"}, {"password", password}};
    const WebAnswer answer = web(service_->port(), "POST", "/access/login", said.dump());
    EXPECT_EQ(answer.status, status) << answer.body;
    return answer.body;
  }
  int status_with(const std::string& token) {
    HttpClientRequest request;
    request.url = url() + "/server/info";
    request.headers = {{"Authorization", "Bearer " + token}};
    const auto answer = http_request(request);
    return answer ? answer->status : 0;
  }

  // What became of a link that is opened with this password: "open" and who it is, or why it closed.
  struct Opened {
    LinkIdentity identity;
    std::string closed;
  };
  Opened open_link(const std::string& password) {
    Opened opened;
    std::atomic<bool> done{false};
    std::unique_ptr<MoonrakerSocket> socket;
    thread_.call([&] {
      socket =
          std::make_unique<MoonrakerSocket>(thread_.loop(), thread_.clock(), MoonrakerTarget{url(), ""}, [password] {
            return MachineSecret{"", "anna", password};
          });
      socket->on_open = [&](const LinkIdentity& identity) {
        opened.identity = identity;
        done = true;
      };
      socket->on_text = [](std::string_view) {};
      socket->on_closed = [&](std::string_view reason, uint16_t, std::string_view) {
        opened.closed = reason;
        done = true;
      };
      socket->open();
    });
    EXPECT_TRUE(eventually([&] { return done.load(); }));
    thread_.call([&] {
      socket->close();
      socket.reset();
    });
    return opened;
  }

  LoopThread thread_;
  std::unique_ptr<SimulatedService> service_;
};

TEST_F(SimLoginTest, ALoginGivesWhatTheHeaderTakes) {
  start();
  EXPECT_EQ(web(service_->port(), "GET", "/server/info").status, 401);
  EXPECT_EQ(web(service_->port(), "GET", "/access/info").status, 200) << "is open to everybody";
  const Document answer = log_in()["result"];
  EXPECT_EQ(answer["action"], "user_logged_in");
  EXPECT_EQ(status_with(answer["token"]), 200);
  EXPECT_EQ(status_with("eyJhbGciOiJFZERTQSJ9.0.0"), 401);
}

TEST_F(SimLoginTest, AWrongPasswordIsNoLogin) {
  start();
  EXPECT_EQ(log_in("wrong", 400)["error"]["message"], "Invalid Password");
  EXPECT_EQ(web(service_->port(), "POST", "/access/login", R"({"username":"bob","password":""})").status, 400);
  EXPECT_EQ(web(service_->port(), "POST", "/access/login", "no json").status, 400);
}

TEST_F(SimLoginTest, ATokenEndsAndARefreshGivesAnotherOne) {
  start(/*lifetime_s=*/0.3);
  const Document answer = log_in()["result"];
  ASSERT_TRUE(eventually([&] { return status_with(answer["token"]) == 401; }));
  const auto refresh = [&](const std::string& token) {
    return web(service_->port(), "POST", "/access/refresh_jwt", Document{{"refresh_token", token}}.dump());
  };
  const WebAnswer refreshed = refresh(answer["refresh_token"]);
  EXPECT_EQ(refreshed.body["result"]["action"], "user_jwt_refresh");
  EXPECT_NE(refreshed.body["result"]["token"], answer["token"]);
  EXPECT_EQ(refresh("never given").status, 401);
}

TEST_F(SimLoginTest, ASocketIsAdmittedByItsTokenAndStaysSo) {
  start(/*lifetime_s=*/0.5);
  const std::string token = log_in()["result"]["token"];
  SimClient client(thread_, service_->port());
  ASSERT_TRUE(client.open());
  EXPECT_EQ(client.request("server.info")["error"]["code"], -32602);
  EXPECT_EQ(client.request("server.connection.identify", {{"access_token", "a.b.c"}})["error"]["code"], -32602);
  EXPECT_TRUE(client.request("server.connection.identify", {{"access_token", token}}).contains("result"));
  ASSERT_TRUE(eventually([&] { return status_with(token) == 401; }));
  EXPECT_TRUE(client.request("server.info").contains("result")) << "the end of the token does not end the connection";
  SimClient late(thread_, service_->port());
  ASSERT_TRUE(late.open());
  const Document refused = late.request("server.connection.identify", {{"access_token", token}});
  EXPECT_EQ(refused["error"]["message"], "JWT Expired");
}

TEST_F(SimLoginTest, TheLinkLogsInForEachConnection) {
  start();
  const Opened first = open_link(kPassword);
  EXPECT_EQ(first.closed, "");
  EXPECT_EQ(status_with(first.identity.access_token), 200);
  EXPECT_NE(open_link(kPassword).identity.access_token, first.identity.access_token);
}

TEST_F(SimLoginTest, AWrongPasswordClosesTheLinkAsUnauthorised) {
  start();
  EXPECT_EQ(open_link("wrong").closed, kLinkUnauthorised);
}

TEST_F(SimLoginTest, TheFileOfAJobIsReadWithALoginOfItsOwn) {
  start();
  const SimulatedFile file = SimulatedHost(idle_profile()).files().front();
  JobFileSource source;
  source.moonraker_url = url();
  EXPECT_EQ(read_job_file(source, {"m.1", file.path, ""}, nullptr).error().code, Errc::kInvalidArgument);
  source.username = "anna";
  source.password = kPassword;
  const auto read = read_job_file(source, {"m.1", file.path, ""}, nullptr);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->source, "file");
  EXPECT_EQ(read->slicer_name, file.slicer);
  source.password = "wrong";
  const auto refused = read_job_file(source, {"m.1", file.path, ""}, nullptr);
  EXPECT_EQ(refused.error().code, Errc::kInvalidArgument) << "asking again would not help";
  EXPECT_EQ(refused.error().message().find("wrong"), std::string::npos) << "passwords are in no message";
}

}  // namespace
}  // namespace millrace
