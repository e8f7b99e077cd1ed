// SPDX-License-Identifier: Apache-2.0
// The power goes at any call that the log makes to the file system: what append() confirmed is there afterwards, once,
// in its place, with the same bytes.
#include <gtest/gtest.h>

#include <iostream>
#include <map>

#include "tests/component/faults/ledger.h"
#include "tests/support/faults/fault_file_system.h"

namespace millrace {
namespace {

using namespace testing;

constexpr uint64_t kShares = 10;  // test cases over which the seeds are spread
constexpr uint64_t kGroupsPerRound = 150;
constexpr uint64_t kCallsPerRound = 700;  // about what that many groups take

LogStoreOptions small_log(rocksdb::Env* env) {
  LogStoreOptions options;
  options.write_buffer_bytes = 64u << 10;  // so that it flushes and compacts all the time
  options.reserve_bytes = 0;
  options.env = env;
  return options;
}

// One history with several losses of power, each at a call of its own.
class PowerHistory {
 public:
  PowerHistory(uint64_t seed, FaultFileSystem::Lie lie) : seed_(seed), lie_(lie), random_(seed), ledger_(seed) {}

  // "" or what was lost.
  std::string run() {
    const uint64_t cuts = 1 + random_.next() % 3;
    for (uint64_t cut = 0; cut < cuts; ++cut) {
      if (auto lost = live_until_the_cut(); !lost.empty()) return lost;
    }
    auto log = open_rocksdb_event_log(disk(), clock_, small_log(nullptr));
    if (!log) return "the log does not open: " + log.error().message();
    if (auto lost = ledger_.compare(**log); !lost.empty()) return lost;
    log->reset();
    return chain_breach(disk());
  }

  const std::map<std::string_view, uint64_t>& cuts() const { return cuts_; }
  uint64_t confirmed() const { return ledger_.confirmed(); }
  uint64_t vanished() const { return ledger_.vanished(); }

 private:
  std::filesystem::path disk() const { return directory_ / ("disk-" + std::to_string(disks_)); }

  std::string live_until_the_cut() {
    FaultFileSystem disk_with_faults(disk(), directory_ / ("kept-" + std::to_string(disks_)), random_.next(), lie_);
    disk_with_faults.cut_power_after(1 + random_.next() % kCallsPerRound);
    {
      auto log = open_rocksdb_event_log(disk(), clock_, small_log(disk_with_faults.env()));
      if (!log && disk_with_faults.has_power()) return "the log does not open: " + log.error().message();
      if (log) {
        if (auto lost = ledger_.compare(**log); !lost.empty()) return lost;
        for (uint64_t i = 0; i < kGroupsPerRound && disk_with_faults.has_power(); ++i) ledger_.append(**log);
      }
    }
    disk_with_faults.cut_power();
    ++cuts_[name_of(disk_with_faults.cut_at())];
    ++disks_;
    disk_with_faults.crash_image(disk());
    return {};
  }

  const uint64_t seed_;
  const FaultFileSystem::Lie lie_;
  SeededRandom random_;
  Ledger ledger_;
  ManualClock clock_;
  TemporaryDirectory directory_;
  uint64_t disks_ = 0;
  std::map<std::string_view, uint64_t> cuts_;
};

class PowerLossTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override { quiet_logging(); }
};

TEST_P(PowerLossTest, ConfirmedEventsSurviveOnceAndInPlace) {
  const uint64_t seeds = number_from("MILLRACE_POWER_SEEDS", 200) / kShares;
  const uint64_t first = number_from("MILLRACE_POWER_SEED", random_seed() % 1'000'000'000) + GetParam() * seeds;
  std::cout << "seeds " << first << " to " << first + seeds - 1 << " (MILLRACE_POWER_SEED, MILLRACE_POWER_SEEDS)\n";
  std::map<std::string_view, uint64_t> cuts;
  uint64_t confirmed = 0;
  uint64_t vanished = 0;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    PowerHistory history(seed, FaultFileSystem::Lie::kNone);
    ASSERT_EQ(history.run(), "") << "seed " << seed;
    for (const auto& [call, count] : history.cuts()) cuts[call] += count;
    confirmed += history.confirmed();
    vanished += history.vanished();
  }
  std::cout << confirmed << " events confirmed and found, " << vanished << " unconfirmed groups vanished; cut at";
  for (const auto& [call, count] : cuts) std::cout << " " << call << " " << count << "x";
  std::cout << "\n";
}

INSTANTIATE_TEST_SUITE_P(Seeds, PowerLossTest, ::testing::Range(uint64_t{0}, kShares));

// A disk that says "synced" and is not loses confirmed events: the test above would see it.
class LyingDiskTest : public ::testing::TestWithParam<FaultFileSystem::Lie> {
 protected:
  void SetUp() override { quiet_logging(); }
};

TEST_P(LyingDiskTest, IsCaught) {
  constexpr uint64_t kSeeds = 10;
  uint64_t caught = 0;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) caught += !PowerHistory(seed, GetParam()).run().empty();
  EXPECT_GE(caught, kSeeds / 2) << "of " << kSeeds << " histories on a lying disk";
}

INSTANTIATE_TEST_SUITE_P(Lies, LyingDiskTest,
                         ::testing::Values(FaultFileSystem::Lie::kAboutFiles, FaultFileSystem::Lie::kAboutDirectories),
                         [](const auto& info) {
                           return info.param == FaultFileSystem::Lie::kAboutFiles ? "AboutFiles" : "AboutDirectories";
                         });

}  // namespace
}  // namespace millrace
