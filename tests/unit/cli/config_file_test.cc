// SPDX-License-Identifier: Apache-2.0
#include "cli/config_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

constexpr auto kBit = std::chrono::milliseconds(1);

class ConfigFileTest : public ::testing::Test {
 protected:
  ConfigFileTest() {
    write("[site]\nname = \"first\"\n");
    EXPECT_TRUE(file.read());
  }
  void write(const std::string& text) { std::ofstream(path) << text; }
  void append(const std::string& text) { std::ofstream(path, std::ios::app) << text; }
  void replace(const std::string& text) {
    std::ofstream(directory / "new.toml") << text;
    std::filesystem::rename(directory / "new.toml", path);
  }
  auto look() { return file.look(clock.monotonic()); }
  auto look_after(std::chrono::milliseconds time) {
    clock.advance(time);
    return look();
  }
  // What is read once the file has been quiet.
  auto quiet_look() {
    EXPECT_FALSE(look()) << "too early";
    return look_after(ConfigFile::kQuiet);
  }

  TemporaryDirectory directory;
  const std::filesystem::path path = directory / "millrace.toml";
  ManualClock clock;
  ConfigFile file{path, {{"MILLRACE_HTTP_LISTEN", "127.0.0.1:9"}}};
};

TEST_F(ConfigFileTest, AFileThatStaysIsNotReadAgain) {
  EXPECT_FALSE(look());
  EXPECT_FALSE(look_after(std::chrono::hours(1)));
}

TEST_F(ConfigFileTest, AFileWrittenInPlaceIsReadOnceWithTheEnvironmentOfTheStart) {
  write("[site]\nname = \"other\"\n");
  const auto read = quiet_look();
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->site_name, "other");
  EXPECT_EQ((*read)->http_listen, "127.0.0.1:9");
  EXPECT_FALSE(look_after(std::chrono::hours(1)));
}

TEST_F(ConfigFileTest, AFileThatTookItsPlaceIsReadOnce) {
  replace("[site]\nname = \"moved\"\n");
  const auto read = quiet_look();
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->site_name, "moved");
  EXPECT_FALSE(look_after(std::chrono::hours(1)));
}

TEST_F(ConfigFileTest, AFileThatIsStillWrittenIsNotRead) {
  write("[site]\nname = \"hal");
  EXPECT_FALSE(look());
  for (int part = 0; part < 5; ++part) {
    append("f");
    EXPECT_FALSE(look_after(ConfigFile::kQuiet - kBit));
  }
  append("\"\n");
  EXPECT_FALSE(look_after(ConfigFile::kQuiet - kBit));
  const auto read = look_after(ConfigFile::kQuiet);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->site_name, "halfffff");
}

TEST_F(ConfigFileTest, WhatIsWrongIsSaidOnceAndPutRightItIsReadAgain) {
  write("[site]\nname = 1\n");
  const auto wrong = quiet_look();
  ASSERT_TRUE(wrong);
  ASSERT_FALSE(*wrong);
  EXPECT_NE(wrong->error().context.find("site.name"), std::string::npos) << wrong->error().context;
  EXPECT_FALSE(look_after(std::chrono::hours(1)));
  write("[site]\nname = \"right\"\n");
  const auto right = quiet_look();
  ASSERT_TRUE(right && *right);
}

TEST_F(ConfigFileTest, AFileThatIsGoneIsAnErrorAndReadWhenItIsBack) {
  std::filesystem::remove(path);
  const auto gone = quiet_look();
  ASSERT_TRUE(gone);
  EXPECT_FALSE(*gone);
  EXPECT_FALSE(look_after(std::chrono::hours(1)));
  write("");
  EXPECT_TRUE(quiet_look());
}

TEST_F(ConfigFileTest, AFileThatIsGoneForAMomentIsNoError) {
  std::filesystem::remove(path);
  EXPECT_FALSE(look());
  write("[site]\nname = \"back\"\n");
  EXPECT_FALSE(look_after(ConfigFile::kQuiet - kBit));
  const auto read = look_after(ConfigFile::kQuiet);
  ASSERT_TRUE(read && *read);
  EXPECT_EQ((*read)->site_name, "back");
}

TEST_F(ConfigFileTest, ReadingItByRequestDoesNotWaitAndCountsAsRead) {
  write("[site]\nname = \"asked\"\n");
  const auto read = file.read();
  ASSERT_TRUE(read);
  EXPECT_EQ(read->site_name, "asked");
  EXPECT_FALSE(look_after(std::chrono::hours(1)));
}

}  // namespace
}  // namespace millrace
