// SPDX-License-Identifier: Apache-2.0
#include "cli/process_limits.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "tests/support/sanitizers.h"

namespace millrace {
namespace {

TEST(ProcessLimits, LogAndViewsHaveTheirFilesBeforeConnectionsDo) {
  EXPECT_EQ(connections_within(65'536, 1024), 1024u);
  EXPECT_EQ(connections_within(1024, 1024), 512u);
  EXPECT_EQ(connections_within(256, 1024), 32u) << "a few, so that readiness can be asked for";
  EXPECT_EQ(connections_within(256, 10), 10u);
}

TEST(ProcessLimitsDeathTest, MemoryThatCannotBeHadEndsTheProcessWithOneLine) {
#if defined(MILLRACE_HAS_ADDRESS_SANITIZER) || defined(MILLRACE_HAS_THREAD_SANITIZER)
  GTEST_SKIP() << "a sanitizer's operator new ends the process by itself; ResourcesTest shows it with the real program";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        end_when_out_of_memory();
        // More than any machine has; in steps, because a single absurd request is refused elsewhere.
        std::vector<char*> held;
        while (true) held.push_back(new char[std::numeric_limits<ptrdiff_t>::max() / 4]);
      },
      ::testing::ExitedWithCode(1), "millrace: out of memory: the process ends now; nothing confirmed is lost");
}

}  // namespace
}  // namespace millrace
