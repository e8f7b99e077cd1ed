// SPDX-License-Identifier: Apache-2.0
// A connection that keeps what was published, and says what it is told to say.
#pragma once

#include <string>
#include <vector>

#include "bus/mqtt_client.h"

namespace millrace::testing {

class FakeMqtt final : public MqttClient {
 public:
  struct Published {
    std::string topic;
    std::string payload;
    Retain retain;
  };

  void on_message(std::function<void(const Message&)> callback) override { message_ = std::move(callback); }
  void on_connected(std::function<void()> callback) override { connected_callbacks_.push_back(std::move(callback)); }
  void on_disconnected(std::function<void(std::string)> callback) override { lost_ = std::move(callback); }
  void on_room(std::function<void()>) override {}
  void subscribe(std::string filter, int) override { subscriptions.push_back(std::move(filter)); }
  void start() override {}
  void stop() override {}
  bool connected() const override { return up; }
  Result<void> publish(std::string_view topic, std::string_view payload, int, Retain retain) override {
    if (!up) return make_error(Errc::kUnavailable, "down");
    if (full) return make_error(Errc::kFull, "too much waits");
    published.push_back({std::string(topic), std::string(payload), retain});
    return {};
  }

  Result<void> respond(std::string_view topic, std::string_view payload, std::string_view correlation) override {
    correlations.emplace_back(correlation);
    return publish(topic, payload, 1, Retain::kNo);
  }

  void deliver(const std::string& topic, const std::string& payload) {
    if (message_) message_({topic, payload, false});
  }
  void connect() {
    up = true;
    for (const auto& callback : connected_callbacks_) callback();
  }

  bool up = true;
  bool full = false;
  std::vector<Published> published;
  std::vector<std::string> subscriptions;
  std::vector<std::string> correlations;

 private:
  std::function<void(const Message&)> message_;
  std::vector<std::function<void()>> connected_callbacks_;
  std::function<void(std::string)> lost_;
};

}  // namespace millrace::testing
