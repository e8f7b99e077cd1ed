// SPDX-License-Identifier: Apache-2.0
#include "bus/envelope.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

struct RawEvent {
  std::string producer = "m1";
  std::string machine = "m1";
  uint64_t epoch = 1;
  uint64_t sequence = 1;
  EventType type = EventType::EpochOpened;
  bool payload = true;
  const char* identifier = schema::EnvelopeIdentifier();
};

// An event as no build() would make it.
std::string packed(const RawEvent& raw) {
  flatbuffers::FlatBufferBuilder builder;
  const auto producer = builder.CreateString(raw.producer);
  const auto machine = builder.CreateString(raw.machine);
  flatbuffers::Offset<void> payload;
  if (raw.payload) payload = builder.EndTable(builder.StartTable());
  builder.Finish(
      schema::CreateEnvelope(builder, producer, raw.epoch, raw.sequence, machine, 0, 0, 0, 0, 0, raw.type, payload),
      raw.identifier);
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

Errc refusal(std::string_view bytes) { return Envelope::verify(bytes).error().code; }

TEST(Envelope, BuiltEventReadsBackAsItWasDrafted) {
  auto draft = draft_of(schema::JobPausedT{}, "voron-2", noon(5), noon(3));
  draft.payload.AsJobPaused()->cause = "command";
  draft.actor = "someone";
  draft.causation = EventId{"hub", 9, 4};
  const Envelope built = event({"voron-2", 7, 12}, std::move(draft));
  const Envelope read = Envelope::verify(built.bytes()).value();
  EXPECT_EQ(read.id(), (EventId{"voron-2", 7, 12}));
  EXPECT_EQ(read.machine(), "voron-2");
  EXPECT_EQ(read.occurred_at(), noon(3));
  EXPECT_EQ(read.observed_at(), noon(5));
  EXPECT_EQ(text(read.table().actor()), "someone");
  EXPECT_EQ(read.table().causation()->sequence(), 4u);
  EXPECT_EQ(text(read.as<schema::JobPaused>()->cause()), "command");
}

TEST(Envelope, PayloadOfAnotherTypeIsNull) {
  const Envelope sample = telemetry("m1", 1, 1);
  EXPECT_EQ(sample.family(), Family::kTelemetry);
  EXPECT_NE(sample.as<schema::TelemetrySampled>(), nullptr);
  EXPECT_EQ(sample.as<schema::JobStarted>(), nullptr);
  EXPECT_EQ(fact("m1", 1, 1).family(), Family::kFact);
}

TEST(Envelope, VerifyCopiesBytesFromAnyAddress) {
  const Envelope built = fact("m1", 1, 1);
  for (size_t shift = 0; shift < 8; ++shift) {
    const std::string moved = std::string(shift, 'x') + std::string(built.bytes());
    const auto read = Envelope::verify(std::string_view(moved).substr(shift));
    ASSERT_TRUE(read) << shift;
    EXPECT_EQ(reinterpret_cast<uintptr_t>(read->bytes().data()) % 8, 0u);
    EXPECT_EQ(read->bytes(), built.bytes());
  }
}

TEST(Envelope, VerifyInPlaceKeepsTheOwnerAlive) {
  std::optional<Envelope> kept;
  {
    const SharedBytes owner = SharedBytes::copy_of(fact("m1", 1, 8).bytes());
    kept = Envelope::verify(owner, owner.view()).value();
    EXPECT_EQ(kept->bytes().data(), owner.view().data());
  }
  EXPECT_EQ(kept->sequence(), 8u);
}

TEST(Envelope, AcceptsTheLargestAndRefusesMore) {
  const Envelope large = fact_of_size("m1", 1, 1, Envelope::kMaxBytes - 64);
  EXPECT_TRUE(Envelope::verify(large.bytes()));
  schema::MachineStateChangedT payload;
  payload.text = std::string(Envelope::kMaxBytes, 'x');
  const auto refused = Envelope::build({"m1", 1, 1}, draft_of(std::move(payload), "m1", noon()));
  EXPECT_EQ(refused.error().code, Errc::kTooLarge);
  EXPECT_EQ(refusal(std::string(Envelope::kMaxBytes + 1, '\0')), Errc::kTooLarge);
}

TEST(Envelope, UnknownTypeIsIncompatible) {
  const auto unknown = static_cast<EventType>(static_cast<int>(EventType::MAX) + 1);
  EXPECT_EQ(refusal(packed({.type = unknown})), Errc::kIncompatible);
  EXPECT_EQ(refusal(packed({.type = static_cast<EventType>(255)})), Errc::kIncompatible);
  EXPECT_TRUE(Envelope::verify(packed({})));
}

TEST(Envelope, MissingPayloadIsMalformed) {
  EXPECT_EQ(refusal(packed({.payload = false})), Errc::kMalformed);
  EXPECT_EQ(refusal(packed({.type = EventType::NONE})), Errc::kMalformed);
}

TEST(Envelope, EventWithoutAnIdentityIsMalformed) {
  EXPECT_EQ(refusal(packed({.producer = ""})), Errc::kMalformed);
  EXPECT_EQ(refusal(packed({.epoch = 0})), Errc::kMalformed);
  EXPECT_EQ(refusal(packed({.sequence = 0})), Errc::kMalformed);
  EXPECT_TRUE(Envelope::verify(packed({.sequence = std::numeric_limits<uint64_t>::max()})));
}

TEST(Envelope, MachineIdIsChecked) {
  for (const char* bad : {"Voron", "a b", "a/b", "vor\xc3\xb3n", "a_b", "+", "#"}) {
    EXPECT_EQ(refusal(packed({.machine = bad})), Errc::kMalformed) << bad;
  }
  EXPECT_EQ(refusal(packed({.machine = std::string(65, 'a')})), Errc::kMalformed);
  EXPECT_TRUE(Envelope::verify(packed({.machine = std::string(64, 'a')})));
  EXPECT_TRUE(Envelope::verify(packed({.machine = ""})));  // concerns no machine
}

TEST(Envelope, OtherBytesAreMalformed) {
  EXPECT_EQ(refusal(""), Errc::kMalformed);
  EXPECT_EQ(refusal("hello"), Errc::kMalformed);
  EXPECT_EQ(refusal(std::string(1000, '\xff')), Errc::kMalformed);
  EXPECT_EQ(refusal(packed({.identifier = "MRE2"})), Errc::kMalformed);
}

TEST(Envelope, EveryTruncationIsReadOrRefused) {
  const std::string whole(telemetry("m1", 1, 1).bytes());
  size_t refused = 0;
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto read = Envelope::verify(std::string_view(whole).substr(0, length));
    if (read) {
      EXPECT_EQ(read->id(), (EventId{"m1", 1, 1}));  // only padding at the end was missing
    } else {
      ++refused;
    }
  }
  EXPECT_GE(refused, whole.size() - 8);
}

}  // namespace
}  // namespace millrace
