// SPDX-License-Identifier: Apache-2.0
#include "tests/support/fault_proxy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <utility>

#include "bus/random.h"

namespace millrace::testing {
namespace {

using Instant = std::chrono::steady_clock::time_point;

constexpr size_t kMaxQueued = 1u << 20;  // of one way; beyond it nothing more is read
constexpr int kTickMs = 2;               // while something waits for its time
constexpr int kIdleMs = 200;

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::abort();
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void make_quick(int socket) {
  const int on = 1;
  ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::fcntl(socket, F_SETFL, O_NONBLOCK);
}

int connect_to(uint16_t port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

// How many bytes the MQTT packet at the beginning takes; nullopt when it is not all there.
std::optional<size_t> packet_size(const std::string& bytes) {
  size_t length = 0;
  for (size_t i = 1; i < bytes.size() && i <= 4; ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    length |= static_cast<size_t>(byte & 127u) << (7 * (i - 1));
    if ((byte & 128u) != 0) continue;
    return 1 + i + length <= bytes.size() ? std::optional(1 + i + length) : std::nullopt;
  }
  return std::nullopt;
}

// One way of a connection: bytes in, whole packets out when their time has come.
class OneWay {
 public:
  OneWay(int from, int to) : from_(from), to_(to) {}

  bool wants_read() const { return !ended_ && queued_ < kMaxQueued; }
  bool waits() const { return !packets_.empty() || !sending_.empty(); }

  // False when this way is at its end and everything is through.
  bool read(const FaultProxy::Faults& faults, FaultProxy::Counts& counts, Random& random, bool dead) {
    char buffer[16'384];
    const ssize_t size = ::read(from_, buffer, sizeof buffer);
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) ended_ = true;
    if (size <= 0 || dead) return !ended_ || (waits() && !dead);
    partial_.append(buffer, static_cast<size_t>(size));
    while (const auto whole = packet_size(partial_)) {
      pass(partial_.substr(0, *whole), faults, counts, random);
      partial_.erase(0, *whole);
    }
    return true;
  }

  // False when the other side is gone.
  bool write(const FaultProxy::Faults& faults, Instant now) {
    for (; !packets_.empty() && packets_.front().first <= now; packets_.pop_front())
      sending_ += packets_.front().second;
    size_t allowed = sending_.size();
    if (faults.bytes_per_second > 0) {
      const std::chrono::duration<double> passed = std::min<std::chrono::duration<double>>(now - written_, kBurst);
      allowed = std::min(allowed, static_cast<size_t>(passed.count() * static_cast<double>(faults.bytes_per_second)));
    }
    if (allowed == 0) return !ended_ || waits();
    written_ = now;
    const ssize_t size = ::send(to_, sending_.data(), allowed, MSG_NOSIGNAL);
    if (size < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (size > 0) sending_.erase(0, static_cast<size_t>(size)), queued_ -= static_cast<size_t>(size);
    return !ended_ || waits();
  }

 private:
  static constexpr std::chrono::milliseconds kBurst{100};
  static constexpr int kPublish = 3, kPuback = 4;

  void pass(std::string packet, const FaultProxy::Faults& faults, FaultProxy::Counts& counts, Random& random) {
    const int type = static_cast<unsigned char>(packet[0]) >> 4;
    const double lose = type == kPublish ? faults.lose_publish : type == kPuback ? faults.lose_ack : 0;
    const double repeat = type == kPublish ? faults.repeat_publish : type == kPuback ? faults.repeat_ack : 0;
    if (random.unit() < lose) {
      ++counts.lost;
      return;
    }
    const Instant due = std::chrono::steady_clock::now() + faults.delay;
    if (random.unit() < repeat) ++counts.repeated, put(due, packet);
    put(due, std::move(packet));
  }

  void put(Instant due, std::string packet) {
    queued_ += packet.size();
    packets_.emplace_back(packets_.empty() ? due : std::max(due, packets_.back().first), std::move(packet));
  }

  const int from_, to_;
  bool ended_ = false;
  std::string partial_;
  std::deque<std::pair<Instant, std::string>> packets_;
  std::string sending_;
  size_t queued_ = 0;
  Instant written_ = std::chrono::steady_clock::now();
};

}  // namespace

class FaultProxy::Connection {
 public:
  Connection(int client, int server, uint64_t seed)
      : client_(client), server_(server), random_(seed), up_(client, server), down_(server, client) {}
  ~Connection() {
    ::close(client_);
    ::close(server_);
  }

  void reset() {
    const linger now{1, 0};
    for (const int socket : {client_, server_}) ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  void half_close() { ::shutdown(client_, SHUT_WR); }
  void die() { dead_ = true; }

  void add_to(std::vector<pollfd>& polled) const {
    polled.push_back({client_, static_cast<short>(up_.wants_read() ? POLLIN : 0), 0});
    polled.push_back({server_, static_cast<short>(down_.wants_read() ? POLLIN : 0), 0});
  }
  bool waits() const { return up_.waits() || down_.waits(); }

  // False when it is over.
  bool step(bool client_ready, bool server_ready, const Faults& faults, Counts& counts) {
    if (client_ready && !up_.read(faults, counts, random_, dead_)) return false;
    if (server_ready && !down_.read(faults, counts, random_, dead_)) return false;
    if (dead_) return true;
    const Instant now = std::chrono::steady_clock::now();
    return up_.write(faults, now) && down_.write(faults, now);
  }

 private:
  const int client_, server_;
  SeededRandom random_;
  bool dead_ = false;
  OneWay up_, down_;
};

FaultProxy::FaultProxy(uint16_t upstream_port, uint64_t seed) : upstream_port_(upstream_port), seed_(seed) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0 || ::pipe2(wake_, O_CLOEXEC) != 0) {
    give_up("fault proxy");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

FaultProxy::~FaultProxy() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  if (::write(wake_[1], "s", 1) != 1) give_up("fault proxy");
  thread_.join();
  connections_.clear();
  for (const int descriptor : {listener_, wake_[0], wake_[1]}) ::close(descriptor);
}

void FaultProxy::set(const Faults& faults) {
  std::lock_guard lock(mutex_);
  faults_ = faults;
  if (::write(wake_[1], "f", 1) != 1) give_up("fault proxy");
}

void FaultProxy::cut() {
  std::lock_guard lock(mutex_);
  cut_ = true;
  if (::write(wake_[1], "c", 1) != 1) give_up("fault proxy");
}

void FaultProxy::half_close() {
  std::lock_guard lock(mutex_);
  half_close_ = true;
  if (::write(wake_[1], "h", 1) != 1) give_up("fault proxy");
}

FaultProxy::Counts FaultProxy::counts() const {
  std::lock_guard lock(mutex_);
  return counts_;
}

void FaultProxy::accept_one() {
  const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = faults_.refuse ? -1 : connect_to(upstream_port_);
  if (server < 0) {
    ::close(client);
    return;
  }
  make_quick(client);
  make_quick(server);
  ++counts_.connections;
  connections_.push_back(std::make_unique<Connection>(client, server, ++seed_));
}

void FaultProxy::take_orders() {
  if (std::exchange(half_close_, false)) {
    for (const auto& connection : connections_) connection->half_close();
  }
  if (std::exchange(cut_, false)) {
    for (const auto& connection : connections_) connection->reset();
    connections_.clear();
  }
  if (!faults_.swallow) return;
  for (const auto& connection : connections_) connection->die();
}

void FaultProxy::run() {
  std::vector<pollfd> polled;
  while (true) {
    polled.assign({{listener_, POLLIN, 0}, {wake_[0], POLLIN, 0}});
    bool waits = false;
    for (const auto& connection : connections_) {
      connection->add_to(polled);
      waits = waits || connection->waits();
    }
    ::poll(polled.data(), polled.size(), waits ? kTickMs : kIdleMs);
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    char orders[64];
    if ((polled[1].revents & POLLIN) != 0 && ::read(wake_[0], orders, sizeof orders) < 0) give_up("fault proxy");
    size_t next = 2;
    std::erase_if(connections_, [&](const auto& connection) {
      const bool client_ready = polled[next++].revents != 0;
      const bool server_ready = polled[next++].revents != 0;
      return !connection->step(client_ready, server_ready, faults_, counts_);
    });
    if ((polled[0].revents & POLLIN) != 0) accept_one();
    take_orders();
  }
}

}  // namespace millrace::testing
