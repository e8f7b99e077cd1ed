// SPDX-License-Identifier: Apache-2.0
#include "bus/outbox.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

class OutboxTest : public ::testing::Test {
 protected:
  void open(OutboxOptions options = {}) {
    outbox_.reset();
    outbox_ = Outbox::open(directory_ / "m1", options).value();
  }
  void append(uint64_t epoch, uint64_t first, uint64_t last, std::optional<std::string_view> state = std::nullopt) {
    std::vector<Envelope> events;
    for (uint64_t s = first; s <= last; ++s) events.push_back(fact("m1", epoch, s));
    ASSERT_TRUE(outbox_->append(events, state));
  }
  std::vector<uint64_t> sequences(EventOrder after = {}, size_t max_events = 1000, size_t max_bytes = 1 << 20) {
    std::vector<uint64_t> found;
    for (const auto& entry : outbox_->read(after, max_events, max_bytes).value()) found.push_back(entry.order.sequence);
    return found;
  }
  std::filesystem::path last_segment() {
    std::filesystem::path last;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "m1")) {
      if (entry.path().extension() == ".seg") last = std::max(last, entry.path());
    }
    return last;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<Outbox> outbox_;
};

using Sequences = std::vector<uint64_t>;

TEST_F(OutboxTest, KeepsWhatIsNotConfirmedAcrossRestarts) {
  open();
  append(5, 1, 4, "state one");
  ASSERT_TRUE(outbox_->confirm({5, 2}));
  EXPECT_EQ(sequences(), (Sequences{3, 4}));
  open();
  EXPECT_EQ(sequences({5, 2}), (Sequences{3, 4}));  // 1 and 2 may be offered again: the log knows them
  EXPECT_EQ(outbox_->last(), (EventOrder{5, 4}));
  EXPECT_EQ(outbox_->state(), "state one");
}

TEST_F(OutboxTest, GivesBackTheBytesThatWentIn) {
  open();
  const Envelope envelope = fact("m1", 5, 1);
  ASSERT_TRUE(outbox_->append({envelope}, std::nullopt));
  EXPECT_EQ(outbox_->read({}, 1, 100).value()[0].bytes, envelope.bytes());
}

TEST_F(OutboxTest, ReadStopsAtLimitsAndAtTheEndOfAnEpoch) {
  open();
  append(5, 1, 5);
  append(6, 1, 2);
  EXPECT_EQ(sequences({}, 3), (Sequences{1, 2, 3}));
  EXPECT_EQ(sequences({5, 3}), (Sequences{4, 5}));
  EXPECT_EQ(sequences({5, 5}), (Sequences{1, 2}));
  EXPECT_EQ(sequences({}, 10, 1), (Sequences{1}));
  EXPECT_EQ(outbox_->events_after({5, 4}), 3u);
}

TEST_F(OutboxTest, SegmentsGoWhenConfirmed) {
  open({.segment_bytes = 4096});
  for (uint64_t i = 1; i <= 100; ++i) append(5, i, i, "s" + std::to_string(i));
  const uint64_t before = outbox_->size_bytes();
  ASSERT_TRUE(outbox_->confirm({5, 90}));
  EXPECT_LT(outbox_->size_bytes(), before / 2);
  EXPECT_EQ(sequences().front(), 91u);
  open({.segment_bytes = 4096});
  EXPECT_EQ(outbox_->state(), "s100");
  EXPECT_EQ(outbox_->last(), (EventOrder{5, 100}));
  EXPECT_EQ(sequences({5, 90}).size(), 10u);
}

TEST_F(OutboxTest, StateSurvivesWhenEveryEventIsGone) {
  open({.segment_bytes = 2048});
  for (uint64_t i = 1; i <= 60; ++i) append(5, i, i, "the state");
  ASSERT_TRUE(outbox_->confirm({5, 60}));
  open({.segment_bytes = 2048});
  EXPECT_EQ(outbox_->state(), "the state");
  EXPECT_EQ(outbox_->last(), (EventOrder{5, 60}));
}

TEST_F(OutboxTest, FullOutboxTakesNothingAndRecovers) {
  open({.max_bytes = 6000, .segment_bytes = 2048});
  uint64_t sequence = 0;
  while (outbox_->append({fact("m1", 5, sequence + 1)}, std::nullopt)) ++sequence;
  EXPECT_EQ(outbox_->append({fact("m1", 5, sequence + 1)}, std::nullopt).error().code, Errc::kFull);
  EXPECT_EQ(outbox_->last(), (EventOrder{5, sequence}));
  ASSERT_TRUE(outbox_->confirm({5, sequence}));
  EXPECT_TRUE(outbox_->append({fact("m1", 5, sequence + 1)}, std::nullopt));
}

