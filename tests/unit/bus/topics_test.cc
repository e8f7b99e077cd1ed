// SPDX-License-Identifier: Apache-2.0
#include "bus/topics.h"

#include <gtest/gtest.h>

#include "bus/ids.h"

namespace millrace {
namespace {

TEST(Topics, LieUnderTheRootAndItsVersion) {
  const Topics topics;
  EXPECT_EQ(topics.ingest("voron-2"), "millrace/v1/ingest/voron-2");
  EXPECT_EQ(topics.ingest_all(), "millrace/v1/ingest/+");
  EXPECT_EQ(topics.recorded("voron-2"), "millrace/v1/recorded/voron-2");
  EXPECT_EQ(topics.event("voron-2", "JobStarted"), "millrace/v1/event/voron-2/JobStarted");
  EXPECT_EQ(topics.state("voron-2", "job"), "millrace/v1/state/voron-2/job");
  EXPECT_EQ(topics.status("hub"), "millrace/v1/status/hub");
}

TEST(Topics, RootMayHaveLevels) {
  const Topics topics("shop/north/millrace");
  EXPECT_EQ(topics.ingest("m1"), "shop/north/millrace/v1/ingest/m1");
  EXPECT_EQ(topics.producer_of_ingest("shop/north/millrace/v1/ingest/m1"), "m1");
  EXPECT_EQ(topics.producer_of_ingest("millrace/v1/ingest/m1"), std::nullopt);
}

TEST(Topics, ProducerIsReadBack) {
  const Topics topics("r");
  EXPECT_EQ(topics.producer_of_ingest(topics.ingest("voron-2")), "voron-2");
  EXPECT_EQ(topics.producer_of_recorded(topics.recorded("voron-2")), "voron-2");
}

TEST(Topics, ForeignTopicsHaveNoProducer) {
  const Topics topics("r");
  for (const char* foreign : {"", "r", "r/v1/ingest", "r/v1/ingest/", "r/v1/ingest/a/b", "r/v2/ingest/a",
                              "r/v1/recorded/a", "xr/v1/ingest/a", "r/v1/ingesta", "/r/v1/ingest/a"}) {
    EXPECT_EQ(topics.producer_of_ingest(foreign), std::nullopt) << foreign;
  }
  EXPECT_EQ(topics.producer_of_recorded("r/v1/ingest/a"), std::nullopt);
}

TEST(Topics, CommandsNameTheirMachineAndThemselves) {
  const Topics topics("shop/floor");
  EXPECT_EQ(topics.command("voron-2", "pause"), "shop/floor/v1/command/voron-2/pause");
  EXPECT_EQ(topics.command_all(), "shop/floor/v1/command/+/+");
  EXPECT_EQ(topics.machine_and_command_of(topics.command(kAllMachines, "emergency_stop")),
            (Topics::MachineAndCommand{"all", "emergency_stop"}));
  for (const char* foreign :
       {"", "/", "shop/floor/v1/command/a", "shop/floor/v1/command/a/", "shop/floor/v1/command//b",
        "shop/floor/v1/command/a/b/c", "shop/floor/v1/state/a/b", "v1/command/a/b"}) {
    EXPECT_EQ(topics.machine_and_command_of(foreign), std::nullopt) << foreign;
  }
}

TEST(Topics, AnswersGoWhereNothingElseListens) {
  const Topics topics("shop/millrace");
  for (const char* good :
       {"shop/millrace/v1/reply/openpnp/1", "reply/x", "shop/other", "shop/millrace2/x", "homeassistants"}) {
    EXPECT_TRUE(topics.is_for_replies(good)) << good;
  }
  for (const char* bad :
       {"", "reply/#", "reply/+/x", "$SYS/x", "shop/millrace", "shop/millrace/v1/ingest/a", "shop/millrace/v1/config/a",
        "shop/millrace/v1/command/a/home", "shop/millrace/v1/result/a/c1", "shop/millrace/v1/reply/",
        "shop/millrace/v1/recorded/a", "homeassistant/device/x/config", "homeassistant"}) {
    EXPECT_FALSE(topics.is_for_replies(bad)) << bad;
  }
}

TEST(Ids, MachineIdsAreShortAndPlain) {
  for (const char* good : {"a", "voron-2", "0", "-"}) EXPECT_TRUE(is_valid_machine_id(good)) << good;
  for (const char* bad : {"", "A", "a_b", "a/b", "a+", "#", "a b", "\xc3\xa4"})
    EXPECT_FALSE(is_valid_machine_id(bad)) << bad;
  EXPECT_TRUE(is_valid_machine_id(std::string(64, 'a')));
  EXPECT_FALSE(is_valid_machine_id(std::string(65, 'a')));
}

TEST(Ids, NamesOfRolesAreReserved) {
  EXPECT_TRUE(is_reserved_name("hub"));
  EXPECT_TRUE(is_reserved_name("gcode-gateway"));
  EXPECT_TRUE(is_reserved_name(kAllMachines));
  EXPECT_FALSE(is_reserved_name("hub-2"));
}

}  // namespace
}  // namespace millrace
