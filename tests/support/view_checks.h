// SPDX-License-Identifier: Apache-2.0
// What must hold for the views at rest.  In the header, because the support library knows no projections.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>

#include "bus/event_log.h"
#include "projections/digest.h"
#include "projections/registry.h"
#include "projections/view_store.h"

namespace millrace::testing {

// Every view equals a replay of the log, byte for byte.
inline void check_views(const EventLog& log, const ViewStore& store) {
  for (const auto& name : projection_names()) {
    const auto replayed = rebuild_digest(log, name, log.last());
    const auto kept = view_digest(*store.reader(), name);
    ASSERT_TRUE(replayed && kept) << name;
    EXPECT_EQ(*replayed, *kept) << name;
  }
}

inline void check_views(const EventLog& log, const std::filesystem::path& directory) {
  const auto store = open_rocksdb_view_store(directory, view_names());
  ASSERT_TRUE(store) << store.error().message();
  check_views(log, **store);
}

}  // namespace millrace::testing
