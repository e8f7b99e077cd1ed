// SPDX-License-Identifier: Apache-2.0
#include "projections/command_history.h"

#include "tests/unit/projections/shop.h"

namespace millrace {
namespace {

template <class PayloadT>
PayloadT of(const std::string& id, const std::string& command = "pause") {
  PayloadT event;
  event.command_id = id;
  event.command = command;
  return event;
}

class CommandHistoryTest : public ::testing::Test {
 protected:
  template <class PayloadT>
  void say(PayloadT payload, const std::string& machine = "voron-2", const std::string& actor = "Anna") {
    EventDraft draft = draft_of(std::move(payload), machine, from_unix_us(shop.now_us));
    draft.actor = actor;
    shop.append({std::move(draft)});
  }
  void request(const std::string& id, const std::string& machine = "voron-2", const std::string& key = "",
               const std::string& command = "pause") {
    auto event = of<schema::CommandRequestedT>(id, command);
    event.args = "{}";
    event.client = "http";
    event.expires_in_s = 5;
    event.idempotency_key = key;
    say(std::move(event), machine);
  }
  void fold() {
    const auto projection = make_command_history();
    for (const RecordedEvent& event : shop.events()) {
      if (event.position <= folded) continue;
      folded = event.position;
      const auto reader = store->reader();
      ViewBatch batch(*reader, std::string(kCommandsView));
      ChangedKeys changed;
      projection->apply(event, batch, changed);
      std::vector<ViewWrite> writes;
      for (const auto& [key, value] : batch.changes()) writes.push_back({batch.view(), key, value});
      ASSERT_TRUE(store->commit(writes));
    }
  }
  schema::CommandViewT command(const std::string& id) {
    fold();
    return find_command(*store->reader(), id).value().value_or(schema::CommandViewT{});
  }
  std::vector<std::string> listed(const std::string& machine, uint64_t after = 0, size_t limit = 100) {
    fold();
    const auto page = list_commands(*store->reader(), machine, after, limit, [](const auto&) { return true; }).value();
    next_after = page.next_after;
    std::vector<std::string> ids;
    for (const auto& one : page.items) ids.push_back(one.id);
    return ids;
  }

  Shop shop;
  Position folded;
  uint64_t next_after = 0;
  std::unique_ptr<ViewStore> store = make_memory_view_store({std::string(kCommandsView)});
};

TEST_F(CommandHistoryTest, FollowsACommandToItsEnd) {
  request("c1");
  EXPECT_EQ(command("c1").status, "requested");
  EXPECT_EQ(command("c1").actor, "Anna");
  say(of<schema::CommandAcceptedT>("c1"));
  EXPECT_EQ(command("c1").status, "accepted");
  auto sent = of<schema::CommandSentT>("c1");
  sent.method = "printer.print.pause";
  say(std::move(sent));
  EXPECT_EQ(command("c1").status, "sent");
  auto done = of<schema::CommandCompletedT>("c1");
  done.text = "ok";
  say(std::move(done));
  const auto ended = command("c1");
  EXPECT_EQ(ended.status, "completed");
  EXPECT_EQ(ended.method, "printer.print.pause");
  EXPECT_EQ(ended.text, "ok");
  EXPECT_LT(ended.requested_us, ended.accepted_us);
  EXPECT_LT(ended.accepted_us, ended.sent_us);
  EXPECT_LT(ended.sent_us, ended.ended_us);
}

TEST_F(CommandHistoryTest, KeepsEveryReasonOfARejection) {
  request("c1");
  auto rejected = of<schema::CommandRejectedT>("c1");
  for (const char* rule : {"not_homed", "out_of_bounds"}) {
    rejected.reasons.push_back(std::make_unique<schema::RefusalT>());
    rejected.reasons.back()->rule = rule;
    rejected.reasons.back()->detail = "because";
  }
  say(std::move(rejected));
  const auto ended = command("c1");
  EXPECT_EQ(ended.status, "rejected");
  ASSERT_EQ(ended.reasons.size(), 2u);
  EXPECT_EQ(ended.reasons[1]->rule, "out_of_bounds");
}

TEST_F(CommandHistoryTest, WhatTheMachineTellsWinsOverWhatAWitnessSupposed) {
  request("c1");
  say(of<schema::CommandExpiredT>("c1"));
  EXPECT_EQ(command("c1").status, "expired");
  say(of<schema::CommandCompletedT>("c1"));
  EXPECT_EQ(command("c1").status, "completed");
  say(of<schema::CommandExpiredT>("c1"));
  EXPECT_EQ(command("c1").status, "completed");
  say(of<schema::CommandFailedT>("c1"));
  EXPECT_EQ(command("c1").status, "completed") << "the first end that is known stays";
}

TEST_F(CommandHistoryTest, ARepeatedRequestIsFoundByMachineActorAndKey) {
  request("c1", "voron-2", "k");
  fold();
  const auto reader = store->reader();
  EXPECT_EQ(find_repeated_command(*reader, "voron-2", "Anna", "k").value()->id, "c1");
  EXPECT_FALSE(find_repeated_command(*reader, "voron-2", "Bert", "k").value());
  EXPECT_FALSE(find_repeated_command(*reader, "ender-3", "Anna", "k").value());
  EXPECT_FALSE(find_repeated_command(*reader, "voron-2", "Anna", "K").value());
}

TEST_F(CommandHistoryTest, ListsNewestFirstInPages) {
  for (int i = 1; i <= 5; ++i) request("c" + std::to_string(i), i % 2 == 0 ? "ender-3" : "voron-2");
  EXPECT_EQ(listed(""), (std::vector<std::string>{"c5", "c4", "c3", "c2", "c1"}));
  EXPECT_EQ(listed("voron-2"), (std::vector<std::string>{"c5", "c3", "c1"}));
  EXPECT_EQ(listed("", 0, 2), (std::vector<std::string>{"c5", "c4"}));
  ASSERT_NE(next_after, 0u);
  EXPECT_EQ(listed("", next_after, 3), (std::vector<std::string>{"c3", "c2", "c1"}));
  EXPECT_EQ(next_after, 0u);
}

TEST_F(CommandHistoryTest, EventsThatNameNothingUsableChangeNothing) {
  request("");
  request(std::string(65, 'x'));
  say(of<schema::CommandAcceptedT>(""));
  EXPECT_TRUE(listed("").empty());
}

}  // namespace
}  // namespace millrace
