// SPDX-License-Identifier: Apache-2.0
#include "bus/machine_secrets.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using testing::TemporaryDirectory;

class MachineSecretsTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  MachineSecrets secrets_{directory_ / "secrets.json"};
};

TEST_F(MachineSecretsTest, KeepsOnePerMachineForItsOwnerOnly) {
  EXPECT_TRUE(secrets_.read("a").value().empty());
  ASSERT_TRUE(secrets_.write("a", {"key-a", "", ""}));
  ASSERT_TRUE(secrets_.write("b", {"", "user", "pass\"word"}));
  EXPECT_EQ(secrets_.read("a").value().api_key, "key-a");
  EXPECT_EQ(MachineSecrets(secrets_.file()).read("b").value().password, "pass\"word");
  const auto mode = std::filesystem::status(secrets_.file()).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(MachineSecretsTest, AnEmptySecretTakesItAway) {
  ASSERT_TRUE(secrets_.write("a", {"key-a", "", ""}));
  ASSERT_TRUE(secrets_.write("a", {}));
  EXPECT_TRUE(secrets_.read("a").value().empty());
}

TEST_F(MachineSecretsTest, AFileThatIsNoneIsNamedAndNotReplaced) {
  std::ofstream(secrets_.file()) << "api_key = canary";
  const auto read = secrets_.read("a");
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().context.find("secrets.json"), std::string::npos);
  EXPECT_EQ(read.error().context.find("canary"), std::string::npos);
  EXPECT_FALSE(secrets_.write("a", {"key", "", ""})) << "what a person wrote there is not thrown away";
}

}  // namespace
}  // namespace millrace
