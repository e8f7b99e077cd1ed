// SPDX-License-Identifier: Apache-2.0
// The parts of the door one by one: buckets, blocked addresses, sessions, tokens, denials, what a request shows.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "bus/file_io.h"
#include "tests/support/event_fixtures.h"
#include "web/edge/access/address_block.h"
#include "web/edge/access/credentials.h"
#include "web/edge/access/denial_record.h"
#include "web/edge/access/familiar_keys.h"
#include "web/edge/access/own_part.h"
#include "web/edge/access/rate_limits.h"
#include "web/edge/access/session_book.h"
#include "web/edge/access/socket_tokens.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ManualClock;
using testing::TemporaryDirectory;

Caller caller_of_key(const std::string& id) {
  Caller caller;
  caller.how = Caller::How::kKey;
  caller.key_id = id;
  caller.actor = id;
  return caller;
}

// --- rate limits

class RateLimitsTest : public ::testing::Test {
 protected:
  int passed(const Caller& caller, RateClass rate, int asked) {
    int count = 0;
    for (int i = 0; i < asked; ++i) count += limits.take(caller, rate).allowed() ? 1 : 0;
    return count;
  }
  ManualClock clock;
  RateLimits limits{{}, clock};
  const Caller key = caller_of_key("key-1");
};

