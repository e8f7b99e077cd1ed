// SPDX-License-Identifier: Apache-2.0
// What comes as a command by HTTP and is none: answered with what would be right, recorded, and sent to no machine.
#include <fmt/format.h>

#include "access_fixture.h"

namespace millrace::testing {
namespace {

class EdgeCommandsTest : public AccessFixture {
 protected:
  HttpResponse command(const std::string& body, Headers headers = {}) {
    return ask("POST", "/api/v1/machines/voron-2/commands", std::move(headers), body);
  }
  std::vector<schema::CommandRejectedT> rejected() {
    return recorded<schema::CommandRejectedT, schema::CommandRejected>();
  }
};

TEST_F(EdgeCommandsTest, WhatIsNoCommandIsNamedAndRecorded) {
  struct Row {
    std::string body;
    std::string code;
    std::string command;  // in the record
  };
  const std::vector<Row> rows = {
      {R"({"command":"explode"})", "unknown_command", "explode"},
      {R"({"command":"set_temperature","args":{"heater":"extruder","target":NaN}})", "invalid_body", "unreadable"},
      {R"({"command":"move","args":{"x":1e999}})", "invalid_body", "unreadable"},
      {"hello", "invalid_body", "unreadable"},
      {R"({"command":"pause","force":true})", "invalid_field", "pause"},
      {R"({"command":5})", "invalid_field", "unreadable"},
      {R"({"command":"pause","expires_in_s":0})", "invalid_field", "pause"},
      {R"({"command":"set_pin","args":{"pin":"a\nM112","value":1}})", "invalid_args", "set_pin"},
      {R"({"command":"set_fan","args":{"speed":"1"}})", "invalid_args", "set_fan"},
      {R"({"command":"home","args":{"force":true}})", "invalid_args", "home"},
  };
  for (const Row& row : rows) expect(command(row.body), 400, row.code);
  const auto told = rejected();
  ASSERT_EQ(told.size(), rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    SCOPED_TRACE(rows[i].body);
    EXPECT_EQ(told[i].command, rows[i].command);
    ASSERT_EQ(told[i].reasons.size(), 1u);
    EXPECT_EQ(told[i].reasons[0]->rule, rows[i].code);
    EXPECT_FALSE(told[i].reasons[0]->detail.empty());
  }
  const auto asked = recorded<schema::CommandRequestedT, schema::CommandRequested>();
  ASSERT_EQ(asked.size(), rows.size()) << "each was asked for, too";
  EXPECT_EQ(asked[0].command_id, told[0].command_id);
  EXPECT_EQ(asked[0].client, "http");
}

TEST_F(EdgeCommandsTest, AFloodOfNonsenseFillsNoLog) {
  for (int i = 0; i < 20; ++i) expect(command("hello"), 400, "invalid_body");
  EXPECT_EQ(rejected().size(), 3u) << "of each address and code in a minute";
  clock.advance(std::chrono::seconds(61));
  expect(command("hello"), 400, "invalid_body");
  const auto told = rejected();
  ASSERT_EQ(told.size(), 4u);
  EXPECT_NE(told.back().reasons[0]->detail.find("18 such requests"), std::string::npos)
      << told.back().reasons[0]->detail;
}

TEST_F(EdgeCommandsTest, WhoMayNotAskIsToldSoAndNotWhatIsWrong) {
  make_admin();
  const Key reader = make("reader", {"read"});
  expect(command("hello", reader.header()), 403, "scope_missing");
  const Key other = make("other", {"operate"}, {"mk4"});
  expect(command("hello", other.header()), 403, "machine_not_allowed");
  EXPECT_TRUE(rejected().empty());
}

TEST_F(EdgeCommandsTest, AMachineThatIsNotThereIsNotFound) {
  expect(ask("POST", "/api/v1/machines/none/commands", {}, R"({"command":"pause"})"), 404, "machine_not_found");
  EXPECT_TRUE(rejected().empty());
}

}  // namespace
}  // namespace millrace::testing
