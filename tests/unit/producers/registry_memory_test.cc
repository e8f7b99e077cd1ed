// SPDX-License-Identifier: Apache-2.0
#include "producers/registry_memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bus/ids.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

class RegistryMemoryTest : public ::testing::Test {
 protected:
  static std::string said(const std::string& url) {
    MachineConnection connection;
    connection.moonraker_url = url;
    connection.managed_by = "api";
    return encode(connection);
  }
  static std::string list(const std::vector<std::string>& ids) { return encode_machine_list(ids); }
  std::string known(const RegistryMemory& memory) {
    std::string text;
    for (const auto& [id, connection] : memory.machines()) text += id + "=" + connection.moonraker_url + " ";
    return text;
  }

  testing::TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_ / "adapters/registry.json";
  RegistryMemory memory_{file_};
};

TEST_F(RegistryMemoryTest, EveryOrderOfMessagesEndsTheSame) {
  std::vector<std::pair<std::string, std::string>> messages = {
      {"a", said("http://a")}, {"gone", said("http://gone")}, {std::string(kHubProducer), list({"a"})}};
  std::sort(messages.begin(), messages.end());
  do {
    RegistryMemory memory(directory_ / "none.json");
    for (const auto& [level, payload] : messages) ASSERT_TRUE(memory.take(level, payload));
    EXPECT_EQ(known(memory), "a=http://a ");
  } while (std::next_permutation(messages.begin(), messages.end()));
}

TEST_F(RegistryMemoryTest, IsKeptOverARestart) {
  ASSERT_TRUE(memory_.take("a", said("http://a")));
  ASSERT_TRUE(memory_.take("b", said("http://b")));
  ASSERT_TRUE(memory_.take(std::string(kHubProducer), list({"a", "b"})));
  ASSERT_TRUE(memory_.take("b", ""));
  ASSERT_TRUE(memory_.store());
  EXPECT_EQ(known(RegistryMemory(file_)), "a=http://a ");
  EXPECT_TRUE(RegistryMemory(file_).knows_list());
}

TEST_F(RegistryMemoryTest, NonsenseChangesNothingAndADamagedFileIsBegunAnew) {
  ASSERT_TRUE(memory_.take("a", said("http://a")));
  ASSERT_TRUE(memory_.take(std::string(kHubProducer), list({"a"})));
  EXPECT_FALSE(memory_.take("a", "nonsense"));
  EXPECT_FALSE(memory_.take(std::string(kHubProducer), "nonsense"));
  EXPECT_EQ(known(memory_), "a=http://a ");
  ASSERT_TRUE(memory_.store());
  std::ofstream(file_) << "{";
  EXPECT_EQ(known(RegistryMemory(file_)), "");
}

}  // namespace
}  // namespace millrace
