// SPDX-License-Identifier: Apache-2.0
// A TCP proxy in front of a broker that behaves as networks do: slow, cut, half open, half closed, narrow; and that can
// lose and repeat single MQTT packets.
//
// Threads: one of its own; every method may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace millrace::testing {

class FaultProxy {
 public:
  struct Faults {
    std::chrono::milliseconds delay{0};  // each way
    size_t bytes_per_second = 0;         // each way of each connection; 0: no limit
    // Connections are accepted and stay open, and nothing comes through any more; they stay so when it is healed, as a
    // connection over a lost route does, and only a new one works.
    bool swallow = false;
    bool refuse = false;  // new connections are closed at once
    // Probabilities per MQTT packet, 0..1.
    double lose_publish = 0;
    double repeat_publish = 0;
    double lose_ack = 0;
    double repeat_ack = 0;
  };
  struct Counts {
    uint64_t connections = 0;
    uint64_t lost = 0;      // packets
    uint64_t repeated = 0;  // packets
  };

  // Listens on a free port of loopback and connects to `upstream_port` there.
  FaultProxy(uint16_t upstream_port, uint64_t seed);
  ~FaultProxy();

  uint16_t port() const { return port_; }
  std::string url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }

  void set(const Faults& faults);
  void heal() { set({}); }
  void cut();         // resets every connection
  void half_close();  // says to every client that nothing more will come, and goes on listening to it
  Counts counts() const;

 private:
  class Connection;

  void run();
  void accept_one();
  void take_orders();

  const uint16_t upstream_port_;
  uint16_t port_ = 0;
  int listener_ = -1;
  int wake_[2] = {-1, -1};

  mutable std::mutex mutex_;
  Faults faults_;
  Counts counts_;
  bool cut_ = false;
  bool half_close_ = false;
  bool stopping_ = false;

  uint64_t seed_;  // the thread's own from here
  std::vector<std::unique_ptr<Connection>> connections_;
  std::thread thread_;
};

}  // namespace millrace::testing
