// SPDX-License-Identifier: Apache-2.0
// A Moonraker client for tests: one loop in a thread for the server under test and the client, and calls that wait.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bus/clock.h"
#include "net/http_client.h"
#include "net/io_loop.h"
#include "net/web_socket_client.h"

namespace millrace::testing {

using Document = nlohmann::json;

class LoopThread {
 public:
  LoopThread();
  ~LoopThread();
  // Runs `task` on the loop's thread and waits for its end.
  void call(const std::function<void()>& task);
  IoLoop& loop() { return loop_; }
  const Clock& clock() const { return clock_; }

 private:
  IoLoop loop_;
  SystemClock clock_;
  std::thread thread_;
};

class SimClient {
 public:
  static constexpr std::chrono::seconds kDeadline{20};

  SimClient(LoopThread& thread, uint16_t port);
  ~SimClient();

  // False when the connection could not be opened.
  bool open();
  // The whole answer; null when none came in time.
  Document request(const std::string& method, const Document& params = nullptr);
  void send(const std::string& text);
  // Waits until `done` says so about the frames received so far; false after the deadline.
  bool wait(const std::function<bool(const std::vector<Document>&)>& done);
  bool wait_for_method(const std::string& method);
  bool wait_closed();

  std::vector<Document> frames();
  std::vector<Document> notifications(const std::string& method);
  WebSocketClosed closed();
  uint16_t port() const { return port_; }

 private:
  LoopThread& thread_;
  uint16_t port_;
  std::unique_ptr<WebSocketClient> socket_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Document> frames_;
  bool is_open_ = false;
  bool is_closed_ = false;
  WebSocketClosed closed_{};
  int next_id_ = 1;
};

// The status objects as a client keeps them: the snapshot with every delta after it.
void fold(Document& status, const Document& delta);

struct WebAnswer {
  int status = 0;
  Document body;
};
WebAnswer web(uint16_t port, const std::string& method, const std::string& target, const std::string& body = "");

}  // namespace millrace::testing
