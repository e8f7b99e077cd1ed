// SPDX-License-Identifier: Apache-2.0
// A log whose files are damaged at seeded places: every damage is found and named, or every event reads back as it was.
#include <gtest/gtest.h>

#include <cstdlib>

#include "bus/log_verifier.h"
#include "tests/support/log_folder.h"

namespace millrace {
namespace {

using namespace testing;

struct Case {
  const char* name;
  const char* files;  // beginning or end of their names
  Damage kind;
  uint64_t seeds;
  bool always_found;  // no place in such a file is harmless
};

// One log for all cases: each works on a copy.
class LogDamage : public ::testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    whole_ = new TemporaryDirectory;
    write_log(whole_->path() / "log");
    ManualClock clock;
    TemporaryDirectory scratch;
    const auto log = open_rocksdb_event_log_reader(whole_->path() / "log", scratch.path()).value();
    events_ = new std::vector<std::string>(events_of(*log).value());
  }
  static void TearDownTestSuite() {
    delete whole_;
    delete events_;
  }

  // A fresh copy, damaged.  False when there is no such file.
  bool damage_a_copy(const Case& param, uint64_t seed) {
    copy_.emplace();
    std::filesystem::copy(whole_->path() / "log", directory(), std::filesystem::copy_options::recursive);
    const auto files = files_of(directory(), param.files);
    if (files.empty()) return false;
    done_ = "seed " + std::to_string(seed) + ": " + damage(files[seed % files.size()], param.kind, seed);
    return true;
  }
  std::filesystem::path directory() const { return copy_->path() / "log"; }

  // Opened as the hub does, either it says what is wrong, or a read does, or everything is there.
  void opened_log_never_differs() {
    ManualClock clock;
    const auto log = open_rocksdb_event_log(directory(), clock);
    if (!log) {
      EXPECT_EQ(log.error().code, Errc::kCorrupt) << done_ << ": " << log.error().message();
      EXPECT_NE(log.error().context.find("log repair"), std::string::npos) << done_ << ": " << log.error().message();
      EXPECT_NE(log.error().context.find(directory().string()), std::string::npos) << log.error().message();
      return;
    }
    const auto found = events_of(**log);
    if (found) {
      EXPECT_TRUE(*found == *events_) << done_ << ": silently different";
    } else {
      EXPECT_NE(found.error().context.find(".sst"), std::string::npos) << done_ << ": " << found.error().message();
    }
  }

  // Read beside whoever may have it open, the same: a file that is gone or cut is no smaller log.
  void read_log_never_differs() {
    TemporaryDirectory scratch;
    const auto log = open_rocksdb_event_log_reader(directory(), scratch.path());
    if (!log) {
      EXPECT_EQ(log.error().code, Errc::kCorrupt) << done_ << ": " << log.error().message();
      return;
    }
    const auto found = events_of(**log);
    if (found) EXPECT_TRUE(*found == *events_) << done_ << ": the reader is silently different";
  }

  static TemporaryDirectory* whole_;
  static std::vector<std::string>* events_;
  std::optional<TemporaryDirectory> copy_;
  std::string done_;
};

TemporaryDirectory* LogDamage::whole_ = nullptr;
std::vector<std::string>* LogDamage::events_ = nullptr;

TEST_P(LogDamage, IsFoundAndNamedOrHarmless) {
  const char* base = std::getenv("MILLRACE_SEED");
  const uint64_t first = base != nullptr ? std::strtoull(base, nullptr, 10) : 1;
  const char* times = std::getenv("MILLRACE_DAMAGE_TIMES");
  const uint64_t seeds = GetParam().seeds * (times != nullptr ? std::strtoull(times, nullptr, 10) : 1);
  uint64_t found = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    ASSERT_TRUE(damage_a_copy(GetParam(), seed));
    SCOPED_TRACE(done_);
    const auto verdict = verify_rocksdb_log(directory());
    ASSERT_TRUE(verdict) << verdict.error().message();
    if (!verdict->whole()) {
      ++found;
      EXPECT_FALSE(verdict->faults.front().what.empty());
    } else {
      EXPECT_FALSE(GetParam().always_found) << "not found";
    }
    read_log_never_differs();
    opened_log_never_differs();
    if (verdict->whole()) {
      ManualClock clock;
      ASSERT_TRUE(open_rocksdb_event_log(directory(), clock)) << "verified whole, but does not open";
    }
  }
  std::printf("seeds %lu to %lu: %lu found, %lu harmless\n", first, first + seeds - 1, found, seeds - found);
}

INSTANTIATE_TEST_SUITE_P(Files, LogDamage,
                         ::testing::Values(Case{"SortedFileFlip", ".sst", Damage::kFlip, 40, true},
                                           Case{"SortedFileCut", ".sst", Damage::kTruncate, 12, true},
                                           Case{"SortedFileRemoved", ".sst", Damage::kRemove, 12, true},
                                           Case{"WriteAheadFlip", ".log", Damage::kFlip, 40, false},
                                           Case{"WriteAheadCut", ".log", Damage::kTruncate, 20, false},
                                           Case{"WriteAheadRemoved", ".log", Damage::kRemove, 3, false},
                                           Case{"ManifestFlip", "MANIFEST", Damage::kFlip, 40, false},
                                           Case{"ManifestCut", "MANIFEST", Damage::kTruncate, 20, false},
                                           Case{"ManifestRemoved", "MANIFEST", Damage::kRemove, 1, true},
                                           Case{"CurrentFlip", "CURRENT", Damage::kFlip, 40, true},
                                           Case{"CurrentCut", "CURRENT", Damage::kTruncate, 6, true},
                                           Case{"CurrentRemoved", "CURRENT", Damage::kRemove, 1, true},
                                           Case{"OptionsFlip", "OPTIONS", Damage::kFlip, 10, false},
                                           Case{"OptionsCut", "OPTIONS", Damage::kTruncate, 4, false},
                                           Case{"OptionsRemoved", "OPTIONS", Damage::kRemove, 2, false},
                                           Case{"NoteFlip", "DURABLE", Damage::kFlip, 10, false},
                                           Case{"NoteRemoved", "DURABLE", Damage::kRemove, 1, false},
                                           Case{"IdentityRemoved", "IDENTITY", Damage::kRemove, 1, false}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(LogThatCannotBeReadTest, IsNotCalledDamaged) {
  TemporaryDirectory directory;
  const auto log = directory / "log";
  write_log(log, {.commits = 3, .sessions = 1});
  std::filesystem::remove(log / "CURRENT");
  std::filesystem::create_directory(log / "CURRENT");  // opens, and gives an error when it is read
  const auto opened = open_rocksdb_event_log(log, SystemClock());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::kIo) << opened.error().message();
  EXPECT_NE(opened.error().context.find((log / "CURRENT").string()), std::string::npos) << opened.error().message();
  EXPECT_EQ(opened.error().context.find("repair"), std::string::npos) << opened.error().message();
}

}  // namespace
}  // namespace millrace
