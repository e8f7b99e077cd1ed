// SPDX-License-Identifier: Apache-2.0
// One contract, both stores.
#include "projections/view_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "projections/view_batch.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using Keys = std::vector<std::string>;

class ViewStoreContract : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = info->name();
    std::replace(name.begin(), name.end(), '/', '_');
    directory = fs::path(testing::TempDir()) / ("millrace_view_store_" + name);
    fs::remove_all(directory);
    open({"a", "b"});
  }
  void TearDown() override {
    store.reset();
    fs::remove_all(directory);
  }
  void open(std::vector<std::string> views) {
    store.reset();
    if (!GetParam()) {
      store = make_memory_view_store(std::move(views));
      return;
    }
    auto opened = open_rocksdb_view_store(directory, std::move(views));
    ASSERT_TRUE(opened.has_value()) << opened.error().message();
    store = std::move(*opened);
  }
  Keys keys(const KeyRange& range, const std::string& view = "a") const {
    Keys found;
    EXPECT_TRUE(store->reader()->scan(view, range, [&](auto key, auto) {
      found.emplace_back(key);
      return true;
    }));
    return found;
  }
  void put(const Keys& names) {
    std::vector<ViewWrite> writes;
    for (const auto& name : names) writes.push_back({"a", name, "value of " + name});
    ASSERT_TRUE(store->commit(writes).has_value());
  }

  fs::path directory;
  std::unique_ptr<ViewStore> store;
};

TEST_P(ViewStoreContract, GetsWhatWasCommitted) {
  put({"x"});
  EXPECT_EQ(**store->reader()->get("a", "x"), "value of x");
  EXPECT_FALSE(store->reader()->get("a", "y")->has_value());
  EXPECT_FALSE(store->reader()->get("b", "x")->has_value());
}

TEST_P(ViewStoreContract, ScansRangesBothWaysAndStopsWhenTold) {
  put({"a1", "b1", "b2", "b3", "c1", "b\xff"});
  EXPECT_EQ(keys(KeyRange::all()), (Keys{"a1", "b1", "b2", "b3", "b\xff", "c1"}));
  EXPECT_EQ(keys(KeyRange::prefix("b")), (Keys{"b1", "b2", "b3", "b\xff"}));
  EXPECT_EQ(keys({.from = "b1", .to = "b3", .backwards = true}), (Keys{"b2", "b1"}));
  EXPECT_EQ(keys({.from = "b3", .to = "b1"}), Keys{});
  Keys first;
  ASSERT_TRUE(store->reader()->scan("a", KeyRange::all(), [&](auto key, auto) {
    first.emplace_back(key);
    return false;
  }));
  EXPECT_EQ(first, Keys{"a1"});
}

TEST_P(ViewStoreContract, ErasesAndOverwrites) {
  put({"x", "y"});
  ASSERT_TRUE(store->commit({{"a", "x", std::nullopt}, {"a", "y", "new"}, {"a", "never", std::nullopt}}));
  EXPECT_EQ(keys(KeyRange::all()), Keys{"y"});
  EXPECT_EQ(**store->reader()->get("a", "y"), "new");
}

TEST_P(ViewStoreContract, AnUnknownViewCommitsNothing) {
  const auto committed = store->commit({{"a", "x", "1"}, {"nowhere", "y", "2"}});
  ASSERT_FALSE(committed.has_value());
  EXPECT_EQ(committed.error().code, Errc::kNotFound);
  EXPECT_EQ(keys(KeyRange::all()), Keys{});
  EXPECT_EQ(store->reader()->get("nowhere", "y").error().code, Errc::kNotFound);
}

TEST_P(ViewStoreContract, AReaderSeesOneInstant) {
  put({"x"});
  const auto reader = store->reader();
  ASSERT_TRUE(store->commit({{"a", "x", "later"}, {"a", "z", "later"}}));
  EXPECT_EQ(**reader->get("a", "x"), "value of x");
  EXPECT_FALSE(reader->get("a", "z")->has_value());
}

TEST_P(ViewStoreContract, ClearEmptiesOneViewAndWritesWithIt) {
  put({"x", "y"});
  ASSERT_TRUE(store->commit({{"b", "kept", "1"}}));
  ASSERT_TRUE(store->clear("a", {{"a", "fresh", "1"}, {"b", "also", "1"}}));
  EXPECT_EQ(keys(KeyRange::all()), Keys{"fresh"});
  EXPECT_EQ(keys(KeyRange::all(), "b"), (Keys{"also", "kept"}));
}

TEST_P(ViewStoreContract, ABatchReadsItsOwnWrites) {
  put({"x"});
  const auto reader = store->reader();
  ViewBatch batch(*reader, "a");
  EXPECT_EQ(batch.get("x"), "value of x");
  batch.put("x", "mine");
  EXPECT_EQ(batch.get("x"), "mine");
  batch.erase("x");
  EXPECT_EQ(batch.get("x"), std::nullopt);
  EXPECT_EQ(batch.changes().size(), 1u);
  EXPECT_FALSE(batch.error().has_value());
}

TEST_P(ViewStoreContract, ABatchRemembersAFailedRead) {
  const auto reader = store->reader();
  ViewBatch batch(*reader, "nowhere");
  EXPECT_EQ(batch.get("x"), std::nullopt);
  ASSERT_TRUE(batch.error().has_value());
  EXPECT_EQ(batch.error()->code, Errc::kNotFound);
}

INSTANTIATE_TEST_SUITE_P(Both, ViewStoreContract, testing::Bool(),
                         [](const auto& info) { return info.param ? "RocksDb" : "Memory"; });

class RocksDbViewStore : public ViewStoreContract {};
INSTANTIATE_TEST_SUITE_P(Only, RocksDbViewStore, testing::Values(true));

TEST_P(RocksDbViewStore, SurvivesReopeningAndDropsViewsThatNobodyNames) {
  put({"x"});
  open({"a"});
  EXPECT_EQ(keys(KeyRange::all()), Keys{"x"});
  open({"a", "b"});
  EXPECT_EQ(keys(KeyRange::all(), "b"), Keys{});
}

TEST_P(RocksDbViewStore, ASecondOpenIsRefused) {
  const auto second = open_rocksdb_view_store(directory, {"a"});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, Errc::kConflict);
}

TEST_P(RocksDbViewStore, DamagedFilesAreMadeAnewEmpty) {
  put({"x"});
  store.reset();
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename().string().starts_with("MANIFEST")) std::ofstream(entry.path()) << "damaged";
  }
  open({"a", "b"});
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(keys(KeyRange::all()), Keys{});
}

}  // namespace
}  // namespace millrace
