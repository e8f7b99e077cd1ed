// SPDX-License-Identifier: Apache-2.0
// The program with a [mirror]: hub, kill, and `mirror rebuild` with and without a hub.
#include <gtest/gtest.h>

#include <fstream>

#include "sql/sql_database.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

class MirrorLineTest : public ::testing::Test {
 protected:
  std::string file() { return (shop.directory() / "mirror.sqlite").string(); }
  void add_mirror() {
    std::ofstream(shop.config(), std::ios::app)
        << "[mirror]\nurl = \"sqlite:" << file() << "\"\ninterval_seconds = 1\n";
  }
  std::vector<SqlRow> rows(const std::string& sql) {
    auto database = SqlDatabase::open({.url = parse_database_url("sqlite:" + file()).value()});
    if (!database) return {};
    auto found = (*database)->rows(sql);
    return found ? *found : std::vector<SqlRow>{};
  }
  std::vector<std::vector<SqlRow>> tables() {
    std::vector<std::vector<SqlRow>> all;
    for (const std::string table : {"printers", "print_jobs", "job_details", "job_totals", "maintenance_records"}) {
      all.push_back(rows("SELECT * FROM " + table + " ORDER BY 1"));
    }
    return all;
  }
  bool mirrors(size_t jobs) {
    return eventually([&] { return rows("SELECT id FROM print_jobs").size() == jobs; }, std::chrono::seconds(60));
  }
  Shop::Ran rebuild() { return shop.run({"mirror", "rebuild", "--config", shop.config().string()}); }

  Shop shop;
};

TEST_F(MirrorLineTest, AKilledHubGoesOnAndARebuildGivesTheSameTables) {
  shop.start_simulator({"--machines", "2", "--behaviour", "idle", "--history", "200"});
  add_mirror();
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return rows("SELECT id FROM print_jobs").size() > 20; }, std::chrono::seconds(60)));
  shop.hub->kill();
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready()) << shop.output();
  ASSERT_TRUE(mirrors(400)) << shop.output();
  const auto followed = tables();
  const auto by_hub = rebuild();
  EXPECT_EQ(by_hub.code, 0) << by_hub.output;
  EXPECT_NE(by_hub.output.find("by the hub"), std::string::npos) << by_hub.output;
  EXPECT_EQ(tables()[1], followed[1]);
  EXPECT_EQ(tables()[2], followed[2]);
  EXPECT_EQ(tables()[3], followed[3]);
  shop.adapters->kill();
  shop.hub->terminate();
  const auto alone = rebuild();
  EXPECT_EQ(alone.code, 0) << alone.output;
  EXPECT_NE(alone.output.find("rows/s"), std::string::npos) << alone.output;
  EXPECT_EQ(tables()[1], followed[1]);
}

TEST_F(MirrorLineTest, WhatIsConfiguredWronglyIsSaid) {
  const auto none = rebuild();
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.output.find("mirror.url is not set"), std::string::npos) << none.output;
  add_mirror();
  std::ofstream(shop.config(), std::ios::app) << "password_file = \"/nowhere\"\n";
  const auto unreadable = rebuild();
  EXPECT_EQ(unreadable.code, 2);
  EXPECT_NE(unreadable.output.find("mirror.password_file"), std::string::npos) << unreadable.output;
}

}  // namespace
}  // namespace millrace
