// SPDX-License-Identifier: Apache-2.0
#include "consumers/machine_config_publisher.h"

#include <gtest/gtest.h>

#include "tests/support/fake_mqtt.h"

namespace millrace {
namespace {

MachineConfigPublisher::Entry entry(const std::string& id, uint64_t version, bool there = true) {
  MachineConnection connection;
  connection.id = id;
  connection.version = version;
  return {id, version, there ? std::optional(connection) : std::nullopt};
}

class MachineConfigPublisherTest : public ::testing::Test {
 protected:
  // "hub a b" for the list, "a 5" for a machine, "a" for one that is taken away.
  std::vector<std::string> said() {
    std::vector<std::string> lines;
    for (const auto& message : mqtt_.published) {
      EXPECT_EQ(message.retain, Retain::kYes);
      std::string line = *topics_.machine_of_config(message.topic);
      if (const auto list = decode_machine_list(message.payload)) {
        for (const std::string& id : *list) line += " " + id;
      } else if (const auto connection = decode_machine_connection(line, message.payload)) {
        line += " " + std::to_string(connection->version);
      }
      lines.push_back(line);
    }
    mqtt_.published.clear();
    return lines;
  }
  using Lines = std::vector<std::string>;

  testing::FakeMqtt mqtt_;
  Topics topics_;
  MachineConfigPublisher publisher_{mqtt_, topics_};
};

TEST_F(MachineConfigPublisherTest, SaysNothingBeforeAllAreKnown) {
  publisher_.changed(entry("a", 5));
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(said(), Lines{});
  publisher_.begin({entry("a", 4), entry("b", 3)});
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(said(), (Lines{"hub a b", "a 5", "b 3"})) << "the newer of two counts, the list comes first";
}

TEST_F(MachineConfigPublisherTest, ARemovedMachineIsTakenOffTheListAndTheBroker) {
  publisher_.begin({entry("a", 1), entry("b", 2)});
  EXPECT_TRUE(publisher_.publish_due());
  said();
  publisher_.changed(entry("a", 9, false));
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(said(), (Lines{"hub b", "a"}));
}

TEST_F(MachineConfigPublisherTest, WhatCouldNotBeSaidIsSaidLater) {
  mqtt_.up = false;
  publisher_.begin({entry("a", 1)});
  EXPECT_FALSE(publisher_.publish_due());
  mqtt_.up = true;
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(said(), (Lines{"hub a", "a 1"}));
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(said(), Lines{});
}

TEST_F(MachineConfigPublisherTest, ALatchIsSaidWithTheConnectionOnceForEachChange) {
  publisher_.latched("a", 7);
  publisher_.begin({entry("a", 1)});
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(decode_machine_connection("a", mqtt_.published.back().payload).value().emergency_latch, 7u);
  said();
  publisher_.latched("a", 7);
  publisher_.latched("stranger", 9);
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(said(), Lines{});
  publisher_.changed(entry("a", 2));
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(decode_machine_connection("a", mqtt_.published.back().payload).value().emergency_latch, 7u);
  publisher_.latched("a", 0);
  EXPECT_TRUE(publisher_.publish_due());
  EXPECT_EQ(decode_machine_connection("a", mqtt_.published.back().payload).value().emergency_latch, 0u);
}

}  // namespace
}  // namespace millrace
