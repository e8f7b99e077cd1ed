// SPDX-License-Identifier: Apache-2.0
#include "bus/base64.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Base64, IsThatOfTheStandardsExamples) {  // RFC 4648, section 10
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

}  // namespace
}  // namespace millrace
