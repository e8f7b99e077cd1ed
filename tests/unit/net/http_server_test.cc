// SPDX-License-Identifier: Apache-2.0
#include "net/http_server.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <stdexcept>

#include "net_fixture.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

size_t count_of(const std::string& text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

class HttpServerTest : public ServerTest {
 protected:
  // Asks until the server has a place free; false after kPatience.
  bool wait_until_served() {
    auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (get("/").starts_with("HTTP/1.1 200 ")) return true;
    }
    return false;
  }
};

TEST_F(HttpServerTest, HandsTheRequestOverDecoded) {
  HttpRequest seen;
  service_.request = [&](HttpRequest request, Responder respond) {
    seen = std::move(request);
    respond(text_response("hello", 201));
  };
  start();
  std::string answer = send_raw(
      "POST /a%20b?c=d+e&c=f HTTP/1.1\r\nHost: x\r\nX-Mixed-Case:  v \r\nContent-Length: 4\r\nConnection: "
      "close\r\n\r\nbody");
  EXPECT_EQ(answer,
            "HTTP/1.1 201 Created\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
  EXPECT_EQ(seen.method, "POST");
  EXPECT_EQ(seen.path, "/a b");
  EXPECT_EQ(seen.query_value("c"), "d e");
  EXPECT_EQ(seen.query_value("x"), std::nullopt);
  EXPECT_EQ(seen.header("x-mixed-case"), "v");
  EXPECT_EQ(seen.body, "body");
  EXPECT_TRUE(seen.remote.starts_with("127.0.0.1:")) << seen.remote;
}

TEST_F(HttpServerTest, OneConnectionCarriesManyRequests) {
  int served = 0;
  service_.request = [&](HttpRequest, Responder respond) { respond(text_response(std::to_string(++served))); };
  start();
  RawClient client(port_);
  for (int i = 1; i <= 1000; ++i) {
    client.write(kGet);
    client.read_until("\r\n\r\n");
    ASSERT_EQ(client.read_bytes(std::to_string(i).size()), std::to_string(i));
  }
}

TEST_F(HttpServerTest, PipelinedRequestsAreAnsweredInOrderOneByOne) {
  std::vector<Responder> waiting;
  service_.request = [&](HttpRequest request, Responder respond) {
    EXPECT_TRUE(waiting.empty());  // the next one is not looked at before the answer
    waiting.push_back(std::move(respond));
    thread_.loop().post([&, path = request.path] {
      auto answer = std::move(waiting.back());
      waiting.pop_back();
      answer(text_response("<" + path + ">"));
    });
  };
  start();
  std::string requests;
  for (int i = 0; i < 200; ++i) {
    requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
    if (i % 10 == 0) requests += "\r\n";  // some clients put an empty line after a body
  }
  std::string answers = send_raw(requests);
  size_t at = 0;
  for (int i = 0; i < 200; ++i) {
    size_t next = answers.find("</" + std::to_string(i) + ">");
    ASSERT_NE(next, std::string::npos) << i;
    ASSERT_GE(next, at);
    at = next;
  }
}

TEST_F(HttpServerTest, RequestsInSmallPiecesAreTheSame) {
  service_.request = [](HttpRequest request, Responder respond) { respond(text_response(request.body)); };
  start();
  RawClient client(port_);
  for (char c : std::string_view("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc")) {
    client.write({&c, 1});
  }
  EXPECT_TRUE(client.read_to_end().ends_with("\r\n\r\nabc"));
}

TEST_F(HttpServerTest, HeadHasTheLengthButNoBody) {
  service_.request = [](HttpRequest request, Responder respond) { respond(text_response(request.method)); };
  start();
  std::string answer =
      send_raw("HEAD / HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(count_of(answer, "Content-Length: 4\r\n"), 2u);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
}

TEST_F(HttpServerTest, ContinueIsSentBeforeTheBody) {
  service_.request = [](HttpRequest request, Responder respond) { respond(text_response(request.body)); };
  start();
  RawClient client(port_);
  client.write("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.write("ok");
  client.read_until("\r\n\r\n");
  EXPECT_EQ(client.read_bytes(2), "ok");
}

TEST_F(HttpServerTest, ContinueIsNotSentForABodyThatIsTooLarge) {
  options_.max_body_bytes = 10;
  start();
  std::string answer = send_raw("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
}

TEST_F(HttpServerTest, ChunkedBodiesAreJoined) {
  service_.request = [](HttpRequest request, Responder respond) { respond(text_response(request.body)); };
  start();
  std::string answer = send_raw(
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
      "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n\r\nabcde")) << answer;
}

TEST_F(HttpServerTest, OldClientsAreClosedUnlessTheyAsk) {
  start();
  EXPECT_TRUE(has(send_raw("GET / HTTP/1.0\r\n\r\n"), "Connection: close"));
  EXPECT_TRUE(has(send_raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "Connection: keep-alive"));
}

TEST_F(HttpServerTest, LimitsHoldAtTheirEdge) {
  options_.max_body_bytes = 100;
  options_.max_header_bytes = 1000;
  service_.request = [](HttpRequest request, Responder respond) { respond(text_response(request.body)); };
  start();
  auto post = [&](size_t size) {
    return send_raw("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + std::to_string(size) +
                    "\r\n\r\n" + std::string(size, 'b'));
  };
  EXPECT_TRUE(post(100).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(post(101).starts_with("HTTP/1.1 413 "));
  std::string chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 11; ++i) chunked += "a\r\n0123456789\r\n";
  EXPECT_TRUE(send_raw(chunked + "0\r\n\r\n").starts_with("HTTP/1.1 413 "));
  auto header = [&](size_t size) {
    return send_raw("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + std::string(size, 'h') + "\r\n\r\n");
  };
  EXPECT_TRUE(header(900).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(header(1000).starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(get("/" + std::string(2000, 'u')).starts_with("HTTP/1.1 431 "));
  EXPECT_TRUE(header(200'000).starts_with("HTTP/1.1 431 "));
  std::string extension =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'e');
  EXPECT_TRUE(send_raw(extension).starts_with("HTTP/1.1 4"));
}

TEST_F(HttpServerTest, RefusalReachesAClientThatIsStillSending) {
  start();
  RawClient client(port_);
  client.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n");
  // Not reset while it sends: on a real network the reset would overtake the answer.
  EXPECT_TRUE(client.write(std::string(3'000'000, 'b')));
  client.end_writing();
  EXPECT_TRUE(client.read_to_end().starts_with("HTTP/1.1 413 "));
}

TEST_F(HttpServerTest, BadRequestsAreNamedAndTheConnectionCloses) {
  int served = 0;
  service_.request = [&](HttpRequest, Responder respond) {
    ++served;
    respond({});
  };
  start();
  const std::vector<std::pair<std::string, std::string>> cases{
      {"garbage\r\n\r\n", "400"},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"},  // the start of TLS
      {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", "400"},
      {"get / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /a/../b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /%2e%2e/b HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nBad name: v\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
      {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
      {"POST / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nContent-Length: 1\r\n\r\n", "417"},
  };
  for (const auto& [bytes, status] : cases) {
    // The valid request behind it must not be served: nobody knows where it begins.
    std::string answer = send_raw(bytes + std::string(kGet));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + status + " ")) << bytes << "\n-> " << answer;
    EXPECT_TRUE(has(answer, "Connection: close")) << bytes;
    EXPECT_TRUE(has(answer, "application/problem+json")) << bytes;
    EXPECT_FALSE(has(answer, "(still open)")) << bytes;
  }
  thread_.call([&] { EXPECT_EQ(served, 0); });
}

TEST_F(HttpServerTest, AnyBytesLeaveTheServerAlive) {
  service_.web_socket = [](const HttpRequest&, std::shared_ptr<WebSocketPeer>) -> FunctionService::Verdict {
    return WebSocketEvents{};
  };
  start();
  const std::vector<std::string> seeds{
      std::string(kGet), "POST /a?b=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
      "PUT /a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n12345",
      "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"};
  std::mt19937 random(20261121);
  for (int round = 0; round < 600; ++round) {
    std::string bytes = seeds[random() % seeds.size()];
    for (int change = static_cast<int>(random() % 6); change > 0; --change) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    if (round % 3 == 0) bytes.resize(random() % bytes.size());
    if (round % 5 == 0) bytes += bytes;
    RawClient client(port_);
    client.write(bytes);
    if (round % 2 == 0) client.reset();
  }
  EXPECT_TRUE(get("/").starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, SlowRequestIsTimedOut) {
  options_.idle_timeout = 1s;
  options_.header_timeout = options_.body_timeout = 1s;
  start();
  RawClient header(port_);
  RawClient body(port_);
  RawClient idle(port_);
  header.write("GET / HTTP/1.1\r\nHos");
  body.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_TRUE(header.read_to_end().starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(body.read_to_end().starts_with("HTTP/1.1 408 "));
  EXPECT_EQ(idle.read_to_end(), "");
}

// A byte now and then keeps no connection: the header has its time as a whole, and a body its least speed.
TEST_F(HttpServerTest, SlowClientsThatNeverStopSendingAreTimedOut) {
  options_.header_timeout = options_.body_timeout = 500ms;
  start();
  RawClient header(port_);
  RawClient body(port_);
  header.write("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ");
  body.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  for (int i = 0; i < 30; ++i) {
    never.wait_for(lock, 50ms, [] { return false; });
    header.write("x");
    body.write("x");
  }
  EXPECT_TRUE(header.read_until("\r\n\r\n").starts_with("HTTP/1.1 408 "));
  EXPECT_TRUE(body.read_until("\r\n\r\n").starts_with("HTTP/1.1 408 "));
}

TEST_F(HttpServerTest, ClientThatDoesNotReadItsAnswerIsDropped) {
  Journal journal;
  options_.idle_timeout = 1s;
  options_.max_connections = 1;
  service_.request = [&](HttpRequest request, Responder respond) {
    if (request.path == "/") return respond({});
    respond(text_response(std::string(64u << 20, 'x')));
    journal.add("asked");
  };
  start();
  RawClient client(port_);
  client.write("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(journal.wait_for("asked"));
  EXPECT_TRUE(wait_until_served());
  EXPECT_LT(client.read_to_end().size(), 64u << 20);
}

TEST_F(HttpServerTest, LargeAnswerArrivesWhole) {
  auto shared = std::make_shared<std::string>(20u << 20, 'x');
  service_.request = [&](HttpRequest, Responder respond) {
    HttpResponse response = text_response("not this");
    response.shared_body = shared;
    respond(std::move(response));
  };
  start();
  std::string answer = get("/");
  EXPECT_TRUE(has(answer, "Content-Length: 20971520\r\n"));
  EXPECT_EQ(answer.size() - answer.find("\r\n\r\n") - 4, shared->size());
}

TEST_F(HttpServerTest, ConnectionsBeyondTheLimitAreToldToComeBack) {
  const auto metrics = make_metrics();
  options_.max_connections = 2;
  options_.metrics = metrics.get();
  start();
  auto first = std::make_unique<RawClient>(port_);
  RawClient second(port_);
  first->write(kGet);
  second.write(kGet);
  EXPECT_TRUE(first->read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(second.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
  std::string refused = get("/");
  EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 ")) << refused;
  EXPECT_TRUE(has(refused, "Retry-After: "));
  const std::string text = metrics->text();
  EXPECT_TRUE(has(text, "millrace_http_refused_connections_total 1\n")) << text;
  EXPECT_TRUE(has(text, "millrace_http_rejected_requests_total 0\n")) << text;
  EXPECT_TRUE(has(text, "millrace_http_connections ")) << text;
  // A connection that ends gives its place back.
  first->write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  first->read_to_end();
  first.reset();
  EXPECT_TRUE(wait_until_served());
  stop_server();  // before the metrics
}

TEST_F(HttpServerTest, WhatIsUrgentIsServedThoughThereAreTooManyConnections) {
  options_.max_connections = 1;
  options_.urgent_connections = 2;
  service_.urgent = [](std::string_view method, std::string_view path) { return method == "POST" && path == "/stop"; };
  start();
  RawClient occupant(port_);
  occupant.write(kGet);
  EXPECT_TRUE(occupant.read_until("\r\n\r\n").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(get("/").starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(get("/stop").starts_with("HTTP/1.1 503 ")) << "another method";
  RawClient urgent(port_);
  urgent.write("POST /stop HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}" + std::string(kGet));
  const std::string answer = urgent.read_to_end();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer;
  EXPECT_TRUE(has(answer, "Connection: close\r\n")) << "one request each";
  EXPECT_EQ(answer.find("HTTP/1.1 ", 1), std::string::npos) << answer;
}

TEST_F(HttpServerTest, WhoSaysNothingKeepsNoUrgentConnection) {
  options_.max_connections = 1;
  options_.urgent_connections = 2;
  service_.urgent = [](std::string_view, std::string_view path) { return path == "/stop"; };
  start();
  RawClient occupant(port_);
  occupant.write(kGet);
  occupant.read_until("\r\n\r\n");
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 40; ++i) {
    silent.push_back(std::make_unique<RawClient>(port_));
    if (i % 2 == 0) silent.back()->write("POST /stop HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
  }
  EXPECT_TRUE(get("/stop").starts_with("HTTP/1.1 200 "));
  silent.push_back(std::make_unique<RawClient>(port_));
  EXPECT_EQ(silent.back()->read_to_end(), "") << "and after 2 s it is closed";
}

TEST_F(HttpServerTest, UrgentRequestsThatAreServedMakeNoRoom) {
  Journal journal;
  std::vector<Responder> held;
  options_.max_connections = 1;
  options_.urgent_connections = 1;
  service_.urgent = [](std::string_view, std::string_view path) { return path == "/stop"; };
  service_.request = [&](HttpRequest request, Responder respond) {
    if (request.path != "/stop") return respond({});
    held.push_back(std::move(respond));
    journal.add("asked");
  };
  start();
  RawClient occupant(port_);
  occupant.write(kGet);
  occupant.read_until("\r\n\r\n");
  RawClient urgent(port_);
  urgent.write("GET /stop HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(journal.wait_for("asked"));
  EXPECT_TRUE(get("/stop").starts_with("HTTP/1.1 503 "));
  thread_.call([&] { held.at(0)({}); });
  EXPECT_TRUE(urgent.read_to_end().starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, ServiceThatThrowsOrForgetsAnswers500) {
  service_.request = [&](HttpRequest request, Responder respond) {
    if (request.path == "/throw") throw std::runtime_error("planted");
    if (request.path == "/throw-int") throw 7;
    if (request.path == "/answer-and-throw") {
      respond(text_response("fine"));
      throw std::runtime_error("planted");
    }
    if (request.path == "/later") thread_.loop().post([respond] {});
    if (request.path == "/split") respond({.headers = {{"X", "a\r\nY: b"}}});
    if (request.path == "/status") respond({.status = 42});
  };
  start();
  for (const char* path : {"/throw", "/throw-int", "/forget", "/later", "/split", "/status", "/%0aforged"}) {
    EXPECT_TRUE(get(path).starts_with("HTTP/1.1 500 ")) << path;
  }
  EXPECT_TRUE(get("/answer-and-throw").ends_with("fine"));
}

TEST_F(HttpServerTest, SecondAnswerIsIgnored) {
  service_.request = [](HttpRequest request, Responder respond) {
    respond(text_response("one"));
    respond(text_response("two " + request.path));
  };
  start();
  std::string answer =
      send_raw("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(count_of(answer, "one"), 2u);
  EXPECT_FALSE(has(answer, "two"));
}

TEST_F(HttpServerTest, AnswerAfterTheClientWentIsIgnored) {
  Journal journal;
  Responder kept;
  service_.request = [&](HttpRequest request, Responder respond) {
    if (request.path != "/slow") return respond({});
    kept = std::move(respond);
    journal.add("asked");
  };
  start();
  {
    RawClient client(port_);
    client.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    ASSERT_TRUE(journal.wait_for("asked"));
    client.reset();
  }
  thread_.call([&] { kept(text_response(std::string(1u << 20, 'x'))); });
  EXPECT_TRUE(get("/").starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, TakenPortIsAConflictThatNamesIt) {
  start();
  thread_.call([&] {
    HttpServer second(thread_.loop(), service_);
    auto listening = second.listen("127.0.0.1", port_);
    ASSERT_FALSE(listening);
    EXPECT_EQ(listening.error().code, Errc::kConflict);
    EXPECT_TRUE(has(listening.error().context, "127.0.0.1:" + std::to_string(port_))) << listening.error().context;
  });
}

TEST_F(HttpServerTest, HostsThatCannotBeListenedOn) {
  thread_.call([&] {
    HttpServer server(thread_.loop(), service_);
    for (const char* host : {"", "nowhere", "1.2.3", "127.0.0.1:80", "[127.0.0.1]", "192.0.2.1"}) {
      auto listening = server.listen(host, 0);
      ASSERT_FALSE(listening) << host;
      EXPECT_EQ(listening.error().code, Errc::kInvalidArgument) << host;
    }
    EXPECT_EQ(server.port(), 0);
  });
}

TEST_F(HttpServerTest, Ipv6AndLocalhostAreUnderstood) {
  thread_.call([&] {
    HttpServer six(thread_.loop(), service_);
    for (const char* host : {"localhost", "[::1]", "::1"}) {
      auto listening = six.listen(host, 0);
      if (!listening && listening.error().code == Errc::kInvalidArgument && host[0] != 'l') {
        GTEST_SKIP() << "no IPv6 here: " << listening.error().message();
      }
      ASSERT_TRUE(listening) << listening.error().message();
      EXPECT_NE(six.port(), 0);
      six.stop();
    }
  });
}

TEST_F(HttpServerTest, StopClosesEveryConnectionAndListenWorksAgain) {
  Journal journal;
  Responder kept;
  service_.request = [&](HttpRequest request, Responder respond) {
    if (request.path != "/slow") return respond({});
    kept = std::move(respond);
    journal.add("asked");
  };
  start();
  RawClient idle(port_);
  RawClient half(port_);
  RawClient waiting(port_);
  idle.write(kGet);
  EXPECT_TRUE(has(idle.read_until("\r\n\r\n"), " 200 "));
  half.write("GET / HTT");
  waiting.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(journal.wait_for("asked"));
  thread_.call([&] {
    server_->stop();
    server_->stop();
    EXPECT_EQ(server_->port(), 0);
    kept({});
    auto listening = server_->listen("127.0.0.1", port_);
    EXPECT_TRUE(listening) << listening.error().message();
  });
  EXPECT_EQ(waiting.read_to_end(), "");
  EXPECT_EQ(half.read_to_end(), "");
  EXPECT_FALSE(has(idle.read_to_end(), "(still open)"));
  EXPECT_TRUE(get("/").starts_with("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, ServiceMayStopTheServerWhileItIsAsked) {
  service_.request = [&](HttpRequest, Responder respond) {
    server_.reset();
    respond(text_response("too late"));
  };
  start();
  RawClient client(port_);
  client.write(kGet);
  EXPECT_EQ(client.read_to_end(), "");
}

TEST_F(HttpServerTest, EverythingMayGoWithTheLoopStopped) {
  Journal journal;
  std::vector<Responder> kept;
  service_.request = [&](HttpRequest, Responder respond) {
    kept.push_back(std::move(respond));
    journal.add("asked");
  };
  start();
  RawClient first(port_);
  RawClient second(port_);
  first.write(kGet);
  second.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
  ASSERT_TRUE(journal.wait_for("asked"));
  thread_.stop();
  kept.clear();
  server_.reset();
}

}  // namespace
}  // namespace millrace::testing
