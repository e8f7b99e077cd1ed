// SPDX-License-Identifier: Apache-2.0
// Bodies that are made while they are sent, and bodies that are larger than others may be.
#include <atomic>
#include <stdexcept>

#include "net_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

class HttpBodyTest : public ServerTest {
 protected:
  // Serves `source` to every request.
  void serve(std::function<BodySource()> make) {
    service_.request = [make = std::move(make)](HttpRequest, Responder respond) {
      HttpResponse response = text_response("");
      response.source = make();
      respond(std::move(response));
    };
    start();
  }
  static BodySource pieces(std::vector<std::string> texts) {
    return [texts = std::move(texts), next = size_t{0}]() mutable -> Result<std::string> {
      return next < texts.size() ? texts[next++] : std::string();
    };
  }
  // A body without an end; counts its pieces, and says when it is not needed any more.
  BodySource endless() {
    return [this, alive = std::shared_ptr<void>(nullptr, [this](void*) { ended.add("gone"); })]() {
      ++asked;
      return Result<std::string>(std::string(64 << 10, 'x'));
    };
  }
  std::atomic<int> asked{0};
  Journal ended;
};

TEST_F(HttpBodyTest, PiecesAreSentAsChunksAndTheConnectionGoesOn) {
  serve([] { return pieces({"abc", std::string(20, 'y')}); });
  RawClient client(port_);
  for (int i = 0; i < 2; ++i) {
    client.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(client.read_until("\r\n\r\n").find("Transfer-Encoding: chunked\r\n"), std::string::npos);
    EXPECT_EQ(client.read_until("0\r\n\r\n"), "3\r\nabc\r\n14\r\n" + std::string(20, 'y') + "\r\n0\r\n\r\n");
  }
}

TEST_F(HttpBodyTest, ForHttp10TheEndIsTheEndOfTheConnection) {
  serve([] { return pieces({"abc", "def"}); });
  const std::string answer = send_raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nabcdef")) << answer;
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
}

