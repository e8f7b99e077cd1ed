// SPDX-License-Identifier: Apache-2.0
#include "tests/support/log_checks.h"

#include <gtest/gtest.h>

namespace millrace::testing {

std::map<std::string, EventOrder> check_order(const EventLog& log) {
  std::map<std::string, EventOrder> last;
  for (Position after; after < log.last();) {
    const auto read = log.read(after, {.events = 4096}, {});
    if (!read) {
      ADD_FAILURE() << read.error().message();
      return last;
    }
    for (const RecordedEvent& event : read->events) {
      EXPECT_EQ(event.position.value, after.value + 1) << "positions are dense";
      after = event.position;
      const std::string producer(event.envelope.producer());
      EventOrder& previous = last[producer];
      const EventOrder order = event.envelope.order();
      const bool follows = order.epoch == previous.epoch ? order.sequence == previous.sequence + 1
                                                         : order.epoch > previous.epoch && order.sequence == 1;
      if (!follows) {
        ADD_FAILURE() << producer << " " << order.epoch << "/" << order.sequence << " after " << previous.epoch << "/"
                      << previous.sequence << " at position " << after.value;
        return last;
      }
      previous = order;
    }
  }
  return last;
}

uint64_t count_of(const EventLog& log, EventType type) {
  EventFilter filter;
  filter.types = {type};
  uint64_t count = 0;
  for (Position after; after < log.last();) {
    const auto read = log.read(after, {.events = 4096}, filter);
    if (!read) {
      ADD_FAILURE() << read.error().message();
      return count;
    }
    count += read->events.size();
    after = read->through;
  }
  return count;
}

}  // namespace millrace::testing
