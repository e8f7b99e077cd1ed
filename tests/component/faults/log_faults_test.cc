// SPDX-License-Identifier: Apache-2.0
// Failing writes and syncs under the log: appends are refused, reads go on, the log is opened again in place, and
// nothing confirmed is lost, not even when the power goes later.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <iostream>
#include <thread>

#include "tests/component/faults/ledger.h"
#include "tests/support/faults/fault_file_system.h"

namespace millrace {
namespace {

using namespace testing;
using rocksdb::IOStatus;

// Reads the log all the time, as projector and edge do.
class Readers {
 public:
  explicit Readers(const EventLog& log) : log_(log) {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { read(); });
  }
  ~Readers() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
    EXPECT_GT(reads_, 0u);
  }
  uint64_t reads() const { return reads_; }

 private:
  void read() {
    Position after;
    while (!stop_) {
      const auto read = log_.read(after, {.events = 50}, {});
      if (!read) {
        if (read.error().code != Errc::kUnavailable) ADD_FAILURE() << read.error().message();
        continue;
      }
      for (const RecordedEvent& event : read->events) {
        if (event.position != after + 1) ADD_FAILURE() << "a gap behind position " << after.value;
        after = event.position;
      }
      if (read->at_end) after = Position{};
      ++reads_;
    }
  }

  const EventLog& log_;
  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> reads_ = 0;
  std::vector<std::thread> threads_;
};

class LogFaultsTest : public ::testing::Test {
 protected:
  void SetUp() override { quiet_logging(); }

  // With the larger buffer nothing is flushed, so that the next sync is the next append's.
  void open(uint64_t seed = 1, size_t write_buffer_bytes = 4u << 20) {
    faults_ = std::make_unique<FaultFileSystem>(directory_ / "disk", directory_ / "kept", seed);
    ledger_ = std::make_unique<Ledger>(seed);
    LogStoreOptions options;
    options.write_buffer_bytes = write_buffer_bytes;
    options.reserve_bytes = 0;
    options.env = faults_->env();
    log_ = open_rocksdb_event_log(directory_ / "disk", clock_, options).value();
  }
  Errc append() {
    const auto commit = ledger_->append(*log_);
    return commit ? Errc{} : commit.error().code;
  }
  void append_some(int groups) {
    for (int i = 0; i < groups; ++i) ASSERT_EQ(append(), Errc{});
  }
  // The power goes, and the log is opened on what the disk has.
  void expect_kept_over_power_loss() {
    faults_->cut_power();
    log_.reset();
    faults_->crash_image(directory_ / "after");
    const auto log = open_rocksdb_event_log(directory_ / "after", clock_);
    ASSERT_TRUE(log) << log.error().message();
    EXPECT_EQ(ledger_->compare(**log), "");
  }

  TemporaryDirectory directory_;
  ManualClock clock_;
  std::unique_ptr<FaultFileSystem> faults_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<EventLog> log_;
};

TEST_F(LogFaultsTest, FailedSyncRefusesAppendsUntilTheLogIsOpenedAgain) {
  open();
  append_some(10);
  const Position confirmed = log_->last();
  faults_->fail_syncs(1);
  EXPECT_EQ(append(), Errc::kSyncFailed);
  EXPECT_EQ(log_->last(), confirmed) << "nothing of a failed append is readable";
  EXPECT_EQ(append(), Errc::kUnavailable) << "also when the disk is well again";
  EXPECT_TRUE(log_->at(confirmed));
  ASSERT_TRUE(log_->recover());
  EXPECT_EQ(ledger_->compare(*log_), "");
  append_some(10);
  EXPECT_EQ(ledger_->compare(*log_), "");
  expect_kept_over_power_loss();
}

// What the page cache shows of a failed sync is believed only once it has been written and synced anew.
TEST_F(LogFaultsTest, WhatComesToLightAfterAFailedSyncSurvivesTheNextPowerLoss) {
  open();
  append_some(3);
  faults_->fail_syncs(1);
  EXPECT_EQ(append(), Errc::kSyncFailed);
  ASSERT_TRUE(log_->recover());
  EXPECT_EQ(ledger_->compare(*log_), "");
  EXPECT_EQ(ledger_->vanished(), 0u) << "the failed group is here";
  expect_kept_over_power_loss();
}

TEST_F(LogFaultsTest, SyncThatFailsForGoodIsRefusedForGoodAndReadsGoOn) {
  open();
  append_some(10);
  faults_->fail_syncs(~uint64_t{0});
  EXPECT_EQ(append(), Errc::kSyncFailed);
  for (int i = 0; i < 3; ++i) {
    const auto recovered = log_->recover();
    ASSERT_FALSE(recovered);
    EXPECT_NE(recovered.error().context.find("Input/output error"), std::string::npos) << recovered.error().context;
    EXPECT_EQ(append(), Errc::kUnavailable);
    EXPECT_EQ(log_->read({}, {}, {}).value().through, log_->last());
    EXPECT_TRUE(log_->info());
  }
  faults_->heal();
  ASSERT_TRUE(log_->recover());
  EXPECT_EQ(ledger_->compare(*log_), "");
  append_some(10);
  expect_kept_over_power_loss();
}

