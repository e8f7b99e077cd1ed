// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace millrace::testing {

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

Broker::Broker(std::filesystem::path directory, bool persistent, BrokerPlace place)
    : directory_(std::move(directory)), persistent_(persistent), place_(std::move(place)), port_(free_loopback_port()) {
  std::filesystem::create_directories(directory_);
}

void Broker::stop() {
  if (process_) process_->terminate();
  process_.reset();
}

void Broker::start() {
  const auto config = directory_ / "mosquitto.conf";
  std::ofstream(config) << "listener " << port_ << " " << place_.address << "\nallow_anonymous true\n"
                        << (persistent_ ? "persistence true\npersistence_location " + directory_.string() + "/\n"
                                        : "persistence false\n")
                        << "max_inflight_messages 1000\nmax_queued_messages 200000\nset_tcp_nodelay true\n"
                        << (::geteuid() == 0 ? "user root\n" : "");
  const std::string program = std::filesystem::exists("/usr/sbin/mosquitto") ? "/usr/sbin/mosquitto" : "mosquitto";
  std::vector<std::string> command = place_.launcher;
  command.insert(command.end(), {program, "-c", config.string()});
  process_.emplace(ChildProcess::start(command, directory_ / "mosquitto.log").value());
  if (!place_.launcher.empty()) return;
  if (eventually([this] { return loopback_port_answers(port_); })) return;
  std::fprintf(stderr, "mosquitto does not answer on port %u, see %s\n", port_, directory_.c_str());
  std::abort();
}

}  // namespace millrace::testing
