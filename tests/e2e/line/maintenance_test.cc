// SPDX-License-Identifier: Apache-2.0
// A running hub tells by itself what has become due, and that it was done.
#include <gtest/gtest.h>

#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

TEST(MaintenanceLineTest, WhatIsDueIsToldOnceAndTakenBackWhenItIsDone) {
  Shop shop;
  shop.start_simulator({"--machines", "1", "--behaviour", "idle"});
  shop.start_all();
  ASSERT_TRUE(eventually([&] { return shop.get("/api/v1/machines/sim-1/odometer").value("starts", 0) > 0; }))
      << "the old prints of its history";
  const std::string records = "/api/v1/machines/sim-1/maintenance";
  const auto post = [&](const std::string& target, const json& body) {
    const auto answer = http_request({.method = "POST",
                                      .url = "http://127.0.0.1:" + std::to_string(shop.http_port) + target,
                                      .headers = {{"Content-Type", "application/json"}},
                                      .body = body.dump()});
    return answer ? answer->status : 0;
  };
  const auto told = [&] {
    std::vector<bool> due;
    for (const json& event : shop.get("/api/v1/events?type=MaintenanceDue").value("items", json::array())) {
      due.push_back(event["payload"]["due"]);
    }
    return due;
  };
  ASSERT_EQ(post(records + "/tasks", {{"title", "Grease"}, {"every_starts", 1}}), 200);
  ASSERT_EQ(post(records, {{"task_id", "t1"}, {"date", "2020-01-01T00:00:00Z"}}), 200);
  ASSERT_TRUE(eventually([&] { return told() == std::vector<bool>{true}; }, std::chrono::seconds(60)));
  EXPECT_EQ(shop.get("/api/v1/maintenance")["items"][0]["due"], true);
  ASSERT_EQ(post(records, {{"task_id", "t1"}}), 200);
  ASSERT_TRUE(eventually([&] { return told() == std::vector<bool>({true, false}); }, std::chrono::seconds(60)));
}

}  // namespace
}  // namespace millrace