TEST_F(LogFaultsTest, FullDiskThatIsMetInTheMiddleOfAWriteEndsWhenThereIsRoom) {
  open();
  append_some(10);
  faults_->fail_changes(IOStatus::NoSpace("No space left on device"));
  EXPECT_EQ(append(), Errc::kSyncFailed);
  const auto recovered = log_->recover();
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, Errc::kFull);
  EXPECT_EQ(log_->read({}, {}, {}).value().through, log_->last());
  faults_->heal();
  ASSERT_TRUE(log_->recover());
  EXPECT_EQ(ledger_->compare(*log_), "");
  append_some(10);
  expect_kept_over_power_loss();
}

TEST_F(LogFaultsTest, DiskThatTurnsReadOnlyIsRefusedUntilItTakesWrites) {
  open();
  append_some(10);
  faults_->fail_changes(IOStatus::IOError("Read-only file system"));
  EXPECT_EQ(append(), Errc::kSyncFailed);
  EXPECT_NE(log_->recover().error().context.find("Read-only file system"), std::string::npos);
  EXPECT_EQ(append(), Errc::kUnavailable);
  EXPECT_TRUE(log_->at(Position{1}));
  faults_->heal();
  ASSERT_TRUE(log_->recover());
  append_some(1);
  EXPECT_EQ(ledger_->compare(*log_), "");
}

TEST_F(LogFaultsTest, TooFewFileDescriptorsForANewFileAreSurvived) {
  open(1, 64u << 10);
  append_some(10);
  faults_->fail_changes(IOStatus::IOError("Too many open files"));
  while (append() == Errc{}) {
  }
  EXPECT_NE(log_->recover().error().context.find("Too many open files"), std::string::npos);
  faults_->heal();
  ASSERT_TRUE(log_->recover());
  append_some(1);
  EXPECT_EQ(ledger_->compare(*log_), "");
}

TEST_F(LogFaultsTest, RecoverWithoutAFailureChangesNothing) {
  open();
  append_some(3);
  const uint64_t calls = faults_->calls();
  EXPECT_TRUE(log_->recover());
  EXPECT_EQ(faults_->calls(), calls);
  append_some(3);
  EXPECT_EQ(ledger_->compare(*log_), "");
}

// A disk that loses what it had synced is named, and nothing is appended to the rest.
TEST_F(LogFaultsTest, ConfirmedEventsThatAreGoneAreNoticedWhenTheLogIsOpenedAgain) {
  open();
  append_some(10);
  faults_->fail_syncs(1);
  EXPECT_EQ(append(), Errc::kSyncFailed);
  for (const auto& entry : std::filesystem::directory_iterator(directory_ / "disk")) {
    if (entry.path().extension() == ".log") std::filesystem::resize_file(entry.path(), 1000);
  }
  const auto recovered = log_->recover();
  ASSERT_FALSE(recovered);
  EXPECT_EQ(recovered.error().code, Errc::kCorrupt) << recovered.error().message();
  EXPECT_EQ(append(), Errc::kUnavailable);
}

// Any mixture of these, with readers beside it.
class LogFaultHistoryTest : public LogFaultsTest, public ::testing::WithParamInterface<uint64_t> {
 protected:
  void break_something(SeededRandom& random) {
    switch (random.next() % 4) {
      case 0:
        return faults_->fail_syncs(1 + random.next() % 3);
      case 1:
        return faults_->fail_changes(IOStatus::NoSpace("No space left on device"));
      case 2:
        return faults_->fail_changes(IOStatus::IOError("Read-only file system"));
      default:
        return faults_->fail_syncs(1);
    }
  }
  void recover(SeededRandom& random) {
    for (int attempt = 0; !log_->recover(); ++attempt) {
      ASSERT_LT(attempt, 20);
      if (random.next() % 2 == 0) faults_->heal();
    }
    faults_->heal();
  }
};

TEST_P(LogFaultHistoryTest, NothingConfirmedIsLostAndReadersGoOn) {
  const uint64_t seed = number_from("MILLRACE_FAULT_SEED", random_seed() % 1'000'000'000) + GetParam();
  std::cout << "seed " << seed << " (MILLRACE_FAULT_SEED)\n";
  SeededRandom random(seed);
  open(seed, 64u << 10);
  int failures = 0;
  {
    const Readers readers(*log_);
    for (int group = 0; group < 250; ++group) {
      if (random.next() % 16 == 0) break_something(random);
      if (append() == Errc{}) continue;
      ++failures;
      recover(random);
      ASSERT_EQ(ledger_->compare(*log_), "") << "after failure " << failures;
    }
  }
  faults_->heal();
  EXPECT_GT(failures, 0);
  std::cout << failures << " failures, " << ledger_->confirmed() << " events, " << ledger_->vanished()
            << " failed groups vanished\n";
  expect_kept_over_power_loss();
}

INSTANTIATE_TEST_SUITE_P(Seeds, LogFaultHistoryTest, ::testing::Range(uint64_t{0}, uint64_t{6}));

}  // namespace
}  // namespace millrace