TEST_F(OutboxTest, TornTailIsCutOffAtEveryLength) {
  open();
  append(5, 1, 3);
  const auto path = last_segment();
  const auto whole = std::filesystem::file_size(path);
  append(5, 4, 5, "late");
  const auto longer = std::filesystem::file_size(path);
  for (auto size = longer - 1; size >= whole; size -= 7) {
    std::filesystem::copy_file(path, directory_ / "copy", std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(path, size);
    open();
    EXPECT_EQ(sequences(), (Sequences{1, 2, 3})) << "cut at " << size;
    EXPECT_EQ(outbox_->state(), "");
    append(5, 4, 4);
    EXPECT_EQ(sequences().size(), 4u);
    outbox_.reset();
    std::filesystem::copy_file(directory_ / "copy", path, std::filesystem::copy_options::overwrite_existing);
  }
}

TEST_F(OutboxTest, DamageBeforeTheTailIsReported) {
  open({.segment_bytes = 2048});
  for (uint64_t i = 1; i <= 40; ++i) append(5, i, i);
  outbox_.reset();
  const auto first = directory_ / "m1" / "0000000001.seg";
  std::fstream file(first, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(200);
  file.put('\x5a');
  file.close();
  const auto opened = Outbox::open(directory_ / "m1", {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kCorrupt);
  EXPECT_NE(opened.error().context.find("0000000001.seg"), std::string::npos);
}

TEST_F(OutboxTest, DamageCanBeLeftOutAndCostsTheDamagedRecordAlone) {
  open({.segment_bytes = 2048});
  for (uint64_t i = 1; i <= 40; ++i) append(5, i, i, "state " + std::to_string(i));
  outbox_.reset();
  const auto first = directory_ / "m1" / "0000000001.seg";
  std::fstream(first, std::ios::in | std::ios::out | std::ios::binary).seekp(400).put('\x5a');
  outbox_ = Outbox::open(directory_ / "m1", {.segment_bytes = 2048}, Outbox::Damage::kLeftOut).value();
  EXPECT_EQ(outbox_->last(), (EventOrder{5, 40}));
  EXPECT_EQ(outbox_->state(), "state 40");
  ASSERT_EQ(outbox_->size_events(), 39u);
  const auto before = sequences();
  ASSERT_FALSE(before.empty());
  const uint64_t missing = before.back() + 1;
  EXPECT_LT(missing, 40u) << "a batch ends before the hole, because its events are numbered by their place";
  EXPECT_EQ(sequences({5, missing}).front(), missing + 1);
  append(5, 41, 41);
  ASSERT_TRUE(outbox_->confirm({5, 41}));
  EXPECT_FALSE(std::filesystem::exists(first)) << "the damaged segment goes like any other";
}

TEST_F(OutboxTest, DamageBeforeWholeRecordsOfTheLastSegmentIsNoTornTail) {
  open();
  for (uint64_t i = 1; i <= 10; ++i) append(5, i, i);
  outbox_.reset();
  const auto segment = last_segment();
  const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(segment) / 2);
  std::fstream(segment, std::ios::in | std::ios::out | std::ios::binary).seekp(middle).put('\x5a');
  EXPECT_EQ(Outbox::open(directory_ / "m1", {}).error().code, Errc::kCorrupt) << "nothing is cut off";
  outbox_ = Outbox::open(directory_ / "m1", {}, Outbox::Damage::kLeftOut).value();
  EXPECT_EQ(outbox_->last(), (EventOrder{5, 10}));
  EXPECT_EQ(outbox_->size_events(), 9u);
  append(5, 11, 11);
  EXPECT_NE(last_segment(), segment);
}

TEST_F(OutboxTest, EpochRisesEvenWhenTheClockGoesBack) {
  open();
  const uint64_t first = outbox_->open_epoch(noon()).value();
  EXPECT_EQ(first, static_cast<uint64_t>(kNoonUs / 1000));
  open();
  EXPECT_EQ(outbox_->open_epoch(noon(-3'600'000'000)).value(), first + 1);
}

TEST_F(OutboxTest, EpochIsAboveWhatARestoredOutboxHolds) {
  open();
  append(9'000'000'000'000, 1, 1);
  EXPECT_EQ(outbox_->open_epoch(noon()).value(), 9'000'000'000'001u);
}

}  // namespace
}  // namespace millrace
