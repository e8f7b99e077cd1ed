// SPDX-License-Identifier: Apache-2.0
#include "bus/child_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include "bus/file_io.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/process.h"

namespace millrace {
namespace {

using testing::eventually;

class ChildProcessTest : public ::testing::Test {
 protected:
  ChildProcess start(const std::string& script, const std::map<std::string, std::string>& environment = {}) {
    return ChildProcess::start({"sh", "-c", script}, directory_ / "out", environment).value();
  }
  std::string output() {
    auto text = read_file(directory_ / "out");
    return text ? *text : "";
  }

  testing::TemporaryDirectory directory_;
};

TEST_F(ChildProcessTest, GivesItsExitStatusAndBothOutputs) {
  auto child = start("echo $WORD; echo problem >&2; exit 3", {{"WORD", "a b"}});
  EXPECT_EQ(child.wait(), 3);
  EXPECT_EQ(output(), "a b\nproblem\n");
  EXPECT_EQ(child.wait(), 3);  // asked again
  EXPECT_FALSE(child.running());
}

TEST_F(ChildProcessTest, OutputIsAppended) {
  start("echo one").wait();
  start("echo two").wait();
  EXPECT_EQ(output(), "one\ntwo\n");
}

TEST_F(ChildProcessTest, UnknownProgramEndsWith127) {
  EXPECT_EQ(ChildProcess::start({"there-is-no-such-program"}, directory_ / "out")->wait(), 127);
}

TEST_F(ChildProcessTest, SignalledChildSaysSo) {
  auto child = start("exec sleep 60");
  EXPECT_TRUE(child.running());
  EXPECT_EQ(child.terminate(), 128 + SIGTERM);
  auto another = start("exec sleep 60");
  another.kill();
  EXPECT_EQ(another.wait(), 128 + SIGKILL);
}

TEST_F(ChildProcessTest, MayEndItselfWhenAsked) {
  auto child = start("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(eventually([this] { return output() == "ready\n"; }));
  EXPECT_EQ(child.terminate(), 7);
}

TEST_F(ChildProcessTest, EndsWithItsOwner) {
  pid_t pid = 0;
  {
    const auto child = start("exec sleep 60");
    pid = child.pid();
    ASSERT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST_F(ChildProcessTest, MovedChildHasOneOwner) {
  auto first = start("exec sleep 60");
  const pid_t pid = first.pid();
  auto second = start("exec sleep 60");
  second = std::move(first);
  EXPECT_EQ(second.pid(), pid);
  EXPECT_TRUE(second.running());
}

TEST(LoopbackPort, FreeOneDoesNotAnswer) {
  const uint16_t port = free_loopback_port();
  EXPECT_NE(port, 0);
  EXPECT_FALSE(loopback_port_answers(port));
}

}  // namespace
}  // namespace millrace
