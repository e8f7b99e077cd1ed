// SPDX-License-Identifier: Apache-2.0
// What a repair saves, what it says is lost, and that the two are all there was.
#include "bus/log_repair.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "bus/log_verifier.h"
#include "tests/support/log_folder.h"

namespace millrace {
namespace {

using namespace testing;

struct Hurt {
  const char* name;
  const char* files;
  Damage kind;
  uint64_t seeds;
  uint64_t most_lost;  // positions
};

constexpr uint64_t kAny = ~uint64_t{0};
constexpr uint64_t kOneGroup = 40;

class LogRepair : public ::testing::TestWithParam<Hurt> {
 protected:
  static void SetUpTestSuite() {
    whole_ = new TemporaryDirectory;
    write_log(whole_->path() / "log");
    events_ = new std::vector<std::string>(read_all(whole_->path() / "log"));
  }
  static void TearDownTestSuite() {
    delete whole_;
    delete events_;
  }

  static std::vector<std::string> read_all(const std::filesystem::path& log) {
    TemporaryDirectory scratch;
    const auto opened = open_rocksdb_event_log_reader(log, scratch.path()).value();
    return events_of(*opened).value();
  }

  static TemporaryDirectory* whole_;
  static std::vector<std::string>* events_;
  ManualClock clock_;
};

TemporaryDirectory* LogRepair::whole_ = nullptr;
std::vector<std::string>* LogRepair::events_ = nullptr;

std::set<uint64_t> positions_of(const std::vector<LostPositions>& lost) {
  std::set<uint64_t> positions;
  for (const auto& range : lost) {
    for (uint64_t p = range.from; p <= range.through; ++p) positions.insert(p);
  }
  return positions;
}

TEST_P(LogRepair, SavesWhatVerifiesAndNamesTheRest) {
  const char* base = std::getenv("MILLRACE_SEED");
  const uint64_t first = base != nullptr ? std::strtoull(base, nullptr, 10) : 1;
  uint64_t most = 0;
  for (uint64_t seed = first; seed < first + GetParam().seeds; ++seed) {
    TemporaryDirectory copy;
    const auto old = copy / "log";
    std::filesystem::copy(whole_->path() / "log", old, std::filesystem::copy_options::recursive);
    const auto files = files_of(old, GetParam().files);
    ASSERT_FALSE(files.empty());
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + damage(files[seed % files.size()], GetParam().kind, seed));
    const auto report = repair_rocksdb_log(old, copy / "new", clock_);
    ASSERT_TRUE(report) << report.error().message();

    const auto verdict = verify_rocksdb_log(copy / "new").value();
    EXPECT_TRUE(verdict.whole()) << verdict.faults.front().position.value << ": " << verdict.faults.front().what;
    EXPECT_EQ(verdict.lost, report->lost_positions());
    const auto lost = positions_of(report->lost);
    most = std::max<uint64_t>(most, lost.size());
    const auto saved = read_all(copy / "new");
    ASSERT_GE(saved.size(), events_->size());
    uint64_t wrong = 0;
    for (uint64_t p = 1; p <= events_->size(); ++p) {
      const bool told_lost = lost.contains(p);
      wrong += told_lost ? !saved[p - 1].empty() : saved[p - 1] != (*events_)[p - 1];
    }
    EXPECT_EQ(wrong, 0u) << "positions that are neither as they were nor told as lost";
    EXPECT_TRUE(lost.empty() || *lost.rbegin() <= events_->size());
  }
  EXPECT_LE(most, GetParam().most_lost);
  std::printf("seeds %lu to %lu: at most %lu of %zu positions lost\n", first, first + GetParam().seeds - 1, most,
              events_->size());
}

INSTANTIATE_TEST_SUITE_P(Files, LogRepair,
                         ::testing::Values(Hurt{"SortedFileFlip", ".sst", Damage::kFlip, 12, kOneGroup},
                                           Hurt{"SortedFileCut", ".sst", Damage::kTruncate, 6, kAny},
                                           Hurt{"SortedFileRemoved", ".sst", Damage::kRemove, 6, kAny},
                                           Hurt{"WriteAheadFlip", ".log", Damage::kFlip, 12, kOneGroup},
                                           Hurt{"WriteAheadCut", ".log", Damage::kTruncate, 6, kAny},
                                           Hurt{"WriteAheadRemoved", ".log", Damage::kRemove, 3, kAny},
                                           Hurt{"ManifestFlip", "MANIFEST", Damage::kFlip, 3, 0},
                                           Hurt{"ManifestRemoved", "MANIFEST", Damage::kRemove, 1, 0},
                                           Hurt{"CurrentRemoved", "CURRENT", Damage::kRemove, 1, 0},
                                           Hurt{"OptionsRemoved", "OPTIONS", Damage::kRemove, 1, 0}),
                         [](const auto& info) { return std::string(info.param.name); });

class LogRepairOnce : public ::testing::Test {
 protected:
  ManualClock clock_;
  TemporaryDirectory directory_;
};

TEST_F(LogRepairOnce, NewLogHasANewIncarnationAndSaysWhatHappened) {
  write_log(directory_ / "log", {.commits = 30, .sessions = 1});
  std::filesystem::remove(directory_ / "log" / "CURRENT");
  clock_.advance(std::chrono::hours(1));
  const auto report = repair_rocksdb_log(directory_ / "log", directory_ / "new", clock_).value();
  const auto log = open_rocksdb_event_log(directory_ / "new", clock_).value();
  EXPECT_NE(report.previous_incarnation, log->incarnation());
  EXPECT_EQ(report.incarnation, log->incarnation());
  const auto event = log->at(report.saved_through + 1).value();
  const auto* repaired = event.envelope.as<schema::LogRepaired>();
  ASSERT_NE(repaired, nullptr);
  EXPECT_EQ(text(repaired->previous_incarnation()), report.previous_incarnation);
  EXPECT_EQ(repaired->position(), report.saved_through.value);
  EXPECT_EQ(event.envelope.producer(), kHubProducer);
  EXPECT_EQ(event.envelope.epoch(), log->incarnation_number());
}

TEST_F(LogRepairOnce, KeptChainHoldsForOldAnchors) {
  write_log(directory_ / "log", {.commits = 30, .sessions = 1});
  LogAnchor anchor;
  {
    const auto log = open_rocksdb_event_log(directory_ / "log", clock_).value();
    anchor = anchor_of(log->info().value(), noon()).value();
  }
  std::filesystem::remove(directory_ / "log" / "CURRENT");
  EXPECT_TRUE(repair_rocksdb_log(directory_ / "log", directory_ / "new", clock_).value().chain_kept);
  VerifyOptions options;
  options.anchors = {anchor};
  const auto verdict = verify_rocksdb_log(directory_ / "new", options).value();
  EXPECT_TRUE(verdict.whole()) << verdict.faults.front().what;
  EXPECT_EQ(verdict.notes.size(), 1u);
}

TEST_F(LogRepairOnce, MarksGoBackToWhatWasSavedSoThatProducersSendAgain) {
  write_log(directory_ / "log", {.commits = 20, .sessions = 1});
  const auto files = files_of(directory_ / "log", ".log");
  std::filesystem::resize_file(files.back(), std::filesystem::file_size(files.back()) / 2);
  const auto report = repair_rocksdb_log(directory_ / "log", directory_ / "new", clock_).value();
  ASSERT_FALSE(report.lost.empty());
  const auto log = open_rocksdb_event_log(directory_ / "new", clock_).value();
  std::map<std::string, EventOrder> last;
  const auto read = log->read({}, {.events = 100'000}, {}).value();
  for (const auto& event : read.events) last[std::string(event.envelope.producer())] = event.envelope.order();
  for (const auto& [producer, order] : last) EXPECT_EQ(log->mark(producer), order) << producer;
}

// Without them, what an adapter still holds of a former start would count as known and be lost.
TEST_F(LogRepairOnce, EndsOfFormerEpochsAreRemembered) {
  write_log(directory_ / "log", {.commits = 30, .sessions = 3});
  std::filesystem::remove(directory_ / "log" / "CURRENT");
  ASSERT_TRUE(repair_rocksdb_log(directory_ / "log", directory_ / "new", clock_));
  const auto log = open_rocksdb_event_log(directory_ / "new", clock_).value();
  std::map<std::string, std::map<uint64_t, uint64_t>> ends;
  const auto read = log->read({}, {.events = 100'000}, {}).value();
  for (const auto& event : read.events) {
    if (event.envelope.producer() == kHubProducer) continue;
    ends[std::string(event.envelope.producer())][event.envelope.epoch()] = event.envelope.sequence();
  }
  std::map<std::string, std::map<uint64_t, uint64_t>> remembered;
  const auto info = log->info().value();
  for (const auto* marks : {&info.ended, &info.marks}) {
    for (const ProducerMark& mark : *marks) remembered[mark.producer][mark.order.epoch] = mark.order.sequence;
  }
  remembered.erase(std::string(kHubProducer));
  ASSERT_GE(ends.begin()->second.size(), 2u);
  EXPECT_EQ(remembered, ends);
}

TEST_F(LogRepairOnce, LostPositionsAreNeverGivenAgain) {
  write_log(directory_ / "log", {.commits = 20, .sessions = 1});
  const uint64_t last = verify_rocksdb_log(directory_ / "log").value().last.value;
  for (const auto& file : files_of(directory_ / "log", ".log")) {
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  }
  const auto report = repair_rocksdb_log(directory_ / "log", directory_ / "new", clock_).value();
  EXPECT_LT(report.saved_through.value, last);
  const auto log = open_rocksdb_event_log(directory_ / "new", clock_).value();
  EXPECT_NE(log->at(Position{last + 1}).value().envelope.as<schema::LogRepaired>(), nullptr);
  EXPECT_EQ(log->at(Position{last}).error().code, Errc::kNotFound);
  EXPECT_EQ(log->append({std::vector{fact("m9", 1, 1)}, {}, noon()}).value().first, report.last + 1);
}

TEST_F(LogRepairOnce, TouchesNothingOfTheOldLog) {
  write_log(directory_ / "log", {.commits = 60});
  damage(files_of(directory_ / "log", ".sst").front(), Damage::kFlip, 3);
  const auto listing = [&] {
    std::map<std::string, std::pair<uint64_t, std::filesystem::file_time_type>> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "log")) {
      files[entry.path().filename().string()] = {entry.file_size(), entry.last_write_time()};
    }
    return files;
  };
  const auto before = listing();
  ASSERT_TRUE(repair_rocksdb_log(directory_ / "log", directory_ / "new", clock_));
  EXPECT_EQ(listing(), before);
}

TEST_F(LogRepairOnce, RefusesAnExistingPlaceAndAnEmptyFolder) {
  write_log(directory_ / "log", {.commits = 3, .sessions = 1});
  std::filesystem::create_directories(directory_ / "there");
  std::filesystem::create_directories(directory_ / "empty");
  EXPECT_EQ(repair_rocksdb_log(directory_ / "log", directory_ / "there", clock_).error().code, Errc::kInvalidArgument);
  EXPECT_EQ(repair_rocksdb_log(directory_ / "empty", directory_ / "new", clock_).error().code, Errc::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "new"));
}

TEST_F(LogRepairOnce, TelemetryThatHadExpiredIsNotLost) {
  write_log(directory_ / "log", {.commits = 60, .sessions = 1});
  {
    const auto log = open_rocksdb_event_log(directory_ / "log", clock_).value();
    const Position through = log->append({std::vector{fact("m9", 1, 1)}, {}, noon()}).value().last;
    schema::TelemetryExpiredT expired;
    expired.through = through.value;
    const std::vector<Envelope> events{event({"m9", 1, 2}, draft_of(std::move(expired), "", noon()))};
    const std::vector<ProducerMark> marks{{"m9", {1, 2}}};
    ASSERT_TRUE(log->append({events, marks, noon(), through}));
    ASSERT_TRUE(log->reclaim());
  }
  std::filesystem::remove(directory_ / "log" / "CURRENT");
  const auto report = repair_rocksdb_log(directory_ / "log", directory_ / "new", clock_).value();
  EXPECT_EQ(report.telemetry, 0u);
  EXPECT_GT(report.expired, 100u);
  EXPECT_EQ(report.lost_positions(), 0u);
  const auto verdict = verify_rocksdb_log(directory_ / "new").value();
  EXPECT_TRUE(verdict.whole()) << verdict.faults.front().what;
  EXPECT_EQ(verdict.expired, report.expired);
}

}  // namespace
}  // namespace millrace
