// SPDX-License-Identifier: Apache-2.0
// Emergency stops against real servers that hang, refuse, break off, are slow, or are not there.
#include "net/emergency_stopper.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>

#include "bus/random.h"
#include "net_fixture.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"
#include "tests/support/tls_proxy.h"

namespace millrace::testing {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kStopPath = "/printer/emergency_stop";
constexpr const char* kOk = R"({"result":"ok"})";
constexpr const char* kNoKlipper = R"({"error":{"code":503,"message":"Klippy Host not connected","traceback":""}})";

class EmergencyStopperTest : public ServerTest {
 protected:
  EmergencyStopperTest() {
    stopper_options_.answer_patience = 50ms;
    stopper_options_.retry_pause = 20ms;
    stopper_options_.total = 2s;
    stopper_options_.reconnect_min = 20ms;
    stopper_options_.reconnect_max = 100ms;
    service_.request = [this](HttpRequest request, Responder respond) { moonraker(request, respond); };
  }
  ~EmergencyStopperTest() override {
    stopper_.reset();
    stop_server();
    thread_.call([this] { unanswered_.clear(); });
  }

  // What a healthy Moonraker does; tests replace on_stop.
  void moonraker(const HttpRequest& request, const Responder& respond) {
    if (!key_.empty() && request.header("x-api-key").value_or("") != key_ &&
        request.header("authorization").value_or("") != "Bearer " + key_) {
      if (request.path == "/access/login" && request.body == R"({"username":"shop","password":"secret"})") {
        log_.add("login");
        return respond(text_response(R"({"result":{"token":")" + key_ + R"("}})"));
      }
      return respond(text_response(R"({"error":{"code":401,"message":"Unauthorized"}})", 401));
    }
    if (request.path == "/server/info") {
      ++questions_;
      if (answers_questions_) return respond(text_response(R"({"result":{}})"));
      return unanswered_.push_back(respond);
    }
    log_.add(request.method + " " + request.path);
    if (request.path == kStopPath && request.method == "POST") on_stop(respond);
  }

  EmergencyStopper& stopper() {
    if (!stopper_) stopper_ = std::make_unique<EmergencyStopper>(clock_, *metrics_, stopper_options_);
    return *stopper_;
  }
  void add(const std::string& machine, const std::string& where, std::function<MachineSecret()> secret = nullptr) {
    stopper().set(machine, {where, "", std::move(secret)});
  }
  bool becomes_warm(const std::string& machine) {
    return eventually([&] { return stopper().is_warm(machine); });
  }
  EmergencyStopResult stop(const std::string& machine) {
    std::promise<EmergencyStopResult> result;
    stopper().stop(machine, [&](const EmergencyStopResult& told) { result.set_value(told); });
    return result.get_future().get();
  }
  size_t stops_seen() const {
    size_t count = 0;
    for (const auto& line : log_.lines()) count += line.find(kStopPath) != std::string::npos ? 1 : 0;
    return count;
  }
  static std::string dead_url() {
    const uint16_t port = RawListener().port();
    return "http://127.0.0.1:" + std::to_string(port);
  }