TEST_F(RateLimitsTest, AMinutesWorthPassesAtOnceAndThenItsShare) {
  EXPECT_EQ(passed(key, RateClass::kOrdinary, 1'200), 1'000);
  const auto refused = limits.take(key, RateClass::kOrdinary);
  EXPECT_EQ(refused.retry_in, 1s);
  EXPECT_EQ(refused.remaining, 0u);
  EXPECT_EQ(refused.full_in, 60s);
  clock.advance(6s);
  EXPECT_EQ(passed(key, RateClass::kOrdinary, 200), 100);
}

TEST_F(RateLimitsTest, ClassesHaveTheirOwnSeconds) {
  EXPECT_EQ(passed(key, RateClass::kMotion, 150), 100);
  EXPECT_EQ(passed(key, RateClass::kSensor, 250), 200);
  EXPECT_EQ(passed(key, RateClass::kBatch, 20), 10);
  EXPECT_EQ(passed(key, RateClass::kOrdinary, 1), 1) << "another class goes on";
  clock.advance(1s);
  EXPECT_EQ(passed(key, RateClass::kBatch, 20), 10);
}

TEST_F(RateLimitsTest, ARefusedRequestTakesNothing) {
  EXPECT_EQ(passed(key, RateClass::kBatch, 500), 10);
  EXPECT_EQ(limits.look(key).remaining, 990u);
}

TEST_F(RateLimitsTest, CallersDoNotShareAndAKeyMayHaveItsOwn) {
  Caller other = caller_of_key("key-2");
  other.requests_per_minute = 60;
  EXPECT_EQ(passed(key, RateClass::kOrdinary, 1'000), 1'000);
  EXPECT_EQ(passed(other, RateClass::kOrdinary, 100), 60);
  EXPECT_EQ(limits.take(other, RateClass::kOrdinary).limit, 60u);
  Caller local;
  local.address = "127.0.0.1";
  EXPECT_EQ(passed(local, RateClass::kOrdinary, 5'000), 5'000);
}

TEST_F(RateLimitsTest, AClockThatStandsGivesNothingAndTheTableIsBounded) {
  RateLimits small({.requests_per_minute = 1, .max_callers = 3}, clock);
  EXPECT_TRUE(small.take(key, RateClass::kOrdinary).allowed());
  EXPECT_FALSE(small.take(key, RateClass::kOrdinary).allowed());
  for (int i = 0; i < 10; ++i) {
    clock.advance(1us);
    EXPECT_TRUE(small.take(caller_of_key("x" + std::to_string(i)), RateClass::kOrdinary).allowed());
  }
}

TEST_F(RateLimitsTest, AHundredSocketsAtATime) {
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(limits.open_socket(key));
  EXPECT_FALSE(limits.open_socket(key));
  EXPECT_TRUE(limits.open_socket(caller_of_key("key-2")));
  limits.close_socket(key);
  EXPECT_TRUE(limits.open_socket(key));
}

// --- blocked addresses

TEST(AddressBlockTest, TheDelayGrowsAndEnds) {
  ManualClock clock;
  AddressBlock block({}, clock);
  for (int i = 0; i < 5; ++i) block.failed("10.0.0.7");
  EXPECT_EQ(block.blocked_for("10.0.0.7"), 0s);
  std::vector<int64_t> delays;
  for (int i = 0; i < 12; ++i) {
    block.failed("10.0.0.7");
    delays.push_back(block.blocked_for("10.0.0.7").count());
  }
  EXPECT_EQ(delays, (std::vector<int64_t>{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}));
  EXPECT_EQ(block.blocked_for("10.0.0.8"), 0s);
  clock.advance(900s);
  EXPECT_EQ(block.blocked_for("10.0.0.7"), 0s);
  block.succeeded("10.0.0.7");
  block.failed("10.0.0.7");
  EXPECT_EQ(block.blocked_for("10.0.0.7"), 0s);
}

TEST(AddressBlockTest, AnHourWithoutAFailureIsForgotten) {
  ManualClock clock;
  AddressBlock block({}, clock);
  for (int i = 0; i < 5; ++i) block.failed("10.0.0.7");
  clock.advance(3'601s);
  block.failed("10.0.0.7");
  EXPECT_EQ(block.blocked_for("10.0.0.7"), 0s);
}

TEST(AddressBlockTest, TheTableIsBounded) {
  ManualClock clock;
  AddressBlock block({.max_addresses = 10}, clock);
  for (int i = 0; i < 100; ++i) {
    clock.advance(1us);
    block.failed("10.0.0." + std::to_string(i));
  }
  EXPECT_EQ(block.size(), 10u);
}

ApiKey key_called(const std::string& id, uint64_t generation = 1) {
  ApiKey key;
  key.id = id;
  key.generation = generation;
  return key;
}

TEST(FamiliarKeysTest, AKeyIsAtHomeWhereItWasLetInAsItIs) {
  ManualClock clock;
  FamiliarKeys familiar(clock);
  EXPECT_TRUE(familiar.note("192.0.2.7", key_called("a")));
  EXPECT_FALSE(familiar.note("192.0.2.7", key_called("a")));
  EXPECT_TRUE(familiar.knows("192.0.2.7", key_called("a")));
  EXPECT_FALSE(familiar.knows("192.0.2.8", key_called("a")));
  EXPECT_FALSE(familiar.knows("192.0.2.7", key_called("b")));
  EXPECT_FALSE(familiar.knows("192.0.2.7", key_called("a", 2))) << "it was rotated";
  EXPECT_TRUE(familiar.note("192.0.2.7", key_called("a", 2)));
  EXPECT_FALSE(familiar.knows("192.0.2.7", key_called("a")));
}

TEST(FamiliarKeysTest, TheTableIsBounded) {
  ManualClock clock;
  FamiliarKeys familiar(clock);
  for (size_t i = 0; i <= FamiliarKeys::kMaxEntries; ++i) {
    clock.advance(1s);
    familiar.note("192.0.2.7", key_called("key-" + std::to_string(i)));
  }
  EXPECT_FALSE(familiar.knows("192.0.2.7", key_called("key-0")));
  EXPECT_TRUE(familiar.knows("192.0.2.7", key_called("key-1")));
}

TEST(AddressBlockTest, AnIpv6AddressCountsWithItsNetwork) {
  EXPECT_EQ(block_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  EXPECT_EQ(block_of("[2001:db8:1:2::9]"), block_of("2001:db8:1:2:3:4:5:6"));
  EXPECT_EQ(block_of("::ffff:192.168.1.7"), "192.168.1.7");
  EXPECT_EQ(block_of("192.168.1.7"), "192.168.1.7");
  EXPECT_EQ(block_of("::1"), "::1");
}

// --- sessions

class SessionBookTest : public ::testing::Test {
 protected:
  std::string cookie() { return book.sign(book.open("key-1", 3)); }
  TemporaryDirectory directory;
  ManualClock clock;
  SystemRandom random;
  SessionBook book{directory / "sessions.json", {}, clock, random};
};

TEST_F(SessionBookTest, ASignedCookieIsTakenAndNoOther) {
  const std::string good = cookie();
  const auto checked = book.check(good);
  EXPECT_EQ(checked.verdict, SessionBook::Verdict::kGood);
  EXPECT_EQ(checked.session.key_id, "key-1");
  EXPECT_EQ(checked.session.generation, 3u);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = bad[i] == 'x' ? 'y' : 'x';
    EXPECT_EQ(book.check(bad).verdict, SessionBook::Verdict::kForged) << i;
  }
  for (const char* bad : {"", ".", "1.2.3.4.5.6", "a.b.c.d.e.f.g", "...................."}) {
    EXPECT_EQ(book.check(bad).verdict, SessionBook::Verdict::kForged);
  }
  SessionBook other({}, {}, clock, random);
  EXPECT_EQ(other.check(good).verdict, SessionBook::Verdict::kForged);
}

TEST_F(SessionBookTest, ItEndsWhenIdleAndAtTheLatestAfterAWeek) {
  const std::string idle = cookie();
  clock.advance(12h - 1s);
  EXPECT_EQ(book.check(idle).verdict, SessionBook::Verdict::kGood);
  clock.advance(1s);
  EXPECT_EQ(book.check(idle).verdict, SessionBook::Verdict::kExpired);
  Session session = book.open("key-1", 1);
  for (int hours = 0; hours < 7 * 24 - 1; ++hours) {
    clock.advance(1h);
    const auto next = book.renewed(session);
    ASSERT_TRUE(next);
    session = *next;
    ASSERT_EQ(book.check(book.sign(session)).verdict, SessionBook::Verdict::kGood) << hours;
  }
  clock.advance(1h);
  EXPECT_EQ(book.check(book.sign(session)).verdict, SessionBook::Verdict::kExpired);
}

TEST_F(SessionBookTest, ACookieIsSignedAnewAfterFiveMinutesNotAtEachRequest) {
  const Session session = book.open("key-1", 1);
  clock.advance(299s);
  EXPECT_FALSE(book.renewed(session));
  clock.advance(1s);
  EXPECT_TRUE(book.renewed(session));
}

TEST_F(SessionBookTest, AnEndedSessionStaysEndedAfterARestart) {
  ASSERT_TRUE(book.load());
  const std::string open = cookie();
  const std::string ended = cookie();
  EXPECT_TRUE(book.end(book.check(ended).session));
  EXPECT_FALSE(book.end(book.check(ended).session));
  ASSERT_TRUE(book.save());
  SessionBook later(directory / "sessions.json", {}, clock, random);
  ASSERT_TRUE(later.load());
  EXPECT_EQ(later.check(open).verdict, SessionBook::Verdict::kGood);
  EXPECT_EQ(later.check(ended).verdict, SessionBook::Verdict::kEnded);
  struct stat status {};
  ASSERT_EQ(::stat((directory / "sessions.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(SessionBookTest, MoreEndedThanAreKeptEndsAll) {
  SessionBook small({}, {.max_ended = 3}, clock, random);
  const std::string open = small.sign(small.open("key-1", 1));
  for (int i = 0; i < 4; ++i) small.end(small.open("key-1", 1));
  EXPECT_EQ(small.check(open).verdict, SessionBook::Verdict::kForged);
}

TEST_F(SessionBookTest, AFileThatIsNoneIsNamed) {
  ASSERT_TRUE(write_file_durably(directory / "sessions.json", R"({"signing_key":"short","ended":{}})"));
  const auto loaded = book.load();
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().context.find("sessions.json"), std::string::npos);
}

// --- tokens

TEST(SocketTokensTest, OpensOneSocketWithinThirtySeconds) {
  ManualClock clock;
  SystemRandom random;
  SocketTokens tokens(clock, random);
  const std::string token = tokens.make(caller_of_key("key-1"));
  EXPECT_EQ(tokens.use(token)->key_id, "key-1");
  EXPECT_FALSE(tokens.use(token));
  const std::string late = tokens.make(caller_of_key("key-1"));
  clock.advance(30s);
  EXPECT_FALSE(tokens.use(late));
  EXPECT_FALSE(tokens.use(""));
}

// --- denials

TEST(DenialRecordTest, TheFirstOfAMinuteAreToldAndTheRestCounted) {
  ManualClock clock;
  DenialRecord record(clock);
  int told = 0;
  for (int i = 0; i < 1'000; ++i) told += record.note("10.0.0.7", "key_invalid") ? 1 : 0;
  EXPECT_EQ(told, 3);
  EXPECT_EQ(record.note("10.0.0.7", "scope_missing"), 1u);
  clock.advance(60s);
  EXPECT_EQ(record.note("10.0.0.7", "key_invalid"), 998u) << "997 that were counted, and this one";
}

TEST(DenialRecordTest, AFloodFromEverywhereIsToldSixtyTimesAMinute) {
  ManualClock clock;
  DenialRecord record(clock);
  int told = 0;
  for (int i = 0; i < 20'000; ++i) told += record.note("10.0." + std::to_string(i), "key_missing") ? 1 : 0;
  EXPECT_EQ(told, 60);
}

// --- what a request shows

HttpRequest with(std::vector<std::pair<std::string, std::string>> headers) {
  HttpRequest request;
  request.method = "POST";
  request.headers = std::move(headers);
  return request;
}

TEST(CredentialsTest, KeysComeInThreeWays) {
  EXPECT_EQ(key_in(with({{"x-api-key", " mr_a "}})), "mr_a");
  EXPECT_EQ(key_in(with({{"authorization", "bEARER mr_b"}})), "mr_b");
  EXPECT_EQ(key_in(with({{"authorization", "Basic mr_b"}})), "");
  EXPECT_EQ(key_in(with({{"sec-websocket-protocol", "millrace.v1, key.mr_c"}})), "mr_c");
  EXPECT_EQ(key_in(with({{"x-api-key", "mr_a"}, {"authorization", "Bearer mr_b"}})), "mr_a");
  EXPECT_TRUE(offers_socket_protocol(with({{"sec-websocket-protocol", "key.mr_c,millrace.v1"}})));
}

TEST(CredentialsTest, CookiesAreFoundAmongOthers) {
  const auto request = with({{"cookie", "a=b; millrace_session=one; xmillrace_session=no; millrace_session=two"}});
  EXPECT_EQ(session_cookies_in(request, false), (std::vector<std::string>{"one", "two"}));
  EXPECT_TRUE(session_cookies_in(request, true).empty()) << "with TLS only the name that plain HTTP cannot set";
  EXPECT_NE(session_cookie("v", 1h, true).find("; HttpOnly; SameSite=Strict; Secure"), std::string::npos);
  EXPECT_EQ(session_cookie("v", 1h, false).find("Secure"), std::string::npos);
}

TEST(CredentialsTest, SameOriginHasToBeProven) {
  EXPECT_TRUE(is_proven_same_origin(with({{"sec-fetch-site", "same-origin"}})));
  EXPECT_FALSE(is_proven_same_origin(with({{"sec-fetch-site", "same-site"}, {"host", "h"}, {"origin", "http://h"}})));
  EXPECT_TRUE(is_proven_same_origin(with({{"host", "h:8080"}, {"origin", "http://h:8080"}})));
  EXPECT_FALSE(is_proven_same_origin(with({{"host", "h:8080"}, {"origin", "http://h"}})));
  EXPECT_FALSE(is_proven_same_origin(with({{"host", "h"}, {"origin", "null"}})));
  EXPECT_FALSE(is_proven_same_origin(with({{"host", "h"}})));
}

TEST(CredentialsTest, Addresses) {
  EXPECT_EQ(address_of("192.168.1.7:51234"), "192.168.1.7");
  EXPECT_EQ(address_of("[2001:db8::1]:51234"), "2001:db8::1");
  EXPECT_TRUE(is_this_computer("127.0.0.1"));
  EXPECT_TRUE(is_this_computer("127.1.2.3"));
  EXPECT_TRUE(is_this_computer("::1"));
  EXPECT_TRUE(is_this_computer("::ffff:127.0.0.1"));
  EXPECT_FALSE(is_this_computer("128.0.0.1"));
  EXPECT_FALSE(is_this_computer("0.0.0.0"));
  EXPECT_FALSE(is_this_computer("::"));
}

// --- what a key of some machines alone is shown

TEST(OwnPartTest, OtherMachinesAreLeftOut) {
  Caller caller = caller_of_key("key-1");
  caller.machines = {"voron-2"};
  const json list =
      json::parse(own_part(R"({"items":[{"id":"voron-2"},{"id":"mk4"}],"next_cursor":null,"total":2})", caller));
  EXPECT_EQ(list, json::parse(R"({"items":[{"id":"voron-2"}],"next_cursor":null,"total":1})"));
  const json delta = json::parse(own_part(
      R"({"type":"delta","position":7,"machines":[{"id":"mk4"}],"jobs":[{"id":"voron-2.1","machine":"voron-2"},)"
      R"({"id":"mk4.1","machine":"mk4"}],"removed_machines":["mk4"],"removed_jobs":["mk4.9","voron-2.9"]})",
      caller));
  EXPECT_EQ(delta, json::parse(R"({"type":"delta","position":7,"machines":[],"jobs":[{"id":"voron-2.1",)"
                               R"("machine":"voron-2"}],"removed_machines":[],"removed_jobs":["voron-2.9"]})"));
  EXPECT_EQ(own_part("[1]", caller), "");
  EXPECT_EQ(own_part("", caller), "");
}

}  // namespace
}  // namespace millrace