TEST_F(HttpBodyTest, HeadAsksForNoPiece) {
  serve([this] { return endless(); });
  const std::string answer = send_raw("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
  EXPECT_TRUE(ended.wait_for("gone"));
  EXPECT_EQ(asked, 0);
}

TEST_F(HttpBodyTest, AnErrorBreaksTheAnswerOffWithoutItsEnd) {
  serve([] {
    return [first = true]() mutable -> Result<std::string> {
      if (std::exchange(first, false)) return std::string("abc");
      return make_error(Errc::kCorrupt, "a record");
    };
  });
  const std::string answer = send_raw(kGet);
  EXPECT_TRUE(answer.ends_with("3\r\nabc\r\n")) << answer;
}

TEST_F(HttpBodyTest, ASourceThatThrowsBreaksTheAnswerOff) {
  serve([] { return []() -> Result<std::string> { throw std::runtime_error("no"); }; });
  EXPECT_TRUE(send_raw(kGet).ends_with("\r\n\r\n"));
}

TEST_F(HttpBodyTest, AClientThatDoesNotReadIsNotMadePiecesForAndIsDropped) {
  options_.idle_timeout = 1s;
  serve([this] { return endless(); });
  RawClient client(port_);
  client.write(kGet);
  ASSERT_TRUE(ended.wait_for("gone"));
  EXPECT_LT(asked, 400);  // what the buffers of two sockets take
}

TEST_F(HttpBodyTest, AClientThatGoesAwayEndsTheSource) {
  serve([this] { return endless(); });
  RawClient client(port_);
  client.write(kGet);
  client.read_until("xxxx");
  client.reset();
  EXPECT_TRUE(ended.wait_for("gone"));
}

TEST_F(HttpBodyTest, SourcesAreAskedWhereTheOptionsSayAndAgainWhenThatIsBusy) {
  std::thread worker;
  std::atomic<int> refused{0};
  std::atomic<bool> elsewhere{true};
  options_.work = [&](std::function<void()> task) {
    if (++refused % 2 == 1) return false;
    if (worker.joinable()) worker.join();
    worker = std::thread(std::move(task));
    return true;
  };
  std::thread::id loop_thread;
  serve([&] {
    loop_thread = std::this_thread::get_id();
    return [&, left = 3]() mutable -> Result<std::string> {
      elsewhere = elsewhere && std::this_thread::get_id() != loop_thread;
      return left-- > 0 ? std::string("x") : std::string();
    };
  });
  EXPECT_TRUE(send_raw(kGet).ends_with("1\r\nx\r\n1\r\nx\r\n1\r\nx\r\n0\r\n\r\n"));
  EXPECT_TRUE(elsewhere);
  EXPECT_EQ(refused, 8);
  worker.join();
}

// --- how large a body may be

struct LargeBodies final : HttpService {
  void on_request(HttpRequest request, Responder respond) override {
    respond(text_response(std::to_string(request.body.size())));
  }
  boost::system::result<WebSocketEvents, HttpResponse> on_web_socket(const HttpRequest&,
                                                                     std::shared_ptr<WebSocketPeer>) override {
    return HttpResponse{.status = 404};
  }
  size_t max_body_bytes(std::string_view method, std::string_view path) override {
    return method == "PUT" && path == "/large" ? 100 : 0;
  }
  bool is_urgent(std::string_view, std::string_view path) override { return path == "/urgent"; }
  void on_body_refused(const HttpRequest& request, const HttpResponse& refusal) override {
    told.push_back(request.method + " " + request.path + " " + std::string(request.header("x-name").value_or("")) +
                   " " + std::to_string(request.body.size()) + " " + std::to_string(refusal.status));
  }

  std::vector<std::string> told;
};

TEST(HttpBodyLimit, OneRouteMayTakeMoreThanTheOthers) {
  LoopThread thread;
  LargeBodies service;
  HttpServer server(thread.loop(), service, {.max_body_bytes = 10});
  thread.call([&] { ASSERT_TRUE(server.listen("127.0.0.1", 0)); });
  const auto put = [&](const std::string& path, size_t bytes, bool chunked) {
    RawClient client(server.port());
    const std::string body(bytes, 'x');
    std::string head = "PUT " + path + " HTTP/1.1\r\nHost: x\r\nX-Name: Anna\r\nConnection: close\r\n";
    char size[16];
    std::snprintf(size, sizeof size, "%zx", bytes);
    client.write(head +
                 (chunked ? "Transfer-Encoding: chunked\r\n\r\n" + std::string(size) + "\r\n" + body + "\r\n0\r\n\r\n"
                          : "Content-Length: " + std::to_string(bytes) + "\r\n\r\n" + body));
    return client.read_to_end();
  };
  const auto status_of = [&](const std::string& path, size_t bytes, bool chunked) {
    return put(path, bytes, chunked).substr(9, 3);
  };
  for (const bool chunked : {false, true}) {
    const auto urgent = put("/urgent", 1'000, chunked);
    EXPECT_EQ(urgent.substr(9, 3), "200");
    EXPECT_TRUE(urgent.ends_with("\r\n\r\n0")) << "done, without its body: " << urgent;
    EXPECT_EQ(status_of("/large", 100, chunked), "200");
    EXPECT_EQ(status_of("/large", 101, chunked), "413");
    EXPECT_EQ(status_of("/other", 10, chunked), "200");
    EXPECT_EQ(status_of("/other", 11, chunked), "413");
  }
  std::vector<std::string> told;
  thread.call([&] { told = service.told; });
  EXPECT_EQ(told, (std::vector<std::string>{"PUT /large Anna 0 413", "PUT /other Anna 0 413", "PUT /large Anna 0 413",
                                            "PUT /other Anna 0 413"}));
  thread.call([&] { server.stop(); });
}

}  // namespace
}  // namespace millrace::testing
