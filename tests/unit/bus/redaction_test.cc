// SPDX-License-Identifier: Apache-2.0
#include "bus/redaction.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "bus/event_json.h"
#include "tests/support/event_fixtures.h"
#include "tests/support/log_checks.h"

namespace millrace {
namespace {

using namespace testing;

EventDraft job_started(const std::string& id, const std::string& file, const std::string& user) {
  schema::JobStartedT started;
  started.job_id = id;
  started.filename = file;
  started.user = user;
  started.metadata_json = R"({"filename":")" + file + "\"}";
  return draft_of(std::move(started), "m1", noon());
}

TEST(Redacted, AJobsNamesGoAndItsIdAndNumbersStay) {
  const Envelope before = event({"m1", 1, 7}, job_started("m1.5", "secret_part.gcode", "jane"));
  const auto after = redacted(before, {.job_id = "m1.5"});
  ASSERT_TRUE(after);
  const auto* started = after->as<schema::JobStarted>();
  EXPECT_EQ(text(started->job_id()), "m1.5");
  EXPECT_EQ(text(started->filename()), std::string(17, '*'));
  EXPECT_EQ(text(started->user()), "****");
  EXPECT_TRUE(text(started->metadata_json()).starts_with("{} "));
  EXPECT_EQ(after->order(), before.order());
  EXPECT_EQ(after->bytes().size(), before.bytes().size());
  EXPECT_TRUE(Envelope::verify(after->bytes()));
  EXPECT_FALSE(redacted(before, {.job_id = "m1.6"}));
}

TEST(Redacted, WhatPeopleAndSlicersSaidOfAJobGoesToo) {
  schema::JobAnnotatedT annotated;
  annotated.job_id = "m1.5";
  annotated.notes = "for Jane Doe";
  annotated.title = "Jane's vase";
  annotated.tags = {"jane", "gift"};
  annotated.link = "https://example.org/jane";
  const auto said = redacted(event({"hub", 1, 1}, draft_of(std::move(annotated), "m1", noon())), {.job_id = "m1.5"});
  ASSERT_TRUE(said);
  EXPECT_EQ(event_to_json({Position{1}, noon(), *said}).find("ane"), std::string::npos);
  schema::JobMetadataReadT read;
  read.job_id = "m1.5";
  read.objects = {"jane_head", "jane_body"};
  read.settings_json = R"({"notes":"jane"})";
  read.slicer_name = "OrcaSlicer";
  const auto metadata = redacted(event({"m1", 1, 1}, draft_of(std::move(read), "m1", noon())), {.job_id = "m1.5"});
  ASSERT_TRUE(metadata);
  const std::string json = event_to_json({Position{1}, noon(), *metadata});
  EXPECT_EQ(json.find("jane"), std::string::npos) << json;
  EXPECT_NE(json.find("OrcaSlicer"), std::string::npos) << json;
  schema::JobPhotoAddedT photo;
  photo.job_id = "m1.5";
  photo.caption = "Jane with it";
  EXPECT_TRUE(redacted(event({"hub", 1, 2}, draft_of(std::move(photo), "m1", noon())), {.job_id = "m1.5"}));
}

TEST(Redacted, WhatIsErasedAlreadyIsNotErasedAgain) {
  const auto once = redacted(event({"m1", 1, 7}, job_started("m1.5", "secret.gcode", "jane")), {.job_id = "m1.5"});
  ASSERT_TRUE(once);
  EXPECT_FALSE(redacted(*once, {.job_id = "m1.5"}));
}

TEST(Redacted, ATextGoesAlsoWhereJsonEscapesIt) {
  for (const char* written :
       {R"(Zo\u00eb \"X\" \ud83d\ude00)", R"(Zo\u00EB \"X\" \uD83D\uDE00)", R"(Zoë \"X\" 😀)", R"(Zoë "X" 😀)"}) {
    schema::JobStartedT started;
    started.job_id = "m1.5";
    started.metadata_json = std::string("{\"owner\":\"") + written + "\"}";
    const auto after =
        redacted(event({"m1", 1, 7}, draft_of(std::move(started), "m1", noon())), {.text = R"(Zoë "X" 😀)"});
    ASSERT_TRUE(after) << written;
    EXPECT_EQ(text(after->as<schema::JobStarted>()->metadata_json()).find("Zo"), std::string::npos) << written;
  }
}

TEST(Redacted, ATextGoesWhereverItStandsAndNothingElse) {
  schema::MachineStateChangedT changed;
  changed.text = "Jane Doe pressed stop; call Jane Doe";
  EventDraft draft = draft_of(std::move(changed), "m1", noon());
  draft.actor = "Jane Doe";
  const auto after = redacted(event({"m1", 1, 1}, std::move(draft)), {.text = "Jane Doe"});
  ASSERT_TRUE(after);
  EXPECT_EQ(text(after->as<schema::MachineStateChanged>()->text()), "******** pressed stop; call ********");
  EXPECT_EQ(text(after->table().actor()), "********");
  EXPECT_EQ(after->machine(), "m1");
  EXPECT_FALSE(redacted(telemetry("m1", 1, 1), {.text = "extruder"})) << "telemetry goes by itself";
}

class RedactionTest : public ::testing::Test {
 protected:
  std::unique_ptr<EventLog> open() { return open_rocksdb_event_log(directory_ / "log", clock_).value(); }
  void append(EventLog& log, std::vector<Envelope> events) { ASSERT_TRUE(log.append({events, {}, noon()})); }
  // Small groups are stored as they are, so their texts can be found in the files.
  bool on_disk(const std::string& wanted) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory_ / "log")) {
      if (!file.is_regular_file()) continue;
      std::stringstream content;
      content << std::ifstream(file.path(), std::ios::binary).rdbuf();
      if (content.str().find(wanted) == std::string::npos) continue;
      found_in_ = file.path().filename();
      return true;
    }
    return false;
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  std::string found_in_;
};

