// SPDX-License-Identifier: Apache-2.0
#include "projections/ordinals.h"

#include "tests/unit/projections/shop.h"

namespace millrace {
namespace {

schema::JobStartedT job_started(const std::string& id) {
  schema::JobStartedT event;
  event.job_id = id;
  return event;
}

class OrdinalsTest : public ::testing::Test {
 protected:
  void fold() {
    std::vector<std::unique_ptr<const Projection>> all;
    all.push_back(make_ordinals());
    for (const RecordedEvent& event : shop.events()) {
      const auto reader = store->reader();
      ViewBatch batch(*reader, std::string(kOrdinalsView));
      ChangedKeys changed;
      all.front()->apply(event, batch, changed);
      std::vector<ViewWrite> writes;
      for (const auto& [key, value] : batch.changes()) writes.push_back({batch.view(), key, value});
      ASSERT_TRUE(store->commit(writes));
    }
  }
  uint64_t number(OrdinalClass of, const std::string& id) {
    return ordinal_of(*store->reader(), of, id).value().value_or(0);
  }

  Shop shop;
  std::unique_ptr<ViewStore> store = make_memory_view_store({std::string(kOrdinalsView)});
};

TEST_F(OrdinalsTest, NumbersCountFromOneInTheOrderOfFirstSight) {
  shop.say(registered("Voron"), "voron-2");
  shop.say(job_started("prusa.1"), "prusa");
  shop.say(job_started("voron-2.7"), "voron-2");
  shop.say(job_started("prusa.1"), "prusa");
  fold();
  EXPECT_EQ(number(OrdinalClass::kMachine, "voron-2"), 1u);
  EXPECT_EQ(number(OrdinalClass::kMachine, "prusa"), 2u);
  EXPECT_EQ(number(OrdinalClass::kJob, "prusa.1"), 1u);
  EXPECT_EQ(number(OrdinalClass::kJob, "voron-2.7"), 2u);
  EXPECT_EQ(number(OrdinalClass::kJob, "nobody"), 0u);
}

TEST_F(OrdinalsTest, ANumberLeadsBackToItsId) {
  shop.say(job_started("prusa.1"), "prusa");
  shop.say(job_started("prusa.2"), "prusa");
  fold();
  EXPECT_EQ(*id_of_ordinal(*store->reader(), OrdinalClass::kJob, 2).value(), "prusa.2");
  EXPECT_FALSE(id_of_ordinal(*store->reader(), OrdinalClass::kJob, 3).value());
}

TEST_F(OrdinalsTest, RecordsOfTwoMachinesMayHaveOneId) {
  schema::MaintenanceRecordedT record;
  record.record_id = "m1";
  shop.say(record, "prusa");
  shop.say(record, "voron-2");
  fold();
  EXPECT_EQ(number(OrdinalClass::kMaintenanceRecord, "prusa/m1"), 1u);
  EXPECT_EQ(number(OrdinalClass::kMaintenanceRecord, "voron-2/m1"), 2u);
}

}  // namespace
}  // namespace millrace
