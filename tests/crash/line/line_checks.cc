// SPDX-License-Identifier: Apache-2.0
#include "tests/crash/line/line_checks.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "projections/digest.h"
#include "projections/registry.h"
#include "projections/view_store.h"
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

void check_views(const EventLog& log, const std::filesystem::path& directory) {
  const auto store = open_rocksdb_view_store(directory, view_names());
  ASSERT_TRUE(store) << store.error().message();
  for (const auto& name : projection_names()) {
    const auto replayed = rebuild_digest(log, name, log.last());
    const auto kept = view_digest(*(*store)->reader(), name);
    ASSERT_TRUE(replayed && kept);
    EXPECT_EQ(*replayed, *kept) << name;
  }
}

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace millrace::testing