TEST_F(RedactionTest, NamesAreGoneFromLogAndDiskAndEverythingElseIsThere) {
  std::vector<std::string> before;
  {
    const auto log = open();
    append(*log, {event({"m1", 1, 1}, job_started("m1.5", "secret_part.gcode", "jane")), telemetry("m1", 1, 2)});
    for (uint64_t s = 3; s < 600; ++s) append(*log, {fact("m1", 1, s)});
    append(*log, {event({"m1", 1, 600}, job_started("m1.9", "other.gcode", "jane"))});
    for (const auto& e : log->read({}, {.events = 10'000}, {}).value().events) before.push_back(event_to_json(e));
    ASSERT_TRUE(on_disk("secret_part.gcode"));
    const auto changed = find_redactions(*log, {.job_id = "m1.5"}).value();
    ASSERT_EQ(changed.size(), 1u);
    const Position told = redact(*log, changed, "job", "asked for", clock_).value();
    EXPECT_EQ(told, log->last());
  }
  EXPECT_FALSE(on_disk("secret_part.gcode")) << found_in_;
  const auto log = open();
  EXPECT_EQ(log->replaced_at(), log->last());
  const auto after = log->read({}, {.events = 10'000}, {}).value().events;
  ASSERT_EQ(after.size(), before.size() + 1);
  EXPECT_EQ(text(after[0].envelope.as<schema::JobStarted>()->user()), "****");
  for (size_t i = 1; i < before.size(); ++i) EXPECT_EQ(event_to_json(after[i]), before[i]);
  const auto* told = after.back().envelope.as<schema::FactsRedacted>();
  ASSERT_NE(told, nullptr);
  ASSERT_EQ(told->groups()->size(), 1u);
  EXPECT_EQ(told->groups()->Get(0)->first(), 1u);
  EXPECT_EQ(told->groups()->Get(0)->before()->size(), 32u);
  EXPECT_NE(told->groups()->Get(0)->before()->Get(0), told->groups()->Get(0)->after()->Get(0));
  check_order(*log);
}

TEST_F(RedactionTest, ATextInManyGroupsIsReplacedInSeveralCommits) {
  const auto log = open();
  for (uint64_t s = 1; s <= 350; ++s) {
    append(*log, {event({"m1", 1, s}, job_started("m1." + std::to_string(s), "part.gcode", "Jane Doe"))});
  }
  const auto changed = find_redactions(*log, {.text = "Jane Doe"}).value();
  EXPECT_EQ(changed.size(), 350u);
  ASSERT_TRUE(redact(*log, changed, "text", "", clock_));
  EXPECT_EQ(count_of(*log, EventType::FactsRedacted), 4u);
  EXPECT_TRUE(find_redactions(*log, {.text = "Jane Doe"}).value().empty());
  EXPECT_EQ(log->mark("hub"), (EventOrder{log->incarnation_number(), 4}));
}

TEST_F(RedactionTest, RulesThatNameNothingAndPositionsWithoutAFactAreRefused) {
  const auto log = open();
  append(*log, {fact("m1", 1, 1), telemetry("m1", 1, 2)});
  EXPECT_EQ(find_redactions(*log, {}).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(find_redactions(*log, {.text = "e"}).error().code, Errc::kInvalidArgument);
  const std::vector<RecordedEvent> sample{{Position{2}, noon(), telemetry("m1", 1, 2)}};
  EXPECT_EQ(redact(*log, sample, "text", "", clock_).error().code, Errc::kNotFound);
  EXPECT_EQ(redact(*make_memory_event_log(), sample, "text", "", clock_).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(log->last(), Position{2});
}

}  // namespace
}  // namespace millrace
