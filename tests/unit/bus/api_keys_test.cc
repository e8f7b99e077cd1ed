// SPDX-License-Identifier: Apache-2.0
#include "bus/api_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>
#include <thread>

#include "bus/base64.h"
#include "bus/file_io.h"
#include "bus/hmac.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace std::chrono_literals;
using Verdict = ApiKeys::Verdict;
using testing::ManualClock;
using testing::TemporaryDirectory;

class ApiKeysTest : public ::testing::Test {
 protected:
  ApiKeys::Made make(const std::string& name, WallTime expires = {}) {
    ApiKeyFields fields{name, {"read", "operate"}};
    fields.expires_at = expires;
    return keys.create(fields).value();
  }
  std::string content() const { return read_file(keys.file()).value(); }

  TemporaryDirectory directory;
  ManualClock clock;
  SystemRandom random;
  ApiKeys keys{directory / "keys.json", clock, random};
};

TEST_F(ApiKeysTest, AKeyIsTakenAndNeverStored) {
  const auto made = make("bench");
  EXPECT_TRUE(looks_like_api_key(made.secret)) << made.secret.size();
  EXPECT_EQ(made.key.prefix, made.secret.substr(0, 12));
  const auto found = keys.verify(made.secret);
  EXPECT_EQ(found.verdict, Verdict::kGood);
  EXPECT_EQ(found.key.name, "bench");
  EXPECT_EQ(content().find(made.secret.substr(12)), std::string::npos);
  struct stat status {};
  ASSERT_EQ(::stat(keys.file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(ApiKeysTest, WhatIsNoKeyIsNotTaken) {
  const auto made = make("bench");
  std::string other = made.secret;
  other.back() = other.back() == 'A' ? 'B' : 'A';  // the prefix is right
  for (const std::string& text : {other, std::string(), made.secret.substr(0, 45), made.secret + "A", made.key.hash,
                                  std::string("mr_"), std::string(46, 'A'), std::string(100'000, 'm')}) {
    EXPECT_EQ(keys.verify(text).verdict, Verdict::kUnknown) << text.substr(0, 60);
  }
}

TEST_F(ApiKeysTest, KeysOfOnePrefixAreToldApart) {
  std::set<std::string> secrets;
  for (int i = 0; i < 50; ++i) secrets.insert(make("key " + std::to_string(i)).secret);
  EXPECT_EQ(secrets.size(), 50u);
  for (const std::string& secret : secrets) EXPECT_EQ(keys.verify(secret).verdict, Verdict::kGood);
}

TEST_F(ApiKeysTest, ExpiredAndInactiveKeysAreNamedAsSuch) {
  const auto made = make("bench", clock.wall() + 1h);
  clock.advance(1h - 1us);
  EXPECT_EQ(keys.verify(made.secret).verdict, Verdict::kGood);
  clock.advance(1us);
  EXPECT_EQ(keys.verify(made.secret).verdict, Verdict::kExpired);
  ApiKeyFields fields = fields_of(made.key);
  fields.expires_at = {};
  fields.active = false;
  ASSERT_TRUE(keys.change(made.key.id, fields));
  EXPECT_EQ(keys.verify(made.secret).verdict, Verdict::kInactive);
}

TEST_F(ApiKeysTest, RotatingMakesTheOldTextVoid) {
  const auto made = make("bench");
  const auto rotated = keys.rotate(made.key.id).value();
  EXPECT_EQ(keys.verify(made.secret).verdict, Verdict::kUnknown);
  EXPECT_EQ(keys.verify(rotated.secret).verdict, Verdict::kGood);
  EXPECT_EQ(rotated.key.id, made.key.id);
  EXPECT_EQ(rotated.key.generation, made.key.generation + 1);
}

TEST_F(ApiKeysTest, ARevokedKeyIsForgotten) {
  const auto made = make("bench");
  EXPECT_EQ(keys.revoke(made.key.id).value().name, "bench");
  EXPECT_EQ(keys.verify(made.secret).verdict, Verdict::kUnknown);
  EXPECT_TRUE(keys.empty());
  EXPECT_EQ(keys.revoke(made.key.id).error().code, Errc::kNotFound);
  EXPECT_EQ(make("next").key.number, made.key.number + 1) << "a number is never given twice";
}

TEST_F(ApiKeysTest, NamesDiffer) {
  make("bench");
  const auto other = make("other");
  EXPECT_EQ(keys.create({"bench", {"read"}}).error().code, Errc::kConflict);
  EXPECT_EQ(keys.change(other.key.id, {"bench", {"read"}}).error().code, Errc::kConflict);
  EXPECT_EQ(keys.keys().size(), 2u);
}

TEST_F(ApiKeysTest, ARuleThatSaysNoLeavesTheFileAsItWas) {
  const auto made = make("bench");
  const std::string before = content();
  const auto no = [](const std::vector<ApiKey>&) -> Result<void> { return make_error(Errc::kConflict, "no"); };
  EXPECT_EQ(keys.revoke(made.key.id, no).error().context, "no");
  EXPECT_EQ(content(), before);
  EXPECT_EQ(keys.verify(made.secret).verdict, Verdict::kGood);
}

TEST_F(ApiKeysTest, AnotherProcessSeesItAfterARefresh) {
  ApiKeys other(directory / "keys.json", clock, random);
  const auto made = make("bench");
  EXPECT_EQ(other.verify(made.secret).verdict, Verdict::kUnknown);
  ASSERT_TRUE(other.refresh());
  EXPECT_EQ(other.verify(made.secret).verdict, Verdict::kGood);
  ASSERT_TRUE(keys.revoke(made.key.id));
  ASSERT_TRUE(other.refresh());
  EXPECT_EQ(other.verify(made.secret).verdict, Verdict::kUnknown);
}

TEST_F(ApiKeysTest, WritersWaitForEachOther) {
  constexpr int kEach = 20;
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      ApiKeys own(directory / "keys.json", clock, random);
      for (int i = 0; i < kEach; ++i) {
        EXPECT_TRUE(own.create({std::to_string(w) + "." + std::to_string(i), {"read"}}));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  ASSERT_TRUE(keys.refresh());
  std::set<uint64_t> numbers;
  for (const ApiKey& key : keys.keys()) numbers.insert(key.number);
  EXPECT_EQ(numbers.size(), 4u * kEach);
}

TEST_F(ApiKeysTest, AFileThatIsNotWholeIsAnErrorAndTheKeysStay) {
  const auto made = make("bench");
  const std::string whole = content();
  for (const std::string& bad : {std::string("{"), std::string("[]"), std::string(R"({"keys":[{"id":"key-1"}]})"),
                                 whole.substr(0, whole.size() / 2)}) {
    ASSERT_TRUE(write_file_durably(keys.file(), bad));
    const auto read = keys.refresh();
    ASSERT_FALSE(read) << bad;
    EXPECT_NE(read.error().context.find("keys.json"), std::string::npos);
    EXPECT_EQ(read.error().context.find(made.key.hash), std::string::npos);
    EXPECT_EQ(keys.verify(made.secret).verdict, Verdict::kGood);
    EXPECT_FALSE(keys.create({"other", {"read"}})) << "nothing is written over it";
  }
}

TEST_F(ApiKeysTest, UsesAreWrittenOnceAMinute) {
  const auto made = make("bench");
  const std::string before = content();
  keys.verify(made.secret);
  EXPECT_EQ(keys.find(made.key.id)->last_used_at, clock.wall());
  ASSERT_TRUE(keys.save_uses());
  EXPECT_EQ(content(), before);
  clock.advance(1min);
  ASSERT_TRUE(keys.save_uses());
  EXPECT_NE(content(), before);
  ApiKeys other(directory / "keys.json", clock, random);
  ASSERT_TRUE(other.refresh());
  EXPECT_EQ(other.find(made.key.id)->last_used_at, clock.wall() - 1min);
}

// RFC 4231, test case 2.
TEST(HmacTest, KnownAnswer) {
  EXPECT_EQ(hex_of(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_TRUE(same_secret("abc", "abc"));
  EXPECT_FALSE(same_secret("abc", "abd"));
  EXPECT_FALSE(same_secret("abc", "abcd"));
}

TEST(Base64UrlTest, KnownAnswers) {
  EXPECT_EQ(base64url(""), "");
  EXPECT_EQ(base64url("M"), "TQ");
  EXPECT_EQ(base64url("\xfb\xff\xbf"), "-_-_");
  EXPECT_EQ(base64url(std::string(32, 'x')).size(), 43u);
}

}  // namespace
}  // namespace millrace
