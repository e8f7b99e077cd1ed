// SPDX-License-Identifier: Apache-2.0
// A broker that keeps its retained messages in a file still says what another log confirmed.
#include <gtest/gtest.h>

#include <set>

#include "tests/component/line/line.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

// Every number from 1 to the last is in the log or in an EventsDropped, and none in both.
void expect_recorded_or_named(const EventLog& log, const std::string& producer) {
  std::set<uint64_t> seen;
  uint64_t last = 0;
  const auto read = log.read({}, {.events = 100'000}, {}).value();
  for (const RecordedEvent& event : read.events) {
    const auto* dropped = event.envelope.as<schema::EventsDropped>();
    if (dropped != nullptr && text(dropped->producer()) == producer) {
      for (uint64_t s = dropped->from_sequence(); s <= dropped->to_sequence(); ++s) EXPECT_TRUE(seen.insert(s).second);
      EXPECT_EQ(dropped->count(), dropped->to_sequence() - dropped->from_sequence() + 1);
    }
    if (event.envelope.producer() != producer) continue;
    EXPECT_GT(event.envelope.sequence(), last) << "in order";
    last = event.envelope.sequence();
    EXPECT_TRUE(seen.insert(last).second) << last;
  }
  EXPECT_EQ(seen.size(), last) << "no hole without a name";
  EXPECT_EQ(log.mark(producer)->sequence, last);
}

TEST(LineIncarnationTest, RetainedConfirmationsOfAnotherLogLeaveNoHoleWithoutAName) {
  TemporaryDirectory directory;
  Broker broker(directory / "broker", true);
  broker.start();
  std::optional<LineHub> hub(std::in_place, directory / "log", broker.url());
  LineProducer producer("a", directory / "a", broker.url());
  producer.emit(500);
  ASSERT_TRUE(eventually([&] { return producer.unconfirmed() == 0; }));
  const Position before = hub->log().last();
  EXPECT_EQ(before.value, 501u);
  hub.reset();
  broker.stop();  // the retained confirmation of 501 is in its file
  producer.emit(300);
  broker.start();
  hub.emplace(directory / "other log", broker.url());
  ASSERT_TRUE(eventually([&] { return producer.unconfirmed() == 0; }));
  producer.emit(100);
  ASSERT_TRUE(eventually([&] { return producer.unconfirmed() == 0; }));
  expect_recorded_or_named(hub->log(), "a");
  EXPECT_EQ(hub->log().mark("a")->sequence, 901u);
}

}  // namespace
}  // namespace millrace
