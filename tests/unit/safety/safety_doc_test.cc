// SPDX-License-Identifier: Apache-2.0
// docs/safety.md and docs/commands.md say what the code does.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
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

}  // namespace
}  // namespace millrace
