// SPDX-License-Identifier: Apache-2.0
// An edge with keys, over real sockets, on a log and views in memory.
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "net/http_client.h"
#include "net/web_socket_client.h"
#include "tests/support/event_fixtures.h"
#include "tests/unit/projections/shop.h"
#include "web/edge/access/key_desk.h"
#include "web/edge/edge.h"

namespace millrace::testing {

using nlohmann::json;
using Headers = std::vector<std::pair<std::string, std::string>>;

inline std::string header_of(const HttpResponse& response, std::string_view name) {
  for (const auto& [each, value] : response.headers) {
    if (std::equal(each.begin(), each.end(), name.begin(), name.end(),
                   [](char a, char b) { return std::tolower(a) == std::tolower(b); })) {
      return value;
    }
  }
  return {};
}

// What became of one try to open the live feed.
class SocketTry {
 public:
  SocketTry(IoLoop& loop, const std::string& url, Headers headers) {
    WebSocketClientOptions options;
    options.headers = std::move(headers);
    loop_ = &loop;
    std::lock_guard lock(mutex_);
    loop.post([this, url, options, &loop] {
      client_ = std::make_unique<WebSocketClient>(loop, options);
      client_->on_text = [this](std::string_view text) { tell([&] { texts_.emplace_back(text); }); };
      client_->on_closed = [this](const WebSocketClosed& closed) {
        tell([&] { closed_ = closed.text.empty() ? std::string(name_of(closed.reason)) : closed.text; });
      };
      client_->open(url);
    });
  }
  ~SocketTry() {
    bool gone = false;
    loop_->post([&] {
      client_.reset();
      tell([&] { gone = true; });
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return gone; });
  }
  bool opened() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !texts_.empty() || !closed_.empty(); });
    return !texts_.empty();
  }
  bool wait_closed() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return !closed_.empty(); });
  }
  std::string first_text() {
    std::lock_guard lock(mutex_);
    return texts_.empty() ? "" : texts_.front();
  }
  std::string closed() {
    std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  template <class Change>
  void tell(const Change& change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }

  IoLoop* loop_ = nullptr;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::unique_ptr<WebSocketClient> client_;
  std::vector<std::string> texts_;
  std::string closed_;
};

class AccessFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* machine : {"voron-2", "mk4"}) {
      shop.say(registered(machine), machine);
      shop.say(connected(), machine);
      const std::string id = std::string(machine) + "." + std::to_string(kStart);
      shop.say(started(id, kStart), machine);
      shop.say(finished(id, schema::JobOutcome::completed, schema::JobEvidence::conclusive), machine);
    }
    clock.set_wall(from_unix_us(shop.now_us));
    options.port = 0;
    options.version = "0.1.0";
    options.view_wait = std::chrono::seconds(10);
    options.access_interval = std::chrono::milliseconds(20);
    options.access.sessions_file = directory / "sessions.json";
    open();
  }
  void open() {
    const SubmitEvents submit = [this](std::vector<EventDraft> drafts, auto done) {
      const auto position = append(std::move(drafts));
      done(position);
    };
    edge = std::make_unique<Edge>(
        EdgeParts{loop, *shop.log, *store, clock, *metrics, health, submit, nullptr, &desk, &random}, options);
    projector = std::make_unique<Projector>(*shop.log, *store, make_projections(), *metrics, health);
    projector->on_applied = [this](auto group) { edge->on_applied(std::move(group)); };
    ASSERT_TRUE(projector->start());
    ASSERT_TRUE(projector->wait_for(shop.log->last(), std::chrono::seconds(10)));
    ASSERT_TRUE(edge->start());
    thread = std::thread([this] { loop.run(); });
  }
  void TearDown() override {
    loop.post([this] {
      edge->stop();
      loop.stop();
    });
    thread.join();
    projector->stop();
  }
  Result<Position> append(std::vector<EventDraft> drafts) {
    std::lock_guard lock(log_mutex);
    if (log_down) return make_error(Errc::kFull, "no space left on device");
    const auto commit = shop.append(std::move(drafts));
    projector->offer(commit);
    return commit->last;
  }
  // What the log says of one type, as JSON of the payload's fields that tests look at.
  template <class PayloadT, class Table>
  std::vector<PayloadT> recorded() {
    std::lock_guard lock(log_mutex);
    std::vector<PayloadT> found;
    for (const RecordedEvent& event : shop.events()) {
      if (const auto* table = event.envelope.template as<Table>()) {
        PayloadT unpacked;
        table->UnPackTo(&unpacked);
        found.push_back(std::move(unpacked));
      }
    }
    return found;
  }

  struct Key {
    std::string id;
    std::string secret;
    Headers header() const { return {{"X-API-Key", secret}}; }
  };
  Key make(const std::string& name, std::vector<std::string> scopes, std::vector<std::string> machines = {},
           WallTime expires = {}) {
    ApiKeyFields fields{name, std::move(scopes), std::move(machines)};
    fields.expires_at = expires;
    const auto made = desk.create(fields, {"test", true});
    EXPECT_TRUE(made) << made.error().message();
    return {made->key.id, made->secret};
  }
  Key make_admin() { return make("admin", {"read", "operate", "gcode", "moderate", "administer"}); }

  std::string url(const std::string& target) const {
    return "http://127.0.0.1:" + std::to_string(edge->port()) + target;
  }
  HttpResponse ask(const std::string& method, const std::string& target, Headers headers = {},
                   const std::string& body = "") {
    if (!body.empty()) headers.emplace_back("Content-Type", "application/json");
    const auto answer =
        http_request({.method = method, .url = url(target), .headers = std::move(headers), .body = body});
    EXPECT_TRUE(answer) << method << " " << target;
    return answer ? *answer : HttpResponse{};
  }
  HttpResponse get(const std::string& target, Headers headers = {}) { return ask("GET", target, std::move(headers)); }
  static std::string code_of(const HttpResponse& answer) {
    return json::parse(answer.body, nullptr, false).is_object() ? json::parse(answer.body).value("code", "") : "";
  }
  void expect(const HttpResponse& answer, int status, const std::string& code) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(code_of(answer), code) << answer.body;
  }
  // The cookie of a new session.
  std::string sign_in(const Key& key) {
    const HttpResponse answer = ask("POST", "/api/v1/session", {}, R"({"key":")" + key.secret + "\"}");
    EXPECT_EQ(answer.status, 201) << answer.body;
    const std::string cookie = header_of(answer, "set-cookie");
    EXPECT_NE(cookie.find("HttpOnly; SameSite=Strict"), std::string::npos) << cookie;
    return cookie.substr(0, cookie.find(';'));
  }
  std::string live_url(const std::string& query = "") const {
    return "ws://127.0.0.1:" + std::to_string(edge->port()) + "/api/v1/live" + query;
  }
  std::string origin() const { return "http://127.0.0.1:" + std::to_string(edge->port()); }

  Shop shop;
  std::mutex log_mutex;
  bool log_down = false;
  TemporaryDirectory directory;
  ManualClock clock;
  SystemRandom random;
  ApiKeys keys{directory / "keys.json", clock, random};
  KeyDesk desk{keys, [this](std::vector<EventDraft> drafts) { return append(std::move(drafts)); }, clock};
  std::unique_ptr<ViewStore> store = make_memory_view_store(view_names());
  std::unique_ptr<Metrics> metrics = make_metrics();
  Health health;
  IoLoop loop;
  EdgeOptions options;
  std::unique_ptr<Projector> projector;
  std::unique_ptr<Edge> edge;
  std::thread thread;
};

}  // namespace millrace::testing
