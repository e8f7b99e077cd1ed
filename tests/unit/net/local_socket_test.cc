// SPDX-License-Identifier: Apache-2.0
#include "net/local_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;
using std::chrono::milliseconds;

constexpr milliseconds kPatience{10'000};

class LocalSocketTest : public ::testing::Test {
 protected:
  std::unique_ptr<LocalServer> serve(const std::filesystem::path& path, LocalServerOptions options = {}) {
    auto server = LocalServer::listen(
        path, [](std::string_view request) { return "heard " + std::string(request); }, options);
    EXPECT_TRUE(server) << server.error().message();
    return server ? std::move(*server) : nullptr;
  }

  // A client that says what it is told and no more.
  int connect_raw() {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path_.c_str(), sizeof name.sun_path - 1);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(socket, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    return socket;
  }

  TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_ / "control.sock";
};

TEST_F(LocalSocketTest, AnswersEachRequest) {
  const auto server = serve(path_);
  EXPECT_EQ(ask_locally(path_, "one", kPatience).value(), "heard one");
  EXPECT_EQ(ask_locally(path_, "", kPatience).value(), "heard ");
  const std::string large(60'000, 'x');
  EXPECT_EQ(ask_locally(path_, large, kPatience).value(), "heard " + large);
}

TEST_F(LocalSocketTest, OnlyItsUserMayAsk) {
  const auto server = serve(path_);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(LocalSocketTest, NobodyThereIsUnavailable) {
  EXPECT_EQ(ask_locally(path_, "x", kPatience).error().code, Errc::kUnavailable);
  EXPECT_EQ(ask_locally(directory_ / "none" / "control.sock", "x", kPatience).error().code, Errc::kUnavailable);
  std::ofstream(path_) << "no socket";
  EXPECT_EQ(ask_locally(path_, "x", kPatience).error().code, Errc::kUnavailable);
}

TEST_F(LocalSocketTest, WhatADeadServerLeftIsReplacedAndAnEndedOneLeavesNothing) {
  {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path_.c_str(), sizeof name.sun_path - 1);
    const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(dead, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
    ::close(dead);
  }
  EXPECT_EQ(ask_locally(path_, "x", kPatience).error().code, Errc::kUnavailable);
  auto server = serve(path_);
  EXPECT_TRUE(ask_locally(path_, "x", kPatience));
  server.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(LocalSocketTest, LongPathsWork) {
  const auto deep = directory_ / std::string(120, 'd');
  std::filesystem::create_directories(deep);
  const auto server = serve(deep / "control.sock");
  EXPECT_EQ(ask_locally(deep / "control.sock", "x", kPatience).value(), "heard x");
}

TEST_F(LocalSocketTest, TooLongARequestIsCutOff) {
  const auto server = serve(path_, {.max_request_bytes = 1'000});
  EXPECT_FALSE(ask_locally(path_, std::string(10'000, 'x'), kPatience));
  EXPECT_TRUE(ask_locally(path_, "x", kPatience));
}

TEST_F(LocalSocketTest, SilentClientHoldsUpNobodyAndNoEnd) {
  LocalServerOptions options;
  options.request_timeout = std::chrono::minutes(10);
  auto server = serve(path_, options);
  const int silent = connect_raw();
  EXPECT_EQ(ask_locally(path_, "x", kPatience).value(), "heard x");
  server.reset();  // the test would not end if it waited
  ::close(silent);
}

TEST_F(LocalSocketTest, SilentClientIsLeftWhenItsTimeIsOver) {
  LocalServerOptions options;
  options.request_timeout = milliseconds(20);
  options.max_connections = 1;
  const auto server = serve(path_, options);
  const int silent = connect_raw();
  char byte = 0;
  EXPECT_EQ(::recv(silent, &byte, 1, 0), 0) << "the server hung up";
  ::close(silent);
}

TEST_F(LocalSocketTest, MoreConnectionsThanAllowedAreTurnedAway) {
  std::atomic<bool> go{false};
  auto server = LocalServer::listen(path_,
                                    [&](std::string_view) {
                                      go.wait(false);
                                      return std::string("done");
                                    },
                                    {.max_connections = 2})
                    .value();
  std::atomic<int> served{0};
  std::atomic<int> turned_away{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back([&] {
      ask_locally(path_, "x", kPatience) ? ++served : ++turned_away;
      if (turned_away == 3) go = true, go.notify_all();
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(served, 2);
  EXPECT_EQ(turned_away, 3);
}

}  // namespace
}  // namespace millrace
