// SPDX-License-Identifier: Apache-2.0
#include "bus/command_message.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "bus/command_key.h"
#include "bus/file_io.h"
#include "bus/json_reader.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

constexpr const char* kKey = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

CommandMessage pause_of_anna() {
  CommandMessage message;
  message.id = "c-1";
  message.machine = "voron-2";
  message.command = "pause";
  message.actor = "Anna";
  message.client = "http";
  message.key_id = "k1";
  message.scopes = {"read", "operate"};
  message.recorded = true;
  message.order = {1'780'000'000'000, 1'234};
  message.sent_at = testing::noon();
  message.idempotency_key = "once";
  message.expected_job_id = "voron-2.1";
  return message;
}

std::string refusal(std::string_view payload) {
  const auto decoded = decode_command("voron-2", "pause", payload, kKey);
  return decoded ? "taken" : decoded.error().context;
}

TEST(CommandMessage, WhatTheHubSignsComesBackWhole) {
  const CommandMessage sent = pause_of_anna();
  const auto received = decode_command("voron-2", "pause", encode_signed_command(sent, kKey), kKey);
  ASSERT_TRUE(received) << received.error().context;
  EXPECT_TRUE(received->is_signed);
  const CommandMessage& message = received->message;
  EXPECT_EQ(message.id, sent.id);
  EXPECT_EQ(message.machine, "voron-2");
  EXPECT_EQ(message.command, "pause");
  EXPECT_EQ(message.actor, "Anna");
  EXPECT_EQ(message.key_id, "k1");
  EXPECT_EQ(message.scopes, sent.scopes);
  EXPECT_TRUE(message.recorded);
  EXPECT_EQ(message.order, sent.order);
  EXPECT_EQ(message.sent_at, sent.sent_at);
  EXPECT_EQ(message.idempotency_key, "once");
  EXPECT_EQ(message.expected_job_id, "voron-2.1");
}

TEST(CommandMessage, AForgedActorIsRefused) {
  std::string payload = encode_signed_command(pause_of_anna(), kKey);
  const size_t at = payload.find("Anna");
  payload.replace(at, 4, "Boss");
  const auto decoded = decode_command("voron-2", "pause", payload, kKey);
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::kConflict);
}

TEST(CommandMessage, WhatIsSignedHasAPlaceInTheLog) {
  CommandMessage message = pause_of_anna();
  message.order = {};
  EXPECT_NE(refusal(encode_signed_command(message, kKey)).find("place in the log"), std::string::npos);
}

TEST(CommandMessage, ASignedCommandIsForItsMachineAndCommandOnly) {
  const std::string payload = encode_signed_command(pause_of_anna(), kKey);
  EXPECT_FALSE(decode_command("ender-3", "pause", payload, kKey));
  EXPECT_FALSE(decode_command("voron-2", "resume", payload, kKey));
  EXPECT_FALSE(decode_command("voron-2", "pause", payload, ""));
}

TEST(CommandMessage, AStrangerMaySayOnlyWhatIsHis) {
  const auto received = decode_command("voron-2", "set_temperature",
                                       R"({"args":{"heater":"extruder","target":200},"key":"mr_secret","actor":"HA",)"
                                       R"("expires_in_s":2.5,"sent_at":"2026-11-21T12:00:00Z"})",
                                       kKey);
  ASSERT_TRUE(received) << received.error().context;
  EXPECT_FALSE(received->is_signed);
  EXPECT_EQ(received->api_key, "mr_secret");
  EXPECT_EQ(received->message.claimed_actor, "HA");
  EXPECT_EQ(received->message.actor, "");
  EXPECT_TRUE(received->message.scopes.empty());
  EXPECT_FALSE(received->message.recorded);
  EXPECT_EQ(received->message.expires_in_s, 2.5);
  EXPECT_EQ(received->message.sent_at, testing::noon());
}

TEST(CommandMessage, AnEmptyPayloadIsACommandWithoutArguments) {
  EXPECT_EQ(refusal(""), "taken");
  EXPECT_EQ(refusal(" \r\n"), "taken");
}

TEST(CommandMessage, WhatIsWrongIsNamedWithItsValue) {
  EXPECT_NE(refusal("PRESS").find("no JSON"), std::string::npos);
  EXPECT_NE(refusal("[1]").find("object"), std::string::npos);
  EXPECT_NE(refusal(R"({"args":[1]})").find("args=[1]"), std::string::npos);
  EXPECT_NE(refusal(R"({"scopes":["administer"]})").find("'scopes'"), std::string::npos);
  EXPECT_NE(refusal(R"({"recorded":true})").find("'recorded'"), std::string::npos);
  EXPECT_NE(refusal(R"({"expires_in_s":0})").find("expires_in_s=0"), std::string::npos);
  EXPECT_NE(refusal(R"({"expires_in_s":601})").find("up to 600"), std::string::npos);
  EXPECT_NE(refusal(R"({"expires_in_s":"5"})").find("expires_in_s"), std::string::npos);
  EXPECT_NE(refusal(R"({"id":"a b"})").find("id="), std::string::npos);
  EXPECT_NE(refusal(R"({"id":")" + std::string(65, 'x') + "\"}").find("id="), std::string::npos);
  EXPECT_NE(refusal(R"({"sent_at":"yesterday"})").find("sent_at"), std::string::npos);
  EXPECT_NE(refusal(R"({"args":{},"args":{}})").find("twice"), std::string::npos);
  EXPECT_NE(refusal("{\"key\":\"" + std::string(300, 'k') + "\"}").find("200 bytes"), std::string::npos);
  EXPECT_NE(refusal(std::string(1u << 20, ' ')).find("expected at most"), std::string::npos);
  EXPECT_NE(refusal(std::string(100, '[') + std::string(100, ']')).find("no JSON"), std::string::npos);
}

