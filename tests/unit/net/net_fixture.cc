// SPDX-License-Identifier: Apache-2.0
#include "net_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace millrace::testing {
namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

void Journal::add(std::string line) {
  std::lock_guard lock(mutex_);
  lines_.push_back(std::move(line));
  changed_.notify_all();
}

bool Journal::wait_for_lines(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return lines_.size() >= count; });
}

bool Journal::wait_for(const std::string& line) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience,
                           [&] { return std::find(lines_.begin(), lines_.end(), line) != lines_.end(); });
}

std::vector<std::string> Journal::lines() const {
  std::lock_guard lock(mutex_);
  return lines_;
}

LoopThread::LoopThread() : thread_([this] { loop_.run(); }) {}
LoopThread::~LoopThread() { stop(); }

void LoopThread::call(const std::function<void()>& task) {
  if (!thread_.joinable()) return task();
  std::promise<void> done;
  loop_.post([&] {
    task();
    done.set_value();
  });
  done.get_future().wait();
}

void LoopThread::stop() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

HttpResponse text_response(std::string body, int status) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(body);
  return response;
}

RawClient::RawClient(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  auto address = loopback(port);
  EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0) << strerror(errno);
  int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

RawClient::~RawClient() { ::close(socket_); }

bool RawClient::write(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void RawClient::end_writing() { ::shutdown(socket_, SHUT_WR); }

void RawClient::reset() {
  linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(std::exchange(socket_, -1));
}

bool RawClient::receive() {
  pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
  auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience).count();
  if (::poll(&ready, 1, static_cast<int>(patience)) <= 0) return false;
  char buffer[65536];
  ssize_t size = ::recv(socket_, buffer, sizeof(buffer), 0);
  if (size <= 0) {
    closed_ = true;
    return false;
  }
  received_.append(buffer, static_cast<size_t>(size));
  return true;
}

std::string RawClient::read_until(std::string_view end) {
  size_t at;
  while ((at = received_.find(end)) == std::string::npos) {
    if (!receive()) return std::exchange(received_, "");
  }
  std::string out = received_.substr(0, at + end.size());
  received_.erase(0, out.size());
  return out;
}

std::string RawClient::read_bytes(size_t size) {
  while (received_.size() < size && receive()) {
  }
  std::string out = received_.substr(0, size);
  received_.erase(0, out.size());
  return out;
}

std::string RawClient::read_to_end() {
  while (receive()) {
  }
  std::string out = std::exchange(received_, "");
  return closed_ ? out : out + "(still open)";
}

RawListener::RawListener() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), port_(0) {
  auto address = loopback(0);
  EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(::listen(socket_, 8), 0);
  socklen_t size = sizeof(address);
  ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
}

RawListener::~RawListener() { ::close(socket_); }

int RawListener::accept() { return ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC); }

ServerTest::~ServerTest() { stop_server(); }

void ServerTest::start() {
  thread_.call([&] {
    server_ = std::make_unique<HttpServer>(thread_.loop(), service_, options_);
    auto listening = server_->listen("127.0.0.1", 0);
    ASSERT_TRUE(listening) << listening.error().message();
    port_ = server_->port();
  });
}

void ServerTest::stop_server() {
  thread_.call([&] { server_.reset(); });
}

std::string ServerTest::send_raw(std::string_view bytes) {
  RawClient client(port_);
  client.write(bytes);
  client.end_writing();
  return client.read_to_end();
}

std::string ServerTest::get(const std::string& target) {
  return send_raw("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

std::string ServerTest::url(const std::string& target) const {
  return "http://127.0.0.1:" + std::to_string(port_) + target;
}

}  // namespace millrace::testing
