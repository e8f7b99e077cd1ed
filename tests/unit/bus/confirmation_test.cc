// SPDX-License-Identifier: Apache-2.0
#include "bus/confirmation.h"

#include <gtest/gtest.h>

#include <limits>

namespace millrace {
namespace {

TEST(Confirmation, IsReadableOffTheBroker) {
  EXPECT_EQ(encode({"log-1", {1'763'700'000'000, 42}, Confirmation::Status::kOk}),
            R"({"incarnation":"log-1","epoch":"1763700000000","sequence":42,"status":"ok"})");
}

TEST(Confirmation, EveryStatusComesBackAsItWent) {
  for (auto status : {Confirmation::Status::kOk, Confirmation::Status::kResend, Confirmation::Status::kFenced}) {
    const auto read = decode_confirmation(encode({"a\"b", {std::numeric_limits<uint64_t>::max(), 7}, status})).value();
    EXPECT_EQ(read.incarnation, "a\"b");
    EXPECT_EQ(read.recorded, (EventOrder{std::numeric_limits<uint64_t>::max(), 7}));
    EXPECT_EQ(read.status, status);
  }
}

TEST(Confirmation, OfNothingYetHasZeros) {
  const auto read = decode_confirmation(encode({"log-1", {}, Confirmation::Status::kResend})).value();
  EXPECT_EQ(read.recorded, EventOrder{});
}

TEST(Confirmation, ARequestToResendIsKeptUntilMoreIsRecorded) {
  Confirmation latest{"log-1", {1, 7}, Confirmation::Status::kResend};
  keep_latest(latest, {"log-1", {1, 7}, Confirmation::Status::kOk});
  EXPECT_EQ(latest.status, Confirmation::Status::kResend);
  keep_latest(latest, {"log-1", {1, 8}, Confirmation::Status::kOk});
  EXPECT_EQ(latest.status, Confirmation::Status::kOk);
  EXPECT_EQ(latest.recorded, (EventOrder{1, 8}));
}

TEST(Confirmation, ThatFencesIsNotTakenForARequestToResend) {
  Confirmation latest{"log-1", {1, 7}, Confirmation::Status::kResend};
  keep_latest(latest, {"log-1", {1, 7}, Confirmation::Status::kFenced});
  EXPECT_EQ(latest.status, Confirmation::Status::kFenced);
}

TEST(Confirmation, OtherTextIsMalformed) {
  for (const char* text : {
           "",
           "null",
           "[]",
           "7",
           "{",
           R"({"incarnation":"a"})",
           R"({"epoch":"1","sequence":1,"status":"ok"})",
           R"({"incarnation":"a","epoch":1,"sequence":1,"status":"ok"})",
           R"({"incarnation":"a","epoch":"1x","sequence":1,"status":"ok"})",
           R"({"incarnation":"a","epoch":"","sequence":1,"status":"ok"})",
           R"({"incarnation":"a","epoch":"-1","sequence":1,"status":"ok"})",
           R"({"incarnation":"a","epoch":"18446744073709551616","sequence":1,"status":"ok"})",
           R"({"incarnation":"a","epoch":"1","sequence":-1,"status":"ok"})",
           R"({"incarnation":"a","epoch":"1","sequence":1.5,"status":"ok"})",
           R"({"incarnation":"a","epoch":"1","sequence":1,"status":"fine"})",
           R"({"incarnation":"a","epoch":"1","sequence":1,"status":null})",
       }) {
    EXPECT_EQ(decode_confirmation(text).error().code, Errc::kMalformed) << text;
  }
}

TEST(Confirmation, LongTextIsTooLarge) {
  EXPECT_EQ(decode_confirmation(std::string(1025, ' ')).error().code, Errc::kTooLarge);
}

}  // namespace
}  // namespace millrace
