// SPDX-License-Identifier: Apache-2.0
// A loop on its own thread, a service made of functions, and a client that may write any bytes.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "net/http_server.h"
#include "net/io_loop.h"

namespace millrace::testing {

inline constexpr std::chrono::seconds kPatience{20};  // for what has to happen; reaching it fails the test

// Lines written on one thread and awaited on another.
class Journal {
 public:
  void add(std::string line);
  // False when `count` lines did not come within kPatience.
  bool wait_for_lines(size_t count);
  bool wait_for(const std::string& line);
  std::vector<std::string> lines() const;

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

// An IoLoop that runs from construction to destruction.
class LoopThread {
 public:
  LoopThread();
  ~LoopThread();
  IoLoop& loop() { return loop_; }
  // Runs `task` on the loop's thread and waits for it.
  void call(const std::function<void()>& task);
  // Ends the thread; the loop still exists.
  void stop();

 private:
  IoLoop loop_;
  std::thread thread_;
};

struct FunctionService final : HttpService {
  using Verdict = boost::system::result<WebSocketEvents, HttpResponse>;

  std::function<void(HttpRequest, Responder)> request = [](HttpRequest, Responder respond) { respond({}); };
  std::function<Verdict(const HttpRequest&, std::shared_ptr<WebSocketPeer>)> web_socket =
      [](const HttpRequest&, std::shared_ptr<WebSocketPeer>) { return Verdict(HttpResponse{.status = 404}); };

  std::function<bool(std::string_view method, std::string_view path)> urgent = [](auto, auto) { return false; };

  void on_request(HttpRequest r, Responder respond) override { request(std::move(r), std::move(respond)); }
  bool is_urgent(std::string_view method, std::string_view path) override { return urgent(method, path); }
  Verdict on_web_socket(const HttpRequest& r, std::shared_ptr<WebSocketPeer> peer) override {
    return web_socket(r, std::move(peer));
  }
};

HttpResponse text_response(std::string body, int status = 200);

// A blocking TCP connection on loopback.
class RawClient {
 public:
  explicit RawClient(uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool write(std::string_view bytes);  // false when the peer has closed
  void end_writing();
  void reset();  // closes with a TCP reset
  // What came until `size` bytes, `end` was seen, the peer closed, or kPatience passed.
  std::string read_until(std::string_view end);
  std::string read_bytes(size_t size);
  std::string read_to_end();  // "(still open)" is appended when the peer does not close

 private:
  // False when nothing more comes.
  bool receive();
  int socket_;
  bool closed_ = false;
  std::string received_;
};

// A listening socket that nobody serves, for peers that misbehave.
class RawListener {
 public:
  RawListener();
  ~RawListener();
  uint16_t port() const { return port_; }
  int accept();  // the caller closes it

 private:
  int socket_;
  uint16_t port_;
};

// Server and loop; `options` are taken by start().
class ServerTest : public ::testing::Test {
 protected:
  ~ServerTest() override;
  void start();
  void stop_server();                          // destroys it on the loop's thread
  std::string get(const std::string& target);  // the whole answer to one request on a fresh connection
  std::string send_raw(std::string_view bytes);
  std::string url(const std::string& target) const;

  LoopThread thread_;
  FunctionService service_;
  HttpServerOptions options_;
  std::unique_ptr<HttpServer> server_;
  uint16_t port_ = 0;
};

}  // namespace millrace::testing
