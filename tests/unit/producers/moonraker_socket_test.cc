// SPDX-License-Identifier: Apache-2.0
// What stands before a Moonraker, in the words of the link.
#include "producers/moonraker/moonraker_socket.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>

#include "net/http_server.h"
#include "tests/support/process.h"
#include "tests/unit/producers/sim_client.h"

namespace millrace {
namespace {

using namespace testing;

// Answers every upgrade with one status, as a proxy does that asks who comes.
struct Proxy final : HttpService {
  explicit Proxy(int answer) : status(answer) {}
  void on_request(HttpRequest, Responder respond) override { respond({}); }
  boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest&,
                                                                     std::shared_ptr<WebSocketPeer>) override {
    return HttpResponse{.status = status};
  }
  const int status;
};

std::string why_closed(int status) {
  LoopThread thread;
  Proxy proxy(status);
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<MoonrakerSocket> socket;
  std::string closed;
  std::atomic<bool> done{false};
  thread.call([&] {
    server = std::make_unique<HttpServer>(thread.loop(), proxy, HttpServerOptions{});
    EXPECT_TRUE(server->listen("127.0.0.1", 0));
    const MoonrakerTarget target{"http://127.0.0.1:" + std::to_string(server->port()), ""};
    socket = std::make_unique<MoonrakerSocket>(thread.loop(), thread.clock(), target, [] { return MachineSecret{}; });
    socket->on_open = [](const LinkIdentity&) { ADD_FAILURE() << "it was refused"; };
    socket->on_text = [](std::string_view) {};
    socket->on_closed = [&](std::string_view reason, uint16_t code, std::string_view) {
      closed = fmt::format("{} {}", reason, code);
      done = true;
    };
    socket->open();
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  thread.call([&] {
    socket.reset();
    server.reset();
  });
  return closed;
}

TEST(MoonrakerSocketTest, ARefusalOfTheUpgradeSaysWhetherWhoAsksIsTheReason) {
  EXPECT_EQ(why_closed(401), "unauthorised 401");
  EXPECT_EQ(why_closed(403), "forbidden 403");
  EXPECT_EQ(why_closed(404), "handshake 404");
  EXPECT_EQ(why_closed(503), "handshake 503");
}

}  // namespace
}  // namespace millrace
