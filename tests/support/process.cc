// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <utility>

namespace millrace::testing {

ChildProcess::ChildProcess(std::vector<std::string> command, std::filesystem::path output,
                           std::map<std::string, std::string> environment) {
  pid_ = ::fork();
  if (pid_ < 0) std::perror("fork"), std::abort();
  if (pid_ > 0) return;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0640);
  ::dup2(out, 1);
  ::dup2(out, 2);
  for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> arguments;
  for (auto& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  ::execvp(arguments[0], arguments.data());
  std::perror(arguments[0]);
  ::_exit(127);
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) kill();
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(status_, other.status_);
  return *this;
}

void ChildProcess::signal(int number) {
  if (pid_ > 0) ::kill(pid_, number);
}

void ChildProcess::kill() {
  signal(SIGKILL);
  wait();
}

int ChildProcess::terminate() {
  signal(SIGTERM);
  return wait();
}

int ChildProcess::wait() {
  if (pid_ > 0) {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    pid_ = -1;
  }
  return status_;
}

bool ChildProcess::running() {
  if (pid_ <= 0) return false;
  int status = 0;
  if (::waitpid(pid_, &status, WNOHANG) != pid_) return true;
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  pid_ = -1;
  return false;
}

namespace {

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

}  // namespace

uint16_t free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  ::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(descriptor);
  return ntohs(address.sin_port);
}

bool port_answers(uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const bool answers = ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(descriptor);
  return answers;
}

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

Broker::Broker(std::filesystem::path directory, uint16_t port)
    : directory_(std::move(directory)), port_(port == 0 ? free_port() : port) {
  std::filesystem::create_directories(directory_);
}

void Broker::start() {
  const auto config = directory_ / "mosquitto.conf";
  std::ofstream(config) << "listener " << port_ << " 127.0.0.1\nallow_anonymous true\npersistence false\n"
                        << "max_inflight_messages 1000\nmax_queued_messages 200000\nset_tcp_nodelay true\n";
  const bool as_root = ::geteuid() == 0;
  if (as_root) std::ofstream(config, std::ios::app) << "user root\n";
  const auto program = std::filesystem::exists("/usr/sbin/mosquitto") ? "/usr/sbin/mosquitto" : "mosquitto";
  process_ = std::make_unique<ChildProcess>(std::vector<std::string>{program, "-c", config.string()},
                                            directory_ / "mosquitto.log");
  if (!eventually([this] { return port_answers(port_); })) {
    std::fprintf(stderr, "mosquitto does not answer on port %u, see %s\n", port_, directory_.c_str());
    std::abort();
  }
}

void Broker::kill() { process_.reset(); }
bool Broker::running() { return process_ && process_->running(); }

}  // namespace millrace::testing
