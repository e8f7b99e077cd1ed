// SPDX-License-Identifier: Apache-2.0
// The broker as another host: in a network namespace of its own, behind a cable that is pulled and answers that get
// lost.  Needs root and iproute2; skipped where the machine does not permit it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>

#include "tests/component/line/line.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/log_checks.h"

namespace millrace {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kPatience{90};

// Two hosts and a cable between them; gone with this object.
class TwoHosts {
 public:
  explicit TwoHosts(std::filesystem::path output) : output_(std::move(output)) {
    made_ = ip({"netns", "add", name_}) && ip({"link", "add", near_, "type", "veth", "peer", "name", far_}) &&
            ip({"link", "set", far_, "netns", name_}) && ip({"addr", "add", near_address() + "/30", "dev", near_}) &&
            ip({"link", "set", near_, "up"}) && there({"addr", "add", far_address() + "/30", "dev", far_}) &&
            there({"link", "set", far_, "up"}) && there({"link", "set", "lo", "up"});
  }
  ~TwoHosts() {
    ip({"link", "del", near_});
    ip({"netns", "del", name_});
  }

  bool made() const { return made_; }
  BrokerPlace far_place() const { return {far_address(), {"ip", "netns", "exec", name_}}; }
  void pull_cable() { ASSERT_TRUE(there({"link", "set", far_, "down"})); }
  void plug_cable() { ASSERT_TRUE(there({"link", "set", far_, "up"})); }
  // What the far host sends goes nowhere; it still receives.
  void lose_answers() { ASSERT_TRUE(there({"route", "add", "blackhole", near_address() + "/32"})); }
  void let_answers_through() { ASSERT_TRUE(there({"route", "del", "blackhole", near_address() + "/32"})); }

 private:
  bool ip(std::vector<std::string> words) {
    words.insert(words.begin(), "ip");
    auto process = ChildProcess::start(words, output_);
    return process && process->wait() == 0;
  }
  bool there(std::vector<std::string> words) {
    words.insert(words.begin(), {"-n", name_});
    return ip(std::move(words));
  }
  std::string near_address() const { return network_ + ".1"; }
  std::string far_address() const { return network_ + ".2"; }

  const std::filesystem::path output_;
  const std::string name_ = "millrace-" + std::to_string(::getpid());
  const std::string near_ = "mrn" + std::to_string(::getpid() % 1'000'000);
  const std::string far_ = "mrf" + std::to_string(::getpid() % 1'000'000);
  const std::string network_ = "10.213." + std::to_string(::getpid() % 256);
  bool made_ = false;
};

class NetworkNamespaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!hosts_.made()) {
      GTEST_SKIP() << "NO NETWORK NAMESPACES HERE (root and iproute2 are needed): cables are not pulled";
    }
    broker_.emplace(directory_ / "broker", false, hosts_.far_place());
    broker_->start();
    hub_.emplace(directory_ / "log", broker_->url());
    for (const char* name : {"a", "b"}) {
      producers_.push_back(std::make_unique<LineProducer>(name, directory_ / name, broker_->url()));
    }
    emit(500);
    ASSERT_TRUE(all_confirmed());
  }

  void emit(uint64_t events_each) {
    for (const auto& producer : producers_) producer->emit(events_each);
    emitted_each_ += events_each;
  }
  // Load in small portions for so long.
  void work_for(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      emit(40);
      std::this_thread::sleep_for(60ms);  // the pace of the load
    }
  }
  bool all_confirmed() {
    return eventually(
        [&] {
          return std::all_of(producers_.begin(), producers_.end(), [](const auto& p) { return p->unconfirmed() == 0; });
        },
        kPatience);
  }
  void expect_complete() {
    ASSERT_TRUE(all_confirmed());
    check_order(hub_->log());
    EXPECT_EQ(hub_->log().last().value, producers_.size() * (emitted_each_ + 1));
    EXPECT_EQ(count_of(hub_->log(), EventType::EventsDropped), 0u);
  }

  TemporaryDirectory directory_;
  TwoHosts hosts_{directory_ / "ip.log"};
  std::optional<Broker> broker_;
  std::optional<LineHub> hub_;
  std::vector<std::unique_ptr<LineProducer>> producers_;
  uint64_t emitted_each_ = 0;
};

TEST_F(NetworkNamespaceTest, APulledCableLosesNothing) {
  for (int round = 0; round < 2; ++round) {
    hosts_.pull_cable();
    work_for(3000ms);
    hosts_.plug_cable();
    work_for(500ms);
  }
  expect_complete();
}

TEST_F(NetworkNamespaceTest, AnswersThatGetLostLoseNothing) {
  hosts_.lose_answers();
  work_for(3000ms);
  hosts_.let_answers_through();
  expect_complete();
}

}  // namespace
}  // namespace millrace