  SystemClock clock_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  EmergencyStopperOptions stopper_options_;
  std::unique_ptr<EmergencyStopper> stopper_;
  Journal log_;
  std::string key_;
  std::atomic<int> questions_{0};
  std::atomic<bool> answers_questions_{true};
  std::vector<Responder> unanswered_;  // the server's thread's own
  std::function<void(const Responder&)> on_stop = [](const Responder& respond) { respond(text_response(kOk)); };
};

TEST_F(EmergencyStopperTest, IsWrittenOnTheWarmConnectionAndConfirmed) {
  start();
  add("m", url(""));
  ASSERT_TRUE(becomes_warm("m"));
  const auto result = stop("m");
  EXPECT_TRUE(result.confirmed);
  EXPECT_EQ(result.text, "ok");
  ASSERT_TRUE(result.sent_after && result.answered_after);
  EXPECT_LE(*result.sent_after, *result.answered_after);
  EXPECT_EQ(log_.lines(), std::vector<std::string>{"POST /printer/emergency_stop"});
}

TEST_F(EmergencyStopperTest, WorksBeforeAnythingIsWarm) {
  start();
  add("m", url("/websocket"));
  EXPECT_TRUE(stop("m").confirmed) << "asked for in the same moment in which the machine became known";
}

TEST_F(EmergencyStopperTest, WithoutKlipperItIsNotConfirmedAndSaysWhatMoonrakerSaid) {
  on_stop = [](const Responder& respond) { respond(text_response(kNoKlipper, 503)); };
  start();
  add("m", url(""));
  ASSERT_TRUE(becomes_warm("m"));
  const auto result = stop("m");
  EXPECT_FALSE(result.confirmed);
  EXPECT_EQ(result.text, "503: Klippy Host not connected");
  EXPECT_TRUE(result.sent_after);
  EXPECT_FALSE(result.answered_after);
  EXPECT_GT(stops_seen(), 2u) << "Klipper may be coming back just now";
}

TEST_F(EmergencyStopperTest, AnAnswerThatIsNotOkConfirmsNothing) {
  on_stop = [](const Responder& respond) { respond(text_response("<html>a proxy's page</html>")); };
  start();
  add("m", url(""));
  const auto result = stop("m");
  EXPECT_FALSE(result.confirmed);
  EXPECT_NE(result.text.find("a proxy's page"), std::string::npos);
}

TEST_F(EmergencyStopperTest, TheTextBehindUnknownIsFound) {
  on_stop = [](const Responder& respond) {
    respond(text_response(
        R"({"error":{"code":400,"message":"Unknown","traceback":"Traceback\n\nHTTP 400: something odd\n"}})", 400));
  };
  start();
  add("m", url(""));
  EXPECT_EQ(stop("m").text, "400: HTTP 400: something odd");
}

TEST_F(EmergencyStopperTest, AKeyThatWasChangedIsAskedForAgain) {
  key_ = "new";
  start();
  std::atomic<bool> changed{false};
  add("m", url(""), [&] { return MachineSecret{changed ? "new" : "old", "", ""}; });
  const auto refused = stop("m");
  EXPECT_FALSE(refused.confirmed);
  EXPECT_EQ(refused.text, "401: Unauthorized");
  EXPECT_FALSE(stopper().is_warm("m"));
  changed = true;
  EXPECT_TRUE(stop("m").confirmed) << "the refusal itself has the secret read again";
  EXPECT_TRUE(becomes_warm("m"));
}

TEST_F(EmergencyStopperTest, ALoginIsMadeAheadAndOnlyOnce) {
  key_ = "token-1";
  start();
  add("m", url(""), [] { return MachineSecret{"", "shop", "secret"}; });
  ASSERT_TRUE(becomes_warm("m"));
  EXPECT_TRUE(stop("m").confirmed);
  EXPECT_TRUE(stop("m").confirmed);
  const auto lines = log_.lines();
  EXPECT_EQ(lines.front(), "login");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "login"), 1);
}

TEST_F(EmergencyStopperTest, ALoginThatIsNotAcceptedIsTold) {
  key_ = "token-1";
  start();
  add("m", url(""), [] { return MachineSecret{"", "shop", "wrong"}; });
  const auto result = stop("m");
  EXPECT_FALSE(result.confirmed);
  EXPECT_NE(result.text.find("login"), std::string::npos) << result.text;
}

