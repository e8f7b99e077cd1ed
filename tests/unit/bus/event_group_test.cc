// SPDX-License-Identifier: Apache-2.0
#include "bus/event_group.h"

#include <gtest/gtest.h>

#include <cstring>

#include "bus/random.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

class EventGroupTest : public ::testing::Test {
 protected:
  // Events in positions first, first + step, ...
  std::string encode(const std::vector<Envelope>& events, uint64_t first = 100, uint64_t step = 1) {
    std::vector<GroupMember> members;
    for (const Envelope& event : events) members.push_back({Position{first + step * members.size()}, event.bytes()});
    return std::string(encoder_.encode(noon(), members, digest_));
  }

  void expect_same(const std::vector<Envelope>& events, uint64_t first = 100, uint64_t step = 1) {
    const auto group = decode_group(encode(events, first, step)).value();
    EXPECT_EQ(group.recorded_at, noon());
    EXPECT_EQ(group.first, Position{first});
    ASSERT_EQ(group.events.size(), events.size());
    for (size_t i = 0; i < events.size(); ++i) {
      EXPECT_EQ(group.events[i].position, Position{first + step * i});
      EXPECT_EQ(group.events[i].recorded_at, noon());
      ASSERT_EQ(group.events[i].envelope.bytes(), events[i].bytes()) << i;
      EXPECT_EQ(reinterpret_cast<uintptr_t>(group.events[i].envelope.bytes().data()) % 8, 0u);
    }
  }

  // A text that LZ4 cannot shorten.
  Envelope noise(uint64_t sequence, size_t bytes) {
    schema::MachineStateChangedT payload;
    payload.text.resize(bytes);
    for (char& c : payload.text) c = static_cast<char>(random_.next());
    return event({"m1", 1, sequence}, draft_of(std::move(payload), "m1", noon()));
  }

  // `content` with a checksum that matches.
  static std::string sealed(std::string content) {
    const Sha256 digest = Sha256Digester().digest(content);
    return content.append(reinterpret_cast<const char*>(digest.data()), 8);
  }

  SeededRandom random_{5};
  GroupEncoder encoder_;
  Sha256 digest_{};
};

TEST_F(EventGroupTest, SmallGroupComesBack) { expect_same({fact("m1", 1, 1)}, 1); }

TEST_F(EventGroupTest, MixedSizesComeBack) {
  std::vector<Envelope> events;
  for (uint64_t i = 1; i <= 60; ++i)
    events.push_back(i % 3 ? fact("m1", 1, i) : fact_of_size("m1", 1, i, 100 + 37 * i));
  expect_same(events);
}

