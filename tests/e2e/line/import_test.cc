// SPDX-License-Identifier: Apache-2.0
// `millrace import moonraker` against simulated machines: into a folder without a hub, and beside a running one.
#include <gtest/gtest.h>

#include <fstream>
#include <iostream>

#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

class ImportTest : public ::testing::Test {
 protected:
  Shop::Ran import(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments{"import", "moonraker",          url(),   "--machine", "sim-1",
                                       "--data", shop.data().string(), "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return shop.run(arguments);
  }
  json imported() {
    const auto ran = import();
    EXPECT_EQ(ran.code, 0) << ran.output;
    const json tally = json::parse(ran.output.substr(ran.output.find('{')), nullptr, false);
    EXPECT_TRUE(tally.is_object()) << ran.output;
    return tally;
  }
  // Of the first machine, as the simulator wrote it down.
  std::string url() {
    std::ifstream file(shop.config());
    for (std::string line; std::getline(file, line);) {
      const size_t at = line.find("moonraker_url = \"");
      if (at != std::string::npos) return line.substr(at + 17, line.rfind('"') - at - 17);
    }
    ADD_FAILURE() << "no machine in " << shop.config();
    return "";
  }
  void make_idle() {
    const auto answer = http_request({.method = "POST", .url = url() + "/sim/behaviour?name=idle"});
    ASSERT_TRUE(answer && answer->status == 200);
  }

  Shop shop;
};

TEST_F(ImportTest, AWholeHistoryOnceWithoutAHubAndWithOneAddsNothing) {
  shop.start_simulator({"--machines", "1", "--behaviour", "idle", "--history", "12000"});
  const json first = imported();
  EXPECT_EQ(first["rows"], 12'000);
  EXPECT_EQ(first["new_jobs"], 12'000);
  EXPECT_EQ(first["unusable_rows"], 0);
  EXPECT_EQ(first["events"], 24'000);
  std::cout << "12000 rows in " << first["seconds"] << " s\n";
  const json again = imported();
  EXPECT_EQ(again["known"], 12'000);
  EXPECT_EQ(again["events"], 0);
  shop.start_all();
  const json beside = imported();
  EXPECT_EQ(beside["known"], 12'000);
  EXPECT_EQ(beside["events"], 0);
}

TEST_F(ImportTest, WhatWasSeenLiveIsNotToldAgain) {
  shop.start_simulator({"--machines", "1", "--behaviour", "steady", "--speed", "100", "--seed", "5"});
  shop.start_all();
  ASSERT_TRUE(eventually(
      [&] {
        int live = 0;
        for (const json& job : shop.jobs()) live += job["seen"] == "live" && job["outcome"] != "running" ? 1 : 0;
        return live >= 1;
      },
      std::chrono::seconds(120)));
  make_idle();
  ASSERT_TRUE(eventually(
      [&] {
        const json job = shop.machine("sim-1").value("job", json::object());
        return job.is_object() && job.value("outcome", "running") != "running";
      },
      std::chrono::seconds(120)));
  const size_t jobs = shop.jobs().size();
  const json tally = imported();
  EXPECT_EQ(tally["new_jobs"], 0);
  EXPECT_EQ(tally["new_ends"], 0);
  EXPECT_EQ(tally["events"], 0);
  EXPECT_EQ(shop.jobs().size(), jobs);
}

TEST_F(ImportTest, WhatIsAskedWronglyOrCannotBeHadIsSaid) {
  shop.start_simulator({"--machines", "1", "--behaviour", "idle"});
  const auto asked = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"import", "moonraker"});
    arguments.insert(arguments.end(), {"--data", shop.data().string()});
    return shop.run(arguments);
  };
  EXPECT_EQ(asked({url(), "--machine", "Sim 1"}).code, 2);
  EXPECT_EQ(asked({url()}).code, 2);
  EXPECT_EQ(asked({"ftp://x", "--machine", "sim-1"}).code, 2);
  EXPECT_EQ(asked({url(), "--machine", "sim-1", "--api-key-file", "/nowhere"}).code, 2);
  const auto unreachable = asked({"http://127.0.0.1:1", "--machine", "sim-1"});
  EXPECT_EQ(unreachable.code, 1);
  EXPECT_NE(unreachable.output.find("127.0.0.1"), std::string::npos) << unreachable.output;
}

}  // namespace
}  // namespace millrace