TEST_F(EmergencyStopperTest, AWarmConnectionThatHangsIsPassedBy) {
  std::atomic<int> stops{0};
  on_stop = [&](const Responder& respond) {
    if (++stops == 1) return unanswered_.push_back(respond);
    respond(text_response(kOk));
  };
  start();
  add("m", url(""));
  ASSERT_TRUE(becomes_warm("m"));
  const auto result = stop("m");
  EXPECT_TRUE(result.confirmed);
  EXPECT_GE(*result.answered_after, 50ms);
  EXPECT_LT(*result.sent_after, 50ms) << "the first bytes went out at once";
  EXPECT_EQ(stops_seen(), 2u);
  ASSERT_TRUE(becomes_warm("m")) << "and is made anew";
  EXPECT_TRUE(stop("m").confirmed);
}

TEST_F(EmergencyStopperTest, ASlowAnswerIsWaitedFor) {
  stopper_options_.answer_patience = 1s;
  on_stop = [this](const Responder& respond) {
    auto timer = std::make_shared<LoopTimer>(thread_.loop());
    timer->start(200ms, [timer, respond] { respond(text_response(kOk)); });
  };
  start();
  add("m", url(""));
  ASSERT_TRUE(becomes_warm("m"));
  EXPECT_TRUE(stop("m").confirmed);
  EXPECT_EQ(stops_seen(), 1u);
}

TEST_F(EmergencyStopperTest, SilenceIsNotConfirmedWithinItsTime) {
  stopper_options_.total = 400ms;
  on_stop = [this](const Responder& respond) { unanswered_.push_back(respond); };
  start();
  add("m", url(""));
  const MonotonicTime begin = clock_.monotonic();
  const auto result = stop("m");
  EXPECT_FALSE(result.confirmed);
  EXPECT_NE(result.text.find("no answer"), std::string::npos) << result.text;
  EXPECT_TRUE(result.sent_after);
  EXPECT_LT(clock_.monotonic() - begin, 2s);
}

TEST_F(EmergencyStopperTest, AMachineThatIsOffIsToldSoon) {
  add("m", dead_url());
  const auto result = stop("m");
  EXPECT_FALSE(result.confirmed);
  EXPECT_NE(result.text.find("refused"), std::string::npos) << result.text;
  EXPECT_FALSE(result.sent_after);
}

TEST_F(EmergencyStopperTest, NamesAndAddressesThatAreNoneAreNotConfirmed) {
  add("m", "ftp://nowhere");
  EXPECT_NE(stop("m").text.find("address"), std::string::npos);
  add("lost", "http://nowhere.invalid:7125");
  EXPECT_FALSE(stop("lost").confirmed);
  EXPECT_FALSE(stop("stranger").confirmed);
  EXPECT_FALSE(stopper().knows("stranger"));
  stopper().remove("m");
  EXPECT_FALSE(stopper().knows("m"));
  EXPECT_EQ(stopper().machines(), std::vector<std::string>{"lost"});
}

