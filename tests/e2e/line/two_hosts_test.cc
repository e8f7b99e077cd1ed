// SPDX-License-Identifier: Apache-2.0
// Hub and adapters with a data folder each, as on two computers: what is too large for an event comes over all the
// same.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "bus/blob_store.h"
#include "net/http_client.h"
#include "tests/support/shop/shop.h"

namespace millrace {
namespace {

using namespace testing;

constexpr std::chrono::seconds kPatience{60};

class TwoHostsTest : public ::testing::Test {
 protected:
  std::filesystem::path other_data() const { return shop.directory() / "other-data"; }

  // The shop's file with another data folder, and the way to the hub.
  std::filesystem::path write_other_config() {
    std::ifstream from(shop.config());
    std::stringstream text;
    text << from.rdbuf();
    std::string config = text.str();
    const std::string own = "\"" + shop.data().string() + "\"";
    config.replace(config.find(own), own.size(), "\"" + other_data().string() + "\"");
    const auto file = shop.directory() / "other.toml";
    std::ofstream(file) << config << "\n[adapters]\nhub_url = \"http://127.0.0.1:" << shop.http_port << "\"\n";
    return file;
  }
  void start_other_adapters() {
    shop.adapters =
        ChildProcess::start({Shop::program(), "run", "--config", write_other_config().string(), "--roles", "adapters"},
                            shop.directory() / "output.log")
            .value();
  }
  // Of blobs that wait for the hub on the disk of the adapters.
  uint64_t waiting_bytes() const {
    uint64_t bytes = 0;
    std::error_code gone;
    const auto folder = other_data() / "adapters" / "blobs_for_the_hub";
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, gone)) {
      if (is_sha256(entry.path().filename().string())) bytes += entry.file_size(gone);
    }
    return bytes;
  }
  // The picture of some job's file; empty while none is told.
  std::string told_picture() {
    for (const json& job : shop.jobs()) {
      if (job["thumbnail"].is_string()) return job["thumbnail"];
    }
    return "";
  }

  Shop shop;
};

TEST_F(TwoHostsTest, PicturesComeToTheHub) {
  shop.start_simulator({"--machines", "1", "--behaviour", "steady", "--speed", "20"});
  shop.broker.start();
  shop.start_hub();
  start_other_adapters();
  ASSERT_TRUE(shop.wait_ready());
  std::string picture;
  ASSERT_TRUE(eventually([&] { return !(picture = told_picture()).empty(); }, kPatience));
  const auto blob = [&] {
    return http_request({.url = "http://127.0.0.1:" + std::to_string(shop.http_port) + "/api/v1/blobs/" + picture});
  };
  ASSERT_TRUE(eventually([&] { return blob() && blob()->status == 200; }, kPatience));
  EXPECT_EQ(blob_name(blob()->body), picture);
  EXPECT_EQ(blob()->content_type, "image/png");
  EXPECT_TRUE(eventually([&] { return waiting_bytes() == 0; })) << "what the hub has is not kept twice";
}

TEST_F(TwoHostsTest, WhatWasReadWhileTheHubWasAwayComesWhenItIsBack) {
  shop.start_simulator({"--machines", "1", "--behaviour", "steady", "--speed", "20"});
  shop.broker.start();
  start_other_adapters();
  ASSERT_TRUE(eventually([&] { return waiting_bytes() > 0; }, kPatience));
  shop.adapters.reset();
  EXPECT_GT(waiting_bytes(), 0u);
  shop.start_hub();
  ASSERT_TRUE(shop.wait_ready());
  start_other_adapters();
  EXPECT_TRUE(eventually([&] { return waiting_bytes() == 0; }, kPatience));
  std::string picture;
  ASSERT_TRUE(eventually([&] { return !(picture = told_picture()).empty(); }, kPatience));
  EXPECT_TRUE(eventually([&] { return shop.status_of("/api/v1/blobs/" + picture) == 200; }, kPatience));
}

}  // namespace
}  // namespace millrace
