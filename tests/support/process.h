// SPDX-License-Identifier: Apache-2.0
// Real processes for tests.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bus/child_process.h"

namespace millrace::testing {

// True as soon as `condition` holds, false when `timeout` is over.  Polls every few milliseconds.
bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout = std::chrono::seconds(20));

// Where a broker listens, and what its command is given to, such as `ip netns exec NAME`.
struct BrokerPlace {
  std::string address = "127.0.0.1";
  std::vector<std::string> launcher;
};

// A Mosquitto of the test's own, configured as the project's mosquitto.conf is.
class Broker {
 public:
  // `persistent`: what is retained survives stop(), in a file.
  explicit Broker(std::filesystem::path directory, bool persistent = false, BrokerPlace place = {});
  void start();  // and waits until it answers, where it listens on loopback
  void stop();   // as it is stopped with its host
  void kill() { process_.reset(); }
  uint16_t port() const { return port_; }
  std::string url() const { return "mqtt://" + place_.address + ":" + std::to_string(port_); }

 private:
  std::filesystem::path directory_;
  bool persistent_;
  const BrokerPlace place_;
  uint16_t port_;
  std::optional<ChildProcess> process_;
};

}  // namespace millrace::testing
