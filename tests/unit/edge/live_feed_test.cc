// SPDX-License-Identifier: Apache-2.0
#include "web/edge/live_feed.h"

#include <gtest/gtest.h>

#include <deque>
#include <nlohmann/json.hpp>

namespace millrace {
namespace {

using nlohmann::json;

class FakePeer final : public WebSocketPeer {
 public:
  bool send(std::shared_ptr<const std::string> text) override {
    if (full) return false;
    got.push_back(json::parse(*text));
    return true;
  }
  size_t queued_bytes() const override { return 0; }
  void close(uint16_t, std::string) override {}
  void abort() override {}
  bool full = false;
  std::vector<json> got;
};

class LiveFeedTest : public testing::Test {
 protected:
  LiveFeedTest()
      : metrics(make_metrics()),
        feed(
            {.resume_deltas = 3}, "one",
            [this] {
              return json{{"type", "snapshot"}, {"position", at}}.dump();
            },
            [this](auto task) { tasks.push_back(task); }, *metrics) {
    feed.restart(Position{at});
  }
  void advance() {
    ++at;
    feed.advance(Position{at}, std::make_shared<const std::string>(json{{"type", "delta"}, {"position", at}}.dump()));
  }
  std::shared_ptr<FakePeer> connect(std::optional<Position> resume = {}, const std::string& incarnation = "") {
    auto peer = std::make_shared<FakePeer>();
    events = feed.add(peer, resume, incarnation);
    for (; !tasks.empty(); tasks.pop_front()) tasks.front()();
    return peer;
  }
  static std::vector<std::string> said(const FakePeer& peer) {
    std::vector<std::string> words;
    for (const json& message : peer.got) {
      words.push_back(message["type"].get<std::string>() +
                      (message.contains("position") ? " " + message["position"].dump() : ""));
    }
    return words;
  }

  uint64_t at = 10;
  std::deque<std::function<void()>> tasks;
  std::unique_ptr<Metrics> metrics;
  LiveFeed feed;
  WebSocketEvents events;
};
using Said = std::vector<std::string>;

TEST_F(LiveFeedTest, SnapshotFirstThenDeltasAndHeartbeats) {
  const auto peer = connect();
  advance();
  feed.heartbeat("2026-11-21T12:00:00Z");
  EXPECT_EQ(said(*peer), (Said{"snapshot 10", "delta 11", "heartbeat 11"}));
}

TEST_F(LiveFeedTest, ResumesFromTheRing) {
  advance();
  advance();
  EXPECT_EQ(said(*connect(Position{10}, "one")), (Said{"delta 11", "delta 12"}));
  EXPECT_EQ(said(*connect(Position{11}))[0], "delta 11");
}

TEST_F(LiveFeedTest, TooOldTooNewOrOfAnotherLogIsASnapshot) {
  for (int i = 0; i < 5; ++i) advance();
  EXPECT_EQ(said(*connect(Position{10})), Said{"snapshot 15"});
  EXPECT_EQ(said(*connect(Position{16})), Said{"snapshot 15"});
  EXPECT_EQ(said(*connect(Position{14}, "another")), Said{"snapshot 15"});
  EXPECT_EQ(said(*connect(Position{14}, "one")), (Said{"delta 14", "delta 15"}));
}

TEST_F(LiveFeedTest, ASlowClientGetsASnapshotOnceDrained) {
  const auto peer = connect();
  peer->full = true;
  advance();
  peer->full = false;
  advance();
  EXPECT_EQ(said(*peer), Said{"snapshot 10"}) << "nothing may follow a lost delta";
  events.on_drained();
  advance();
  EXPECT_EQ(said(*peer), (Said{"snapshot 10", "snapshot 12", "delta 13"}));
}

TEST_F(LiveFeedTest, ResumesByMessage) {
  const auto peer = connect();
  advance();
  events.on_text(R"({"type":"resume","position":10})");
  EXPECT_EQ(said(*peer), (Said{"snapshot 10", "delta 11", "delta 11"}));
}

TEST_F(LiveFeedTest, BadMessagesAreAnsweredAndTheClientStays) {
  const auto peer = connect();
  for (const char* text : {"", "{", "[]", "{\"type\":1}", "{\"type\":\"dance\"}", "{\"type\":\"resume\"}",
                           "{\"type\":\"resume\",\"position\":-1}", "{\"type\":\"resume\",\"position\":\"1\"}"}) {
    peer->got.clear();
    events.on_text(text);
    ASSERT_EQ(peer->got.size(), 1u) << text;
    EXPECT_EQ(peer->got[0]["type"], "error");
    EXPECT_FALSE(peer->got[0]["detail"].get<std::string>().empty());
  }
  advance();
  EXPECT_EQ(peer->got.back()["type"], "delta");
}

TEST_F(LiveFeedTest, AClosedClientIsForgotten) {
  const auto peer = connect();
  events.on_close(1001);
  advance();
  EXPECT_EQ(said(*peer), Said{"snapshot 10"});
}

}  // namespace
}  // namespace millrace
