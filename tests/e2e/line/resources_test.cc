// SPDX-License-Identifier: Apache-2.0
// The hub as a process whose disk, files or memory run out: it says so, loses nothing that was confirmed, and goes on.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>

#include "net/http_client.h"
#include "tests/support/log_checks.h"
#include "tests/support/shop/shop.h"
#include "tests/support/small_disk.h"
#include "tests/support/view_checks.h"

namespace millrace {
namespace {

using namespace testing;

constexpr uint64_t kMebibyte = 1u << 20;
constexpr uint64_t kMebibytes = 160;

std::string body_of(const Shop& shop, const std::string& path) {
  const auto response = http_request({.url = "http://127.0.0.1:" + std::to_string(shop.http_port) + path});
  return response ? response->body : "";
}

bool grows(Shop& shop, int by = 20) {
  const int before = shop.last_position();
  return eventually([&] { return shop.last_position() >= before + by; }, std::chrono::seconds(60));
}

void end_and_check(Shop& shop) {
  shop.machines.reset();
  shop.adapters->terminate();
  ASSERT_EQ(shop.hub->terminate(), 0);
  SystemClock clock;
  const auto log = open_rocksdb_event_log(shop.data() / "log", clock);
  ASSERT_TRUE(log) << log.error().message();
  check_order(**log);
  EXPECT_EQ(count_of(**log, EventType::EventsDropped), 0u) << "nothing was to be lost";
  check_views(**log, shop.data() / "views");
}

class ResourcesTest : public ::testing::Test {
 protected:
  void start(const std::string& speed = "60") {
    shop_.start_simulator({"--machines", "4", "--behaviour", "mixed", "--speed", speed, "--seed", "5"});
    shop_.start_all();
    ASSERT_TRUE(grows(shop_));
  }
  Shop shop_;
};

class FullDiskTest : public ResourcesTest {
 protected:
  void SetUp() override { MILLRACE_NEEDS_MOUNTED(disk_); }
  SmallDisk disk_{shop_.data(), kMebibytes};
};

TEST_F(FullDiskTest, ReadinessSaysWhyAndTheHubGoesOnWhenThereIsRoom) {
  start();
  disk_.fill_up_to(30 * kMebibyte);  // below the log's reserve of 49, above the outboxes' of 16
  ASSERT_TRUE(eventually([&] { return shop_.status_of("/health/ready") == 503; }));
  EXPECT_NE(body_of(shop_, "/health/ready").find("49.0 MiB are kept in reserve"), std::string::npos)
      << body_of(shop_, "/health/ready");
  EXPECT_EQ(shop_.status_of("/health/live"), 200);
  EXPECT_EQ(shop_.status_of("/api/v1/machines"), 200) << "what is known can still be seen";
  EXPECT_NE(body_of(shop_, "/metrics").find("millrace_log_writable 0"), std::string::npos);
  disk_.make_room();
  ASSERT_TRUE(shop_.wait_ready()) << body_of(shop_, "/health/ready");
  EXPECT_TRUE(grows(shop_));
  EXPECT_NE(body_of(shop_, "/metrics").find("millrace_log_writable 1"), std::string::npos);
  end_and_check(shop_);
}

TEST_F(FullDiskTest, StartOnAFullDiskSaysSoAndTheNextStartGoesOn) {
  start();
  shop_.hub->kill();
  shop_.adapters->kill();
  disk_.fill_up_to(0);
  const auto refused = shop_.run({"run", "--config", shop_.config().string(), "--roles", "hub"});
  EXPECT_EQ(refused.code, 1) << refused.output;
  EXPECT_NE(refused.output.find("No space left on device"), std::string::npos) << refused.output;
  disk_.make_room();
  shop_.start_hub();
  shop_.start_adapters();
  ASSERT_TRUE(shop_.wait_ready());
  EXPECT_TRUE(grows(shop_));
  end_and_check(shop_);
}

// Connections that say nothing, until the hub has no file left for another.
class IdleConnections {
 public:
  IdleConnections(uint16_t port, int count) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < count; ++i) {
      const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (socket < 0) break;
      (void)!::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
      sockets_.push_back(socket);
    }
  }
  ~IdleConnections() {
    for (const int socket : sockets_) ::close(socket);
  }

 private:
  std::vector<int> sockets_;
};

size_t open_files_of(pid_t process) {
  const auto files = std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fd");
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST_F(ResourcesTest, WithoutAFileForAnotherConnectionTheLogGoesOn) {
  start();
  const size_t open = open_files_of(shop_.hub->pid());
  const rlimit few{open + 20, open + 20};
  ASSERT_EQ(::prlimit(shop_.hub->pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  const auto recorded = [&] {
    const auto log = shop_.run({"log", "info", "--json", "--data", shop_.data().string()});
    return json::parse(log.output, nullptr, false).value("last_position", 0);
  };
  {
    const IdleConnections idle(shop_.http_port, 100);
    ASSERT_TRUE(eventually([&] { return shop_.output().find("cannot accept a connection") != std::string::npos; }));
    const int before = recorded();
    EXPECT_TRUE(eventually([&] { return recorded() > before + 20; }, std::chrono::seconds(60)))
        << "events are recorded";
  }
  ASSERT_TRUE(shop_.wait_ready()) << body_of(shop_, "/health/ready");
  EXPECT_TRUE(grows(shop_));
  end_and_check(shop_);
}

TEST_F(ResourcesTest, WithoutMemoryTheHubEndsWithOneLineAndTheNextOneHasEverythingConfirmed) {
  start();
  std::ifstream status("/proc/" + std::to_string(shop_.hub->pid()) + "/statm");
  // Memory that can be written: address space is held in reserve by each thread's heap, so a limit on it may not bite.
  rlim_t pages = 0;
  for (int field = 1; field <= 6; ++field) status >> pages;
  const rlim_t now = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
  const rlimit limit{now, now};
  ASSERT_EQ(::prlimit(shop_.hub->pid(), RLIMIT_DATA, &limit, nullptr), 0);
  const int before = shop_.last_position();
  ASSERT_TRUE(eventually(
      [&] {
        (void)shop_.status_of("/api/v1/jobs?limit=500");
        return !shop_.hub->running();
      },
      std::chrono::seconds(60)))
      << "memory is enough, it seems";
  EXPECT_EQ(shop_.hub->wait(), 1);
  EXPECT_NE(shop_.output().find("millrace: out of memory: the process ends now"), std::string::npos);
  shop_.start_hub();
  ASSERT_TRUE(shop_.wait_ready());
  EXPECT_GE(shop_.last_position(), before);
  EXPECT_TRUE(grows(shop_));
  end_and_check(shop_);
}

TEST_F(ResourcesTest, AStartThatGetsNoThreadEndsWithOneLine) {
  for (const char* limit : {"--as=150000000", "--as=400000000"}) {
    auto hub = ChildProcess::start({"prlimit", limit, Shop::program(), "run", "--config", shop_.config().string()},
                                   shop_.data().parent_path() / "output.log");
    ASSERT_TRUE(hub);
    EXPECT_EQ(hub->wait(), 1) << limit;
  }
  EXPECT_NE(shop_.output().find("millrace: a thread could not be started"), std::string::npos) << shop_.output();
}

}  // namespace
}  // namespace millrace
