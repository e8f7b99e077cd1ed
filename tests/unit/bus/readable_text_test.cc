// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "bus/utf8.h"

namespace millrace {
namespace {

TEST(ReadableText, WhatIsUtf8StaysAndTheRestIsReplaced) {
  EXPECT_EQ(readable_text("Gr\xC3\xB6\xC3\x9F\xF0\x9F\x98\x80"), "Gr\xC3\xB6\xC3\x9F\xF0\x9F\x98\x80");
  EXPECT_EQ(readable_text(std::string_view("a\0b", 3)),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(readable_text("\xC3"), "\xEF\xBF\xBD");                                  // cut
  EXPECT_EQ(readable_text("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  EXPECT_EQ(readable_text(""), "");
}

}  // namespace
}  // namespace millrace
