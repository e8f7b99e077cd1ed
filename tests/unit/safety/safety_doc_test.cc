// SPDX-License-Identifier: Apache-2.0
// docs/safety.md and docs/commands.md say what the code does, docs/security.md which test shows it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "safety/command.h"
#include "safety/guard.h"

namespace millrace {
namespace {

std::string read_doc(const std::string& name) {
  const std::ifstream file(std::string(MILLRACE_SOURCE_DIR) + "/docs/" + name);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string between(const std::string& text, std::string_view begin, std::string_view end) {
  const size_t from = text.find(begin);
  const size_t to = text.find(end, from);
  return from == std::string::npos || to == std::string::npos ? "" : text.substr(from, to - from);
}

TEST(SafetyDocTest, TableOfRulesIsThatOfTheGuard) {
  const std::string told = between(read_doc("safety.md"), "| code | what has to hold |\n|---|---|\n", "\n\n");
  std::string expected = "| code | what has to hold |\n|---|---|";
  for (const Rule& rule : guard_rules()) expected += fmt::format("\n| `{}` | {} |", rule.code, rule.text);
  EXPECT_EQ(told, expected);
}

TEST(SafetyDocTest, EveryCommandAndArgumentStandsInTheTableOfCommands) {
  const std::string told = between(read_doc("commands.md") + "\n\n", "| command | arguments |", "\n\n");
  for (const CommandText& command : command_texts()) {
    EXPECT_THAT(told, ::testing::HasSubstr(fmt::format("`{}`", command.name)));
    for (const ArgumentText& argument : command.arguments) {
      EXPECT_THAT(told, ::testing::HasSubstr(fmt::format("`{}`", argument.name))) << command.name;
    }
  }
}

// "Suite.Name" of every test there is, and "Suite.*".
std::set<std::string> names_of_tests() {
  std::set<std::string> names;
  const std::regex declared(R"(TEST(?:_F|_P)?\((\w+),\s*(\w+)\))");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(MILLRACE_SOURCE_DIR "/tests")) {
    if (entry.path().extension() != ".cc") continue;
    std::ostringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::string source = text.str();
    for (std::sregex_iterator found(source.begin(), source.end(), declared), end; found != end; ++found) {
      names.insert(found->str(1) + "." + found->str(2));
      names.insert(found->str(1) + ".*");
    }
  }
  return names;
}

TEST(SafetyDocTest, EachTestThatStandsBesideAThreatExists) {
  const std::string told = between(read_doc("security.md"), "## Threats", "## What is not protected");
  ASSERT_FALSE(told.empty());
  const auto names = names_of_tests();
  const std::regex named(R"(`([A-Z]\w+\.(?:\w+|\*))`)");
  size_t count = 0;
  for (std::sregex_iterator found(told.begin(), told.end(), named), end; found != end; ++found, ++count) {
    EXPECT_TRUE(names.contains(found->str(1))) << found->str(1);
  }
  EXPECT_GT(count, 50u);
}

}  // namespace
}  // namespace millrace
