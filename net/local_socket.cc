// SPDX-License-Identifier: Apache-2.0
// Plain sockets: a request is rare and its answer may take minutes, so a thread each is simpler than a loop.
#include "net/local_socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "bus/file_io.h"
#include "bus/logging.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr size_t kMaxAnswerBytes = 1u << 20;
constexpr int kBacklog = 16;

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int get() const { return number_; }

 private:
  int number_;
};

// The socket's name by way of its folder's descriptor: the address has room for 107 characters only.
struct Address {
  Descriptor folder;
  sockaddr_un name{};
};

Result<Address> address_of(const fs::path& path) {
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  Address address{Descriptor(::open(parent.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), {}};
  if (address.folder.get() < 0) return system_error("open", parent);
  address.name.sun_family = AF_UNIX;
  const std::string text = fmt::format("/proc/self/fd/{}/{}", address.folder.get(), path.filename().string());
  if (text.size() >= sizeof address.name.sun_path) {
    return make_error(Errc::kInvalidArgument, fmt::format("socket '{}': the name is too long", path.string()));
  }
  std::memcpy(address.name.sun_path, text.c_str(), text.size() + 1);
  return address;
}

const sockaddr* generic(const sockaddr_un& name) { return reinterpret_cast<const sockaddr*>(&name); }

// True when `events` are there, false when the time is over or `stop` became readable.
bool wait_for(int descriptor, short events, milliseconds timeout, int stop = -1) {
  pollfd waiting[] = {{descriptor, events, 0}, {stop, POLLIN, 0}};
  while (true) {
    const int ready = ::poll(waiting, 2, static_cast<int>(timeout.count()));
    if (ready >= 0 || errno != EINTR) return ready > 0 && waiting[1].revents == 0;
  }
}

// Up to the newline, without it.
Result<std::string> read_line(int descriptor, size_t max_bytes, milliseconds timeout, int stop = -1) {
  std::string line;
  char piece[4096];
  while (true) {
    if (!wait_for(descriptor, POLLIN, timeout, stop))
      return make_error(Errc::kTimeout, "no whole line arrived in time");
    const ssize_t got = ::recv(descriptor, piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return make_error(Errc::kIo, "the connection ended before a whole line");
    line.append(piece, static_cast<size_t>(got));
    if (const auto end = line.find('\n'); end != std::string::npos) {
      line.resize(end);
      return line;
    }
    if (line.size() > max_bytes) {
      return make_error(Errc::kTooLarge, fmt::format("a line of more than {} bytes", max_bytes));
    }
  }
}

Result<void> write_line(int descriptor, std::string line, milliseconds timeout) {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    if (!wait_for(descriptor, POLLOUT, timeout)) return make_error(Errc::kTimeout, "the line is not taken");
    const ssize_t sent = ::send(descriptor, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (sent < 0) return make_error(Errc::kIo, fmt::format("send: {}", std::strerror(errno)));
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

class ThreadedServer final : public LocalServer {
 public:
  ThreadedServer(fs::path path, Answer answer, const LocalServerOptions& options)
      : path_(std::move(path)), answer_(std::move(answer)), options_(options) {}

  ~ThreadedServer() override {
    if (!thread_.joinable()) return;
    const uint64_t one = 1;
    (void)!::write(stop_.get(), &one, sizeof one);
    thread_.join();
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return connections_ == 0; });
    std::error_code ignored;
    fs::remove(path_, ignored);
  }

  Result<void> start() {
    auto address = address_of(path_);
    if (!address) return address.error();
    stop_ = Descriptor(::eventfd(0, EFD_CLOEXEC));
    listener_ = Descriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (stop_.get() < 0 || listener_.get() < 0) return system_error("socket", path_);
    std::error_code ignored;
    fs::remove(path_, ignored);
    // Before bind: the file has this mode from its first instant.
    if (::fchmod(listener_.get(), S_IRUSR | S_IWUSR) != 0 ||
        ::bind(listener_.get(), generic(address->name), sizeof address->name) != 0 ||
        ::listen(listener_.get(), kBacklog) != 0) {
      return system_error("socket", path_);
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

 private:
  void run() {
    while (true) {
      pollfd waiting[] = {{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
      if (::poll(waiting, 2, -1) < 0 && errno != EINTR) return;
      if (waiting[1].revents != 0) return;
      if (waiting[0].revents == 0) continue;
      Descriptor peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (peer.get() < 0) {
        // Without a free descriptor the listener stays readable: give it time instead of asking at full speed.
        if (wait_for(stop_.get(), POLLIN, milliseconds(100))) return;
        continue;
      }
      serve(std::move(peer));
    }
  }

  void serve(Descriptor peer) {
    {
      std::lock_guard lock(mutex_);
      if (connections_ == options_.max_connections) return;
      ++connections_;
    }
    try {
      std::thread([this, peer = std::move(peer)]() mutable {
        talk(peer.get());
        peer = Descriptor();
        done();
      }).detach();
    } catch (const std::system_error& failure) {
      log_warn("control", "a request is not served: {}", failure.what());
      done();
    }
  }

  void done() {
    std::lock_guard lock(mutex_);
    --connections_;
    idle_.notify_all();
  }

  void talk(int peer) {
    const auto request = read_line(peer, options_.max_request_bytes, options_.request_timeout, stop_.get());
    if (!request) return log_debug("control", "{}", request.error().message());
    if (auto sent = write_line(peer, answer_(*request), options_.request_timeout); !sent) {
      log_debug("control", "{}", sent.error().message());
    }
  }

  const fs::path path_;
  const Answer answer_;
  const LocalServerOptions options_;
  Descriptor listener_;
  Descriptor stop_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable idle_;
  size_t connections_ = 0;
};

}  // namespace

Result<std::unique_ptr<LocalServer>> LocalServer::listen(const fs::path& path, Answer answer,
                                                         const LocalServerOptions& options) {
  auto server = std::make_unique<ThreadedServer>(path, std::move(answer), options);
  if (auto started = server->start(); !started) return started.error();
  return std::unique_ptr<LocalServer>(std::move(server));
}

Result<std::string> ask_locally(const fs::path& path, std::string_view request, milliseconds timeout) {
  const auto address = address_of(path);
  if (!address) return make_error(Errc::kUnavailable, address.error().context);
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) return system_error("socket", path);
  if (::connect(socket.get(), generic(address->name), sizeof address->name) != 0) {
    const bool nobody = errno == ENOENT || errno == ECONNREFUSED || errno == ENOTSOCK;
    auto error = system_error("socket", path);
    if (nobody) error.code = Errc::kUnavailable;
    return error;
  }
  if (auto sent = write_line(socket.get(), std::string(request), timeout); !sent) return sent.error();
  return read_line(socket.get(), kMaxAnswerBytes, timeout);
}

}  // namespace millrace
