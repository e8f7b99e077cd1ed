// SPDX-License-Identifier: Apache-2.0
// A failing disk under the views: they stop, say why, stay readable, and go on by themselves to what a replay gives.
#include <gtest/gtest.h>

#include <iostream>

#include "projections/projector.h"
#include "projections/registry.h"
#include "tests/component/faults/ledger.h"
#include "tests/support/faults/fault_file_system.h"
#include "tests/support/process.h"
#include "tests/support/view_checks.h"

namespace millrace {
namespace {

using namespace testing;
using rocksdb::IOStatus;

const std::vector<std::string> kViews = {"a"};

class ViewsFaultsTest : public ::testing::Test {
 protected:
  void SetUp() override { quiet_logging(); }

  void open(const std::vector<std::string>& views, uint64_t seed = 1) {
    faults_ = std::make_unique<FaultFileSystem>(directory_ / "disk", directory_ / "kept", seed);
    ViewStoreOptions options;
    options.write_buffer_bytes = 64u << 10;
    options.env = faults_->env();
    store_ = open_rocksdb_view_store(directory_ / "disk", views, options).value();
  }
  Result<void> put(const std::string& key, const std::string& value) { return store_->commit({{"a", key, value}}); }
  std::string get(const std::string& key) { return store_->reader()->get("a", key).value().value_or("nothing"); }

  TemporaryDirectory directory_;
  std::unique_ptr<FaultFileSystem> faults_;
  std::unique_ptr<ViewStore> store_;
};

TEST_F(ViewsFaultsTest, WhatWasCommittedStaysReadableAndCommitsGoOnWhenThereIsRoom) {
  open(kViews);
  ASSERT_TRUE(put("k", "before"));
  faults_->fail_changes(IOStatus::NoSpace("No space left on device"));
  EXPECT_EQ(put("k", "refused").error().code, Errc::kFull);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(store_->recover());
    EXPECT_FALSE(put("k", "refused"));
    EXPECT_EQ(get("k"), "before");
  }
  faults_->heal();
  ASSERT_TRUE(store_->recover());
  EXPECT_EQ(get("k"), "before");
  ASSERT_TRUE(put("k", "after"));
  EXPECT_EQ(get("k"), "after");
}

TEST_F(ViewsFaultsTest, AReaderKeepsItsInstantAndTheStoreWaitsForIt) {
  open(kViews);
  ASSERT_TRUE(put("k", "before"));
  faults_->fail_changes(IOStatus::IOError("Input/output error"));
  EXPECT_FALSE(put("k", "refused"));
  auto reader = store_->reader();
  faults_->heal();
  EXPECT_EQ(store_->recover().error().code, Errc::kUnavailable);
  EXPECT_EQ(reader->get("a", "k").value(), "before");
  EXPECT_EQ(get("k"), "before");
  reader.reset();
  ASSERT_TRUE(store_->recover());
  ASSERT_TRUE(put("k", "after"));
  EXPECT_EQ(get("k"), "after");
}

class ViewsFaultHistoryTest : public ViewsFaultsTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(ViewsFaultHistoryTest, ViewsEndEqualToAReplay) {
  const uint64_t seed = number_from("MILLRACE_FAULT_SEED", random_seed() % 1'000'000'000) + GetParam();
  std::cout << "seed " << seed << " (MILLRACE_FAULT_SEED)\n";
  SeededRandom random(seed);
  open(view_names(), seed);
  const auto log = make_memory_event_log();
  Ledger ledger(seed);
  const auto metrics = make_metrics();
  Health health;
  Projector projector(*log, *store_, make_projections(), *metrics, health, {.retry = std::chrono::milliseconds(1)});
  ASSERT_TRUE(projector.start());
  const auto failures = [&] { return metrics->counter("millrace_projector_failures_total", "").value(); };
  for (int fault = 0; fault < 6; ++fault) {
    for (int i = 0; i < 40; ++i) projector.offer(std::make_shared<const Commit>(ledger.append(*log).value()));
    faults_->fail_changes(fault % 2 == 0 ? IOStatus::NoSpace("No space left on device")
                                         : IOStatus::IOError("Read-only file system"));
    const double before = failures();
    projector.offer(std::make_shared<const Commit>(ledger.append(*log).value()));
    ASSERT_TRUE(eventually([&] { return failures() > before + 1 + static_cast<double>(random.next() % 5); }));
    EXPECT_FALSE(health.parts().at("projector").ready);
    EXPECT_NE(health.parts().at("projector").text, "");
    faults_->heal();
    ASSERT_TRUE(projector.wait_for(log->last(), std::chrono::seconds(20))) << health.parts().at("projector").text;
    ASSERT_TRUE(eventually([&] { return health.parts().at("projector").ready; }));
  }
  projector.stop();
  check_views(*log, *store_);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ViewsFaultHistoryTest, ::testing::Range(uint64_t{0}, uint64_t{4}));

}  // namespace
}  // namespace millrace
