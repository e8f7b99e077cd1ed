// SPDX-License-Identifier: Apache-2.0
// A whole shop for tests: a real Mosquitto, simulated or recorded machines, adapters and hub, each a process that can
// be killed and started again; and what its users see of it.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/io_loop.h"
#include "net/web_socket_client.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"

namespace millrace::testing {

using nlohmann::json;

class Shop {
  TemporaryDirectory directory_;  // first: what follows lies in it

 public:
  static std::string program();

  Shop();
  ~Shop();  // prints where the logs are when the test failed

  // Machines; before write_config().  The file of machines is written by the simulator.
  void start_simulator(const std::vector<std::string>& options);
  // One machine "m" that replays a recording.
  void start_replay(const std::filesystem::path& recording, const std::string& speed);
  void add_machine(const std::string& id, uint16_t port);

  void start_hub();
  void start_adapters();
  void start_all();  // broker, hub and adapters, and waits until the hub is ready
  bool wait_ready();

  // One command of the program: exit code and what it printed (both kinds).
  struct Ran {
    int code;
    std::string output;
  };
  Ran run(const std::vector<std::string>& arguments, const std::map<std::string, std::string>& environment = {});

  json get(const std::string& path);  // of a 200 answer; a null value for anything else
  int status_of(const std::string& path);
  json jobs() { return get("/api/v1/jobs?limit=500").value("items", json::array()); }
  json machine(const std::string& id);  // an empty object while there is none
  int last_position();                  // -1 while the hub does not answer

  const std::filesystem::path& directory() const { return directory_.path(); }
  std::filesystem::path data() const { return directory_ / "data"; }
  std::filesystem::path config() const { return directory_ / "millrace.toml"; }
  std::string output() const;
  std::string live_url() const { return "ws://127.0.0.1:" + std::to_string(http_port) + "/api/v1/live"; }

  Broker broker;
  std::optional<ChildProcess> machines;
  std::optional<ChildProcess> hub;
  std::optional<ChildProcess> adapters;
  const uint16_t http_port;

 private:
  void write_config(const std::string& machine_list);
  std::optional<ChildProcess> start(std::vector<std::string> arguments);
};

// A client of the live feed that keeps what it heard.
class LiveClient {
 public:
  explicit LiveClient(const std::string& url);
  ~LiveClient();
  // The newest object of a machine or job, a null value before the first.
  json machine(const std::string& id);
  json job(const std::string& id);
  std::vector<double> progress_of(const std::string& machine);  // every different value, in order
  size_t messages() const { return messages_; }

 private:
  void hear(std::string_view text);

  IoLoop loop_;
  WebSocketClient socket_;
  std::mutex mutex_;
  std::map<std::string, json> machines_;
  std::map<std::string, json> jobs_;
  std::map<std::string, std::vector<double>> progress_;
  std::atomic<size_t> messages_{0};
  std::thread thread_;
};

}  // namespace millrace::testing