TEST_F(EventGroupTest, BodiesOfSeveralPiecesComeBack) {
  std::vector<Envelope> events;
  for (uint64_t i = 1; i <= 12; ++i) events.push_back(fact_of_size("m1", 1, i, 40'000));
  EXPECT_LT(encode(events).size(), 100'000u);  // compressed
  expect_same(events);
}

TEST_F(EventGroupTest, BodiesThatDoNotCompressComeBack) {
  std::vector<Envelope> events;
  for (uint64_t i = 1; i <= 6; ++i) events.push_back(noise(i, 40'000));
  EXPECT_GT(encode(events).size(), 240'000u);
  expect_same(events);
}

TEST_F(EventGroupTest, LengthsAroundTheEdgeOfAPieceComeBack) {
  constexpr size_t kPiece = (64u << 10) - 64;
  for (size_t more = 0; more < 320; more += 8) {
    expect_same({fact_of_size("m1", 1, 1, 32'000), fact_of_size("m1", 1, 2, kPiece - 32'200 + more)});
  }
}

TEST_F(EventGroupTest, PositionsMayHaveHoles) {
  // The facts of a commit leave out the places of its telemetry.
  expect_same({fact("m1", 1, 1), fact("m1", 1, 2), fact("m1", 1, 3)}, uint64_t{1} << 40, 1000);
}

TEST_F(EventGroupTest, EncoderIsReusable) {
  const std::string small = encode({fact("m1", 1, 1)});
  encode({fact_of_size("m1", 1, 1, 40'000), fact_of_size("m1", 1, 2, 40'000)});
  EXPECT_EQ(encode({fact("m1", 1, 1)}), small);
}

// From a lone event to bodies of two dozen pieces, which two threads compress.
TEST_F(EventGroupTest, AnyMixtureComesBackAndAlwaysAsTheSameBytes) {
  for (int round = 0; round < 60; ++round) {
    std::vector<Envelope> events;
    const uint64_t bytes = random_.next() % 1'500'000;
    for (uint64_t size = 0; size <= bytes; size += events.back().bytes().size()) {
      const uint64_t sequence = events.size() + 1;
      const size_t length = 1 + random_.next() % (round % 2 == 0 ? 2'000 : 40'000);
      events.push_back(random_.next() % 3 == 0 ? noise(sequence, length) : fact_of_size("m1", 1, sequence, length));
    }
    expect_same(events);
    GroupEncoder other;
    std::vector<GroupMember> members;
    for (const Envelope& event : events) members.push_back({Position{100 + members.size()}, event.bytes()});
    Sha256 digest{};
    EXPECT_EQ(other.encode(noon(), members, digest), encode(events));
    EXPECT_EQ(digest, digest_);
  }
}

TEST_F(EventGroupTest, DigestIsThatOfTheContent) {
  const std::string value = encode({fact("m1", 1, 1)});
  EXPECT_EQ(digest_, Sha256Digester().digest(std::string_view(value).substr(0, value.size() - 8)));
  EXPECT_EQ(std::memcmp(digest_.data(), value.data() + value.size() - 8, 8), 0);
}

TEST_F(EventGroupTest, EventsOutliveTheGroup) {
  std::optional<Envelope> kept;
  kept = decode_group(encode({fact("m1", 1, 1), fact("m1", 1, 2)}))->events[1].envelope;
  EXPECT_EQ(kept->sequence(), 2u);
}

TEST_F(EventGroupTest, EveryFlippedBitIsDetected) {
  std::string value = encode({fact("m1", 1, 1), telemetry("m1", 1, 2), fact("m1", 1, 3)});
  for (size_t bit = 0; bit < value.size() * 8; ++bit) {
    const char before = value[bit / 8];
    value[bit / 8] = static_cast<char>(before ^ (1 << bit % 8));
    const auto decoded = decode_group(value);
    ASSERT_FALSE(decoded) << bit;
    ASSERT_EQ(decoded.error().code, Errc::kCorrupt);
    value[bit / 8] = before;
  }
  EXPECT_TRUE(decode_group(value));
}

TEST_F(EventGroupTest, EveryTruncationIsDetected) {
  const std::string value = encode({fact("m1", 1, 1), fact_of_size("m1", 1, 2, 2000)});
  for (size_t length = 0; length < value.size(); ++length) {
    ASSERT_EQ(decode_group(std::string_view(value).substr(0, length)).error().code, Errc::kCorrupt) << length;
  }
  EXPECT_EQ(decode_group(value + '\0').error().code, Errc::kCorrupt);
}

TEST_F(EventGroupTest, LiesUnderAGoodChecksumAreCorruptOrHarmless) {
  for (const bool large : {false, true}) {
    const std::string value = encode({fact_of_size("m1", 1, 1, large ? 3000 : 160), fact("m1", 1, 2)});
    const std::string content = value.substr(0, value.size() - 8);
    size_t refused = 0;
    for (size_t at = 0; at < 80; ++at) {
      for (const char byte : {'\x00', '\x01', '\x7f', '\xff'}) {
        std::string changed = content;
        changed[at] = byte;
        refused += !decode_group(sealed(changed));
      }
    }
    EXPECT_GT(refused, 20u);
  }
}

TEST_F(EventGroupTest, EventShorterThanAnEnvelopeIsCorrupt) {
  const std::string value = encode({fact("m1", 1, 1)});
  std::string content = value.substr(0, value.size() - 8);
  ASSERT_EQ(content[28], 0);                   // stored as it is
  std::memset(content.data() + 32 + 4, 0, 4);  // the length of event 0
  EXPECT_EQ(decode_group(sealed(content)).error().code, Errc::kCorrupt);
}

}  // namespace
}  // namespace millrace
