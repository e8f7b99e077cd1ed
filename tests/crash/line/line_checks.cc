// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/line/line_checks.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/log_checks.h"

namespace millrace::testing {

void check_log(const EventLog& log, const std::map<std::string, EventOrder>& confirmed) {
  auto last = check_order(log);
  for (const auto& [producer, order] : confirmed) {
    EXPECT_GE(last[producer], order) << producer << ": a confirmed event is not in the log";
  }
  EXPECT_EQ(count_of(log, EventType::EventsDropped), 0u) << "nothing was to be lost";
  EXPECT_EQ(count_of(log, EventType::EventRejected), 0u);
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace millrace::testing
