// SPDX-License-Identifier: Apache-2.0
// Real processes for tests: started, killed, waited for; whatever happens, ended with the test.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace millrace::testing {

class ChildProcess {
 public:
  // Output of both kinds goes to `output` (appended).  Aborts the test run if the program cannot be started.
  ChildProcess(std::vector<std::string> command, std::filesystem::path output,
               std::map<std::string, std::string> environment = {});
  ~ChildProcess();  // kill -9
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;

  void signal(int number);
  void kill();       // SIGKILL and wait
  int terminate();   // SIGTERM and wait; the exit status, or 128 + signal
  int wait();
  bool running();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
};

// A TCP port on loopback that nobody uses now.
uint16_t free_port();

// True as soon as `condition` holds, false when `timeout` is over.  Polls every few milliseconds.
bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout = std::chrono::seconds(20));

// A Mosquitto of the test's own, configured as the project's mosquitto.conf is.
class Broker {
 public:
  explicit Broker(std::filesystem::path directory, uint16_t port = 0);
  void start();  // and waits until it answers
  void kill();
  bool running();
  uint16_t port() const { return port_; }
  std::string url() const { return "mqtt://127.0.0.1:" + std::to_string(port_); }

 private:
  std::filesystem::path directory_;
  uint16_t port_;
  std::unique_ptr<ChildProcess> process_;
};

bool port_answers(uint16_t port);

}  // namespace millrace::testing