// As JSON, a script of `bytes`, of which each other one is escaped.
std::string script_of(size_t bytes) {
  std::string script;
  for (size_t i = 0; i < bytes; ++i) script += i % 2 == 0 ? "a" : "\\n";
  return R"({"script":")" + script + R"("})";
}

TEST(CommandMessage, ArgumentsHaveTheirLimits) {
  const auto taken = [](const std::string& command, const std::string& args) {
    return decode_command("voron-2", command, R"({"args":)" + args + "}", kKey).has_value();
  };
  const auto padded = [](size_t bytes) { return R"({"x":")" + std::string(bytes - 8, 'x') + R"("})"; };
  EXPECT_TRUE(taken("macro", padded(kMaxCommandArgs)));
  EXPECT_FALSE(taken("macro", padded(kMaxCommandArgs + 1)));
  EXPECT_TRUE(taken("gcode", padded(kMaxGcodeArgs)));
  EXPECT_FALSE(taken("gcode", padded(kMaxGcodeArgs + 1)));
}

TEST(CommandMessage, SixtyFourKibOfGcodeComeBackWholeHoweverJsonEscapesThem) {
  for (const std::string& script : {std::string(64u << 10, 'G'), std::string(64u << 10, '\n'),
                                    std::string(64u << 10, '"'), std::string(64u << 10, '\\')}) {
    std::string escaped;
    for (const char c : script) escaped += c == '\n' ? "\\n" : c == 'G' ? "G" : std::string("\\") + c;
    CommandMessage sent = pause_of_anna();
    sent.args = R"({"script":")" + escaped + R"("})";
    const auto received = decode_command("voron-2", "pause", encode_signed_command(sent, kKey), kKey);
    ASSERT_TRUE(received) << received.error().context;
    EXPECT_EQ(received->message.args, sent.args);
    EXPECT_TRUE(decode_command("voron-2", "gcode", R"({"args":)" + sent.args + "}", kKey));
  }
}

TEST(CommandMessage, LongArgumentsAreRecordedWithTheirBeginningAndAHash) {
  EXPECT_EQ(recorded_args(R"({"x":1})"), R"({"x":1})");
  const std::string longest = script_of((kMaxCommandArgs - 13) * 2 / 3);
  ASSERT_LE(longest.size(), kMaxCommandArgs);
  EXPECT_EQ(recorded_args(longest), longest);
  const std::string long_one = recorded_args(script_of(64u << 10));
  EXPECT_LE(long_one.size(), kMaxCommandArgs);
  EXPECT_GE(long_one.size(), kMaxCommandArgs / 2);
  EXPECT_TRUE(long_one.starts_with(R"({"script":"a\na\na)")) << long_one.substr(0, 40);
  EXPECT_NE(long_one.find(R"("script_bytes":65536)"), std::string::npos);
  EXPECT_NE(long_one.find(R"("script_sha256":")"), std::string::npos);
  const std::string quotes = recorded_args(R"({"script":")" + std::string(60u << 10, '\\') + R"("})");
  EXPECT_LE(quotes.size(), kMaxCommandArgs);
  EXPECT_NE(quotes.find(R"("script":")"), std::string::npos);
  std::string umlauts;
  while (umlauts.size() < (60u << 10)) umlauts += "ä";
  EXPECT_TRUE(JsonReader().parse(recorded_args(R"({"script":"; )" + umlauts + R"("})"))) << "no character in part";
  const std::string other = recorded_args(R"({"none":")" + std::string(50u << 10, 'x') + R"("})");
  EXPECT_TRUE(other.starts_with(R"({"args_bytes":51)")) << other.substr(0, 80);
}

TEST(CommandKey, IsMadeOnceAndReadByItsOwnerAlone) {
  const testing::TemporaryDirectory directory;
  const auto file = directory / "command_key";
  EXPECT_EQ(read_command_key(file).value(), "");
  SystemRandom random;
  const std::string key = read_or_make_command_key(file, random).value();
  EXPECT_EQ(key.size(), 64u);
  EXPECT_EQ(read_or_make_command_key(file, random).value(), key);
  struct stat status {};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
  ASSERT_TRUE(write_file_durably(file, "short\n", 0600));
  const auto broken = read_command_key(file);
  ASSERT_FALSE(broken);
  EXPECT_EQ(broken.error().context.find("short"), std::string::npos) << "a key is never shown";
}

// RFC 4231, test case 2.
TEST(CommandKey, SignaturesAreHmacSha256) {
  EXPECT_EQ(command_signature("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_TRUE(is_command_signature("Jefe", "what do ya want for nothing?",
                                   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"));
  EXPECT_FALSE(is_command_signature("Jefe", "what do ya want for nothing?", "5bdc"));
  EXPECT_FALSE(is_command_signature("", "", command_signature("", "")));
}

}  // namespace
}  // namespace millrace
