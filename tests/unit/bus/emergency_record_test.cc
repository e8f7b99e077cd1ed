// SPDX-License-Identifier: Apache-2.0
#include "bus/emergency_record.h"

#include <gtest/gtest.h>

#include <fstream>

#include "bus/file_io.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/small_disk.h"

namespace millrace {
namespace {

using namespace testing;

EmergencyRecord record(const std::string& id, const std::string& machine = "voron-2") {
  EmergencyRecord record;
  record.machine = machine;
  record.command_id = id;
  record.client = "http";
  record.address = "127.0.0.1:4711";
  record.key_id = "k1";
  record.actor = "local";
  record.reason = "smoke, \"really\"\nsmoke";
  record.confirmed = true;
  record.text = "ok";
  record.sent_after_us = 120;
  record.answered_after_us = 2300;
  record.asked_at = noon();
  return record;
}

std::vector<std::string> ids(const EmergencyFile& file) {
  std::vector<std::string> ids;
  for (const EmergencyRecord& each : file.read().value().records) ids.push_back(each.command_id);
  return ids;
}

TEST(EmergencyRecordTest, ALineIsReadAsItWasWritten) {
  EXPECT_EQ(decode_emergency_record(encode(record("a"))).value(), record("a"));
  EmergencyRecord unknown = record("b");
  unknown.confirmed = false;
  unknown.sent_after_us.reset();
  unknown.answered_after_us.reset();
  EXPECT_EQ(decode_emergency_record(encode(unknown)).value(), unknown);
  EXPECT_EQ(encode(record("a")).find('\n'), std::string::npos);
}

TEST(EmergencyRecordTest, NonsenseIsRefused) {
  for (const char* bad :
       {"", "{}", "nonsense", R"({"machine":"NO","command_id":"a","asked_at":"2026-11-21T12:00:00Z"})",
        R"({"machine":"m","command_id":"","asked_at":"2026-11-21T12:00:00Z"})",
        R"({"machine":"m","command_id":"a","asked_at":"yesterday"})"}) {
    EXPECT_FALSE(decode_emergency_record(bad)) << bad;
  }
}

TEST(EmergencyRecordTest, TheEventSaysAllOfIt) {
  const EventDraft draft = draft_of(record("a"));
  const auto* stopped = draft.payload.AsEmergencyStopped();
  ASSERT_NE(stopped, nullptr);
  EXPECT_EQ(draft.machine, "voron-2");
  EXPECT_EQ(draft.actor, "local");
  EXPECT_EQ(draft.correlation, "a");
  EXPECT_EQ(draft.observed_at, noon());
  EXPECT_EQ(stopped->sent_after_us, 120);
  EXPECT_TRUE(stopped->confirmed);
}

TEST(EmergencyRecordTest, LongTextsAreCutBetweenCharacters) {
  EmergencyRecord wordy = record("a");
  wordy.reason = std::string(kMaxEmergencyText - 1, 'x') + "\xc3\xa4";
  EXPECT_EQ(decode_emergency_record(encode(wordy)).value().reason, std::string(kMaxEmergencyText - 1, 'x'));
}

TEST(EmergencyFileTest, RecordsComeAndGo) {
  const TemporaryDirectory directory;
  const EmergencyFile file(directory / "stops.jsonl");
  EXPECT_TRUE(ids(file).empty());
  ASSERT_TRUE(file.append(record("a")));
  ASSERT_TRUE(file.append(record("b")));
  EXPECT_EQ(ids(file), (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(file.remove({"a"}));
  EXPECT_EQ(ids(file), (std::vector<std::string>{"b"}));
  ASSERT_TRUE(file.remove({"b", "stranger"}));
  EXPECT_EQ(std::filesystem::file_size(directory / "stops.jsonl"), 0u);
}

TEST(EmergencyFileTest, ALineThatWasCutOffCostsNoOther) {
  const TemporaryDirectory directory;
  const EmergencyFile file(directory / "stops.jsonl");
  ASSERT_TRUE(file.append(record("a")));
  std::ofstream(directory / "stops.jsonl", std::ios::app) << encode(record("torn")).substr(0, 40);
  ASSERT_TRUE(file.append(record("b")));
  EXPECT_EQ(ids(file), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(file.read().value().unreadable, 1u);
}

TEST(EmergencyFileTest, AFullDiskTakesThemAllTheSame) {
  const TemporaryDirectory directory;
  SmallDisk disk(directory / "disk", 4);
  MILLRACE_NEEDS_MOUNTED(disk);
  const EmergencyFile file(disk.path() / "stops.jsonl");
  file.reserve();
  { std::ofstream lock(disk.path() / "stops.jsonl.lock"); }
  disk.fill_up_to(0);
  ASSERT_FALSE(write_file_durably(disk.path() / "other", std::string(8192, 'x'))) << "it is really full";
  for (int i = 0; i < 200; ++i) {
    const auto kept = file.append(record("stop-" + std::to_string(i)));
    ASSERT_TRUE(kept) << i << ": " << kept.error().message();
  }
  EXPECT_EQ(ids(file).size(), 200u);
}

}  // namespace
}  // namespace millrace
