// SPDX-License-Identifier: Apache-2.0
// What the crash tests hold against the log when everything has come to rest.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "bus/confirmation.h"
#include "bus/event_log.h"
#include "bus/mqtt_client.h"
#include "bus/topics.h"

namespace millrace::testing {

// Keeps the highest confirmation of each producer that anybody could have seen.
class ConfirmationWitness {
 public:
  explicit ConfirmationWitness(const std::string& url) {
    MqttOptions options;
    options.url = url;
    options.reconnect_min = options.reconnect_max = std::chrono::milliseconds(50);
    client_ = make_mqtt_client(options);
    client_->on_message([this](const MqttClient::Message& message) {
      const auto producer = topics_.producer_of_recorded(message.topic);
      const auto confirmation = decode_confirmation(message.payload);
      if (!producer || !confirmation) return;
      std::lock_guard lock(mutex_);
      if (!message.retained) ++heard_;
      auto& highest = confirmed_[*producer];
      highest = std::max(highest, confirmation->recorded);
    });
    client_->subscribe("millrace/v1/recorded/+", 0);
    client_->start();
  }
  std::map<std::string, EventOrder> confirmed() {
    std::lock_guard lock(mutex_);
    return confirmed_;
  }
  uint64_t heard() const {
    std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  Topics topics_;
  mutable std::mutex mutex_;
  std::map<std::string, EventOrder> confirmed_;
  uint64_t heard_ = 0;
  std::unique_ptr<MqttClient> client_;
};

// Every confirmed event is there once and in its producer's order, and nothing was lost or rejected.
void check_log(const EventLog& log, const std::map<std::string, EventOrder>& confirmed);

// `millrace log verify --producers` finds the log in `folder` whole: every byte, the chain, and each producer's
// numbers, up to what was confirmed.  Gives how many samples are gone because of their age.
// Nobody has it open.
uint64_t check_proofs(const std::filesystem::path& folder, const std::map<std::string, EventOrder>& confirmed);

// The number in an environment variable.
uint64_t number_from(const char* variable, uint64_t otherwise);

}  // namespace millrace::testing