// A peer that answers the first question, takes the stop and resets the connection; then serves properly.
TEST_F(EmergencyStopperTest, AWarmConnectionThatBreaksUnderTheStopIsReplacedAtOnce) {
  stopper_options_.answer_patience = 1s;
  RawListener listener;
  const auto answer = [](int socket, std::string_view body) {
    const std::string text =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n" + std::string(body);
    return ::write(socket, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };
  std::thread peer([&] {
    char bytes[4096];
    const int first = listener.accept();
    EXPECT_GT(::read(first, bytes, sizeof(bytes)), 0);
    EXPECT_TRUE(answer(first, R"({"result":{}})"));
    EXPECT_GT(::read(first, bytes, sizeof(bytes)), 0);
    ::close(first);
    for (;;) {
      const int next = listener.accept();
      const ssize_t size = ::read(next, bytes, sizeof(bytes));
      const bool is_stop =
          size > 0 && std::string_view(bytes, static_cast<size_t>(size)).find(kStopPath) != std::string_view::npos;
      EXPECT_TRUE(answer(next, is_stop ? kOk : R"({"result":{}})"));
      if (is_stop) return (void)::close(next);
    }
  });
  add("m", "http://127.0.0.1:" + std::to_string(listener.port()));
  ASSERT_TRUE(becomes_warm("m"));
  const auto result = stop("m");
  EXPECT_TRUE(result.confirmed) << result.text;
  EXPECT_LT(*result.answered_after, 500ms);
  peer.join();
}

TEST_F(EmergencyStopperTest, QuestionsKeepTheConnectionProvenAndFindOutADeadOne) {
  stopper_options_.keep_alive = 20ms;
  stopper_options_.keep_alive_answer = 100ms;
  start();
  add("m", url(""));
  ASSERT_TRUE(becomes_warm("m"));
  EXPECT_TRUE(eventually([&] { return questions_ >= 4; }));
  answers_questions_ = false;
  EXPECT_TRUE(eventually([&] { return !stopper().is_warm("m"); }));
  EXPECT_TRUE(stop("m").confirmed) << "a fresh connection serves meanwhile";
  answers_questions_ = true;
  EXPECT_TRUE(becomes_warm("m"));
}

TEST_F(EmergencyStopperTest, ComesBackAfterTheServerDid) {
  start();
  const std::string where = url("");
  add("m", where);
  ASSERT_TRUE(becomes_warm("m"));
  stop_server();
  EXPECT_TRUE(eventually([&] { return !stopper().is_warm("m"); }));
  EXPECT_FALSE(stop("m").confirmed);
  server_ = std::make_unique<HttpServer>(thread_.loop(), service_, options_);
  thread_.call([&] { ASSERT_TRUE(server_->listen("127.0.0.1", port_)); });
  EXPECT_TRUE(stop("m").confirmed);
  EXPECT_TRUE(becomes_warm("m"));
}

TEST_F(EmergencyStopperTest, AllAreStoppedAndEachIsAnsweredFor) {
  start();
  add("a", url(""));
  add("b", dead_url());
  add("c", url(""));
  std::promise<EmergencyStopper::Results> told;
  stopper().stop_all([&](const EmergencyStopper::Results& results) { told.set_value(results); });
  const auto results = told.get_future().get();
  ASSERT_EQ(results.size(), 3u);
  EXPECT_EQ(results[0].first, "a");
  EXPECT_TRUE(results[0].second.confirmed);
  EXPECT_FALSE(results[1].second.confirmed);
  EXPECT_TRUE(results[2].second.confirmed);
}

TEST_F(EmergencyStopperTest, AllOfNoneIsAnEmptyAnswer) {
  std::promise<size_t> told;
  stopper().stop_all([&](const EmergencyStopper::Results& results) { told.set_value(results.size()); });
  EXPECT_EQ(told.get_future().get(), 0u);
}

TEST_F(EmergencyStopperTest, AnotherAddressWhileAStopIsUnderWayLeavesItAlone) {
  std::vector<Responder> held;
  on_stop = [&](const Responder& respond) { held.push_back(respond); };
  stopper_options_.answer_patience = 10s;
  stopper_options_.total = 10s;
  start();
  add("m", url(""));
  ASSERT_TRUE(becomes_warm("m"));
  std::promise<EmergencyStopResult> result;
  stopper().stop("m", [&](const EmergencyStopResult& told) { result.set_value(told); });
  ASSERT_TRUE(log_.wait_for("POST /printer/emergency_stop"));
  add("m", dead_url());
  stopper().machines();
  thread_.call([&] { held.at(0)(text_response(kOk)); });
  EXPECT_TRUE(result.get_future().get().confirmed);
}

TEST_F(EmergencyStopperTest, TheEndAnswersWhatIsUnderWay) {
  on_stop = [this](const Responder& respond) { unanswered_.push_back(respond); };
  start();
  add("m", url(""));
  ASSERT_TRUE(becomes_warm("m"));
  std::promise<EmergencyStopResult> result;
  stopper().stop("m", [&](const EmergencyStopResult& told) { result.set_value(told); });
  stopper_.reset();
  auto told = result.get_future();
  ASSERT_EQ(told.wait_for(0s), std::future_status::ready);
  EXPECT_FALSE(told.get().confirmed);
}

TEST_F(EmergencyStopperTest, WhatIsAskedBehindTheEndIsHarmlessAndNotConfirmed) {
  start();
  add("m", url(""));
  stopper().end();
  add("n", url(""));
  stopper().remove("m");
  EXPECT_TRUE(stopper().knows("n"));
  bool told = false;
  stopper().stop("n", [&](const EmergencyStopResult& result) {
    told = true;
    EXPECT_FALSE(result.confirmed);
    EXPECT_EQ(result.text, "this process is ending");
  });
  EXPECT_TRUE(told) << "at once";
  size_t all = 0;
  stopper().stop_all([&](const EmergencyStopper::Results& results) { all = results.size(); });
  EXPECT_EQ(all, 1u);
  stopper().end();  // again: nothing
}

TEST_F(EmergencyStopperTest, ManyAtOnceAreAllAnswered) {
  start();
  add("m", url(""));
  std::atomic<int> confirmed{0};
  std::atomic<int> answered{0};
  for (int i = 0; i < 200; ++i) {
    stopper().stop("m", [&](const EmergencyStopResult& told) {
      confirmed += told.confirmed ? 1 : 0;
      ++answered;
    });
  }
  EXPECT_TRUE(eventually([&] { return answered == 200; }));
  EXPECT_EQ(confirmed, 200);
}

// Whatever a Moonraker does now and then, each of a thousand stops reaches it and is confirmed.
TEST_F(EmergencyStopperTest, AThousandStopsOfAThousandAreDelivered) {
  constexpr int kStops = 1000;
  stopper_options_.answer_patience = 15ms;
  stopper_options_.retry_pause = 5ms;
  stopper_options_.total = 10s;
  SeededRandom random(20261130);
  int arrived = 0;  // the server's thread's own
  on_stop = [&](const Responder& respond) {
    ++arrived;
    const double turn = random.unit();
    if (turn < 0.05) return unanswered_.push_back(respond);           // hangs
    if (turn < 0.10) return respond(text_response("no", 500));        // fails
    if (turn < 0.13) return respond(text_response(kNoKlipper, 503));  // restarts
    respond(text_response(kOk));
  };
  start();
  add("m", url(""));
  int confirmed = 0;
  for (int i = 0; i < kStops; ++i) {
    int before = 0;
    thread_.call([&] { before = arrived; });
    const auto result = stop("m");
    confirmed += result.confirmed ? 1 : 0;
    int after = 0;
    thread_.call([&] { after = arrived; });
    EXPECT_GT(after, before) << "stop " << i << ": " << result.text;
  }
  EXPECT_EQ(confirmed, kStops);
}

class EmergencyStopperTlsTest : public EmergencyStopperTest {
 protected:
  void serve(const std::string& name) {
    service_.request = [this](const HttpRequest& request, const Responder& respond) {
      {
        std::lock_guard lock(mutex_);
        (request.path == kStopPath ? stopped_from_ : asked_from_).insert(request.remote);
      }
      moonraker(request, respond);
    };
    start();
    certificates_ = std::make_unique<TestCertificates>(directory_.path(), name);
    proxy_ = std::make_unique<TlsProxy>(*certificates_, port_);
  }
  // The proxy has a connection of its own to the server for each that is made to it.
  std::set<std::string> connections(const std::set<std::string>& of) {
    std::lock_guard lock(mutex_);
    return of;
  }
  std::string at() const { return "https://127.0.0.1:" + std::to_string(proxy_->port()); }
  ~EmergencyStopperTlsTest() override { stopper_.reset(); }

  TemporaryDirectory directory_;
  std::unique_ptr<TestCertificates> certificates_;
  std::unique_ptr<TlsProxy> proxy_;
  std::mutex mutex_;
  std::set<std::string> asked_from_;
  std::set<std::string> stopped_from_;
};

TEST_F(EmergencyStopperTlsTest, AnAuthorityOfOnesOwnIsBelieved) {
  serve("127.0.0.1");
  stopper().set("m", {at(), certificates_->authority, nullptr});
  EXPECT_TRUE(stop("m").confirmed);
  ASSERT_TRUE(becomes_warm("m"));
  EXPECT_TRUE(stop("m").confirmed);
}

TEST_F(EmergencyStopperTlsTest, OneHandshakeKeepsTheConnectionWarmAndTheStopGoesOnIt) {
  stopper_options_.keep_alive = 20ms;
  stopper_options_.answer_patience = 2s;
  serve("127.0.0.1");
  stopper().set("m", {at(), certificates_->authority, nullptr});
  ASSERT_TRUE(becomes_warm("m"));
  ASSERT_TRUE(eventually([&] { return questions_ >= 4; }));
  const auto result = stop("m");
  EXPECT_TRUE(result.confirmed) << result.text;
  EXPECT_EQ(connections(asked_from_).size(), 1u);
  EXPECT_EQ(connections(stopped_from_), connections(asked_from_)) << "no handshake stands before a stop";
  EXPECT_EQ(stops_seen(), 1u);
}

TEST_F(EmergencyStopperTlsTest, AWarmConnectionThatDiesIsMadeAnewAndPassedByMeanwhile) {
  stopper_options_.keep_alive = 20ms;
  stopper_options_.keep_alive_answer = 100ms;
  serve("127.0.0.1");
  stopper().set("m", {at(), certificates_->authority, nullptr});
  ASSERT_TRUE(becomes_warm("m"));
  answers_questions_ = false;
  ASSERT_TRUE(eventually([&] { return !stopper().is_warm("m"); }));
  const auto result = stop("m");
  EXPECT_TRUE(result.confirmed) << result.text;
  answers_questions_ = true;
  EXPECT_TRUE(becomes_warm("m"));
  EXPECT_GT(connections(asked_from_).size(), 1u);
}

TEST_F(EmergencyStopperTlsTest, ACertificateThatIsNotAcceptedGetsNoStopAndIsTold) {
  serve("printer.lan");
  stopper().set("other name", {at(), certificates_->authority, nullptr});
  const auto name = stop("other name");
  EXPECT_FALSE(name.confirmed);
  EXPECT_NE(name.text.find("certificate"), std::string::npos) << name.text;
  EXPECT_NE(name.text.find("mismatch"), std::string::npos) << name.text;

  std::filesystem::create_directory(directory_ / "others");
  const TestCertificates others(directory_ / "others", "127.0.0.1");
  stopper().set("other authority", {at(), others.authority, nullptr});
  const auto authority = stop("other authority");
  EXPECT_FALSE(authority.confirmed);
  EXPECT_NE(authority.text.find("certificate"), std::string::npos) << authority.text;

  stopper().set("no file", {at(), directory_ / "missing.pem", nullptr});
  EXPECT_NE(stop("no file").text.find("missing.pem"), std::string::npos);

  stopper().set("no TLS", {"https://127.0.0.1:" + std::to_string(port_), certificates_->authority, nullptr});
  const auto plain = stop("no TLS");
  EXPECT_FALSE(plain.confirmed);
  EXPECT_NE(plain.text.find("TLS"), std::string::npos) << plain.text;

  for (const std::string& machine : stopper().machines()) EXPECT_FALSE(stopper().is_warm(machine)) << machine;
  EXPECT_EQ(stops_seen(), 0u) << "neither a stop nor a secret goes to whom nobody vouches for";
  EXPECT_TRUE(connections(asked_from_).empty());
}

}  // namespace
}  // namespace millrace::testing
