// SPDX-License-Identifier: Apache-2.0
#include "cli/machine_registry.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

class RegistryDifferences : public ::testing::Test {
 protected:
  RegistryDifferences() {
    MachineConfig machine;
    machine.id = "m";
    machine.name = "M";
    machine.moonraker_url = "http://m:7125";
    machine.moonraker_api_key = "canary";
    config.machines = {machine};
  }
  // The view after what differences() said.
  void take(std::vector<EventDraft> events) {
    for (const EventDraft& draft : events) {
      const auto& event = *draft.payload.AsMachineConfigured();
      schema::MachineViewT& machine = machines[draft.machine];
      machine.id = draft.machine;
      machine.name = event.name;
      machine.kind = event.kind;
      machine.managed_by = event.managed_by;
      machine.removed = false;
      const std::string make = event.make;
      machine.settings = std::make_unique<schema::MachineSettingsT>();
      machine.settings->version = ++version;
      machine.settings->enabled = event.enabled;
      machine.settings->moonraker_url = event.moonraker_url;
      machine.settings->authentication = event.authentication;
      machine.settings->tls_ca = event.tls_ca;
      machine.settings->make = make;
    }
  }
  std::vector<EventDraft> now() { return differences(config.machines, machines, {}); }

  Config config;
  std::map<std::string, schema::MachineViewT> machines;
  uint64_t version = 0;
};

TEST_F(RegistryDifferences, AMachineOfTheFileIsSaidOnceWithoutItsSecret) {
  auto events = now();
  ASSERT_EQ(events.size(), 1u);
  const auto& event = *events[0].payload.AsMachineConfigured();
  EXPECT_EQ(event.managed_by, "config");
  EXPECT_EQ(event.authentication, "api_key");
  EXPECT_TRUE(event.enabled);
  take(std::move(events));
  EXPECT_TRUE(now().empty());
}

TEST_F(RegistryDifferences, AChangedAddressIsSaidAndWhatPeopleDescribedStays) {
  take(now());
  machines["m"].settings->make = "Voron Design";
  config.machines[0].moonraker_url = "http://other:7125";
  const auto events = now();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].payload.AsMachineConfigured()->moonraker_url, "http://other:7125");
  EXPECT_EQ(events[0].payload.AsMachineConfigured()->make, "Voron Design");
}

TEST_F(RegistryDifferences, WhatTheFileNoLongerHasIsDisabledOnce) {
  take(now());
  config.machines.clear();
  auto events = now();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_FALSE(events[0].payload.AsMachineConfigured()->enabled);
  take(std::move(events));
  EXPECT_TRUE(now().empty());
}

TEST_F(RegistryDifferences, WhatTheFileDisablesIsSaidOnceAndStaysOfTheFile) {
  take(now());
  config.machines[0].enabled = false;
  auto events = now();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_FALSE(events[0].payload.AsMachineConfigured()->enabled);
  EXPECT_EQ(events[0].payload.AsMachineConfigured()->managed_by, "config");
  take(std::move(events));
  EXPECT_TRUE(now().empty());
  config.machines[0].enabled = true;
  EXPECT_EQ(now().size(), 1u);
}

TEST_F(RegistryDifferences, MachinesOfTheApiAndOfOtherFilesAreLeftAlone) {
  take(now());
  config.machines.clear();
  machines["m"].managed_by = "api";
  machines["elsewhere"].managed_by = "config";  // an adapters role's own: never configured here
  EXPECT_TRUE(now().empty());
}

TEST_F(RegistryDifferences, ARemovedMachineThatIsInTheFileIsBack) {
  take(now());
  machines["m"].removed = true;
  EXPECT_EQ(now().size(), 1u);
  EXPECT_FALSE(entry_of(machines["m"]).connection) << "until then the broker says that it is gone";
}

TEST_F(RegistryDifferences, LimitsAndRulesGoWithTheConnectionAndMakeItNewer) {
  take(now());
  ToldSafety told;
  told.version = 40;
  told.safety.limits.bed_temp_max = 100;
  told.safety.limits_version = 40;
  const auto entry = entry_of(machines["m"], told);
  EXPECT_EQ(entry.version, 40u);
  ASSERT_TRUE(entry.connection);
  EXPECT_EQ(entry.connection->moonraker_url, "http://m:7125");
  EXPECT_EQ(entry.connection->safety.limits.bed_temp_max, 100);
}

TEST_F(RegistryDifferences, MachineOfAnotherFileIsToldItsLimitsOnly) {
  schema::MachineViewT machine;
  machine.id = "elsewhere";
  machine.managed_by = "config";
  EXPECT_EQ(entry_of(machine).version, 0u) << "there is nothing to say";
  ToldSafety told;
  told.version = 7;
  const auto entry = entry_of(machine, told);
  ASSERT_TRUE(entry.connection);
  EXPECT_EQ(entry.connection->moonraker_url, "");
}

}  // namespace
}  // namespace millrace
