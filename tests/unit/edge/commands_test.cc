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
  // Something that another role recorded, seen by the views.
  template <class PayloadT>
  void shop_says(PayloadT payload, const std::string& machine) {
    const WallTime now = clock.wall();
    std::vector<EventDraft> drafts;
    drafts.push_back(draft_of(std::move(payload), machine, now, now));
    drafts.back().actor = kLocalActor;
    const auto position = append(std::move(drafts));
    ASSERT_TRUE(position);
    ASSERT_TRUE(projector->wait_for(*position, std::chrono::seconds(10)));
  }
  template <class Table>
  std::vector<std::string> machines_of() {
    std::lock_guard lock(log_mutex);
    std::vector<std::string> machines;
    for (const RecordedEvent& event : shop.events()) {
      if (event.envelope.template as<Table>()) machines.emplace_back(event.envelope.machine());
    }
    return machines;
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

TEST_F(EdgeCommandsTest, WhatNoMachineCanBeAskedIsRecordedToo) {
  expect(ask("POST", "/api/v1/machines/none/commands", {}, R"({"command":"pause","idempotency_key":"k"})"), 404,
         "machine_not_found");
  expect(ask("POST", "/api/v1/machines/voron-2/commands?wait=soon", {}, R"({"command":"pause"})"), 400,
         "invalid_parameter");
  schema::MachineConfiguredT configured;
  configured.enabled = false;
  shop_says(std::move(configured), "mk4");
  expect(ask("POST", "/api/v1/machines/mk4/commands", {}, R"({"command":"pause"})"), 409, "machine_disabled");
  const auto told = rejected();
  ASSERT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].command, "pause");
  EXPECT_EQ(told[0].reasons[0]->rule, "machine_not_found");
  EXPECT_NE(told[0].reasons[0]->detail.find("none"), std::string::npos) << told[0].reasons[0]->detail;
  EXPECT_EQ(told[1].reasons[0]->rule, "invalid_parameter");
  EXPECT_EQ(told[2].reasons[0]->rule, "machine_disabled");
  EXPECT_EQ(machines_of<schema::CommandRejected>(), (std::vector<std::string>{"", "voron-2", "mk4"}))
      << "an unknown name makes no machine";
}

TEST_F(EdgeCommandsTest, AKeyThatWasUsedForAnotherCommandIsRecordedAndStaysWhatItWas) {
  schema::CommandRequestedT first;
  first.command_id = "c1";
  first.command = "home";
  first.args = "{}";
  first.idempotency_key = "k";
  shop_says(std::move(first), "voron-2");
  for (int i = 0; i < 2; ++i) {
    expect(command(R"({"command":"pause","idempotency_key":"k"})"), 409, "idempotency_key_used");
  }
  const auto told = rejected();
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[1].reasons[0]->rule, "idempotency_key_used");
  EXPECT_NE(told[1].reasons[0]->detail.find("'home'"), std::string::npos) << told[1].reasons[0]->detail;
}

TEST_F(EdgeCommandsTest, ABodyThatIsTooLargeIsRecordedAsDenied) {
  const Key anna = make("Anna", {"read", "operate"});
  const std::string large((1u << 20) + 1, 'x');
  for (int i = 0; i < 5; ++i) expect(command(large, anna.header()), 413, "body_too_large");
  expect(command(large), 413, "body_too_large");
  const auto told = recorded<schema::AccessDeniedT, schema::AccessDenied>();
  ASSERT_EQ(told.size(), 4u) << "three of a code in a minute";
  EXPECT_EQ(told[0].code, "body_too_large");
  EXPECT_EQ(told[0].method, "POST");
  EXPECT_EQ(told[0].path, "/api/v1/machines/voron-2/commands");
  EXPECT_EQ(told[0].key_id, anna.id);
  EXPECT_EQ(told[3].code, "key_missing") << "who may not ask is told apart";
}

TEST_F(EdgeCommandsTest, AChangeOfAMachineThatIsNotThereIsRecordedAsDenied) {
  expect(ask("PUT", "/api/v1/safety/limits/none", {}, R"({"x_max":240})"), 404, "machine_not_found");
  expect(ask("POST", "/api/v1/machines/none/emergency_stop"), 501, "not_served");
  expect(get("/api/v1/machines/none"), 404, "machine_not_found");
  expect(ask("DELETE", "/api/v1/keys/none"), 404, "key_not_found");
  const auto told = recorded<schema::AccessDeniedT, schema::AccessDenied>();
  ASSERT_EQ(told.size(), 1u) << "what is only read is not recorded";
  EXPECT_EQ(told[0].code, "machine_not_found");
  EXPECT_EQ(told[0].method, "PUT");
  EXPECT_EQ(told[0].path, "/api/v1/safety/limits/none");
}

}  // namespace
}  // namespace millrace::testing
