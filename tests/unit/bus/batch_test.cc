// SPDX-License-Identifier: Apache-2.0
#include "bus/batch.h"

#include <gtest/gtest.h>

#include <limits>

#include "bus/event_json.h"
#include "tests/support/event_fixtures.h"

namespace millrace {
namespace {

using namespace testing;

std::string batch_of(const std::vector<Envelope>& events, EventOrder first = {3, 10}, std::string producer = "m1") {
  std::vector<std::string_view> bytes;
  for (const Envelope& event : events) bytes.push_back(event.bytes());
  return encode_batch({std::move(producer), first, {2, 7}, 4}, bytes);
}

std::vector<Envelope> three_events() {
  return {fact("m1", 3, 10), telemetry("m1", 3, 11), fact_of_size("m1", 3, 12, 999)};
}

TEST(Batch, ComesBackAsItWent) {
  const auto events = three_events();
  const auto batch = decode_batch(batch_of(events)).value();
  EXPECT_EQ(batch.header.producer, "m1");
  EXPECT_EQ(batch.header.first, (EventOrder{3, 10}));
  EXPECT_EQ(batch.header.oldest, (EventOrder{2, 7}));
  EXPECT_EQ(batch.header.sender_epoch, 4u);
  ASSERT_EQ(batch.entries.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(batch.entries[i].order, (EventOrder{3, 10 + i}));
    EXPECT_EQ(batch.entries[i].bytes, events[i].bytes());
    EXPECT_EQ(batch.entries[i].envelope->bytes(), events[i].bytes());
  }
}

TEST(Batch, EveryEnvelopeIsReadInPlace) {
  std::vector<Envelope> events;
  for (uint64_t i = 0; i < 40; ++i) events.push_back(fact_of_size("m1", 3, 10 + i, 150 + 13 * i));
  const auto batch = decode_batch(batch_of(events)).value();
  for (const BatchEntry& entry : batch.entries) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(entry.bytes.data()) % 8, 0u);
    EXPECT_EQ(entry.envelope->bytes().data(), entry.bytes.data());
  }
}

TEST(Batch, EnvelopesOutliveTheBatch) {
  std::optional<Envelope> kept;
  {
    const auto batch = decode_batch(batch_of(three_events())).value();
    kept = *batch.entries[1].envelope;
  }
  EXPECT_EQ(kept->sequence(), 11u);
}

TEST(Batch, UnalignedEnvelopeIsCopiedToWhereItMayBeRead) {
  const Envelope event = fact("m1", 3, 10);
  flatbuffers::FlatBufferBuilder builder;
  builder.CreateVector(std::vector<uint8_t>(1));  // moves what follows off the alignment
  std::vector<flatbuffers::Offset<schema::PackedEnvelope>> packed;
  for (int shift = 0; shift < 3; ++shift) {
    const auto bytes =
        builder.CreateVector(reinterpret_cast<const uint8_t*>(event.bytes().data()), event.bytes().size());
    packed.push_back(schema::CreatePackedEnvelope(builder, bytes));
  }
  const auto producer = builder.CreateString("m1");
  builder.Finish(schema::CreateBatch(builder, producer, 3, 10, 3, 10, builder.CreateVector(packed), 3));
  const auto batch =
      decode_batch({reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()}).value();
  bool unaligned = false;
  for (const BatchEntry& entry : batch.entries) {
    unaligned |= reinterpret_cast<uintptr_t>(entry.bytes.data()) % 8 != 0;
    EXPECT_EQ(entry.envelope->bytes(), event.bytes());
  }
  EXPECT_TRUE(unaligned);
}

TEST(Batch, BadEnvelopeIsAnErrorOfItsEntryOnly) {
  const Envelope good = fact("m1", 3, 12);
  const auto payload =
      encode_batch({"m1", {3, 10}, {3, 10}, 3}, std::vector<std::string_view>{"", "no event", good.bytes()});
  const auto batch = decode_batch(payload).value();
  EXPECT_EQ(batch.entries[0].envelope.error().code, Errc::kMalformed);
  EXPECT_EQ(batch.entries[1].envelope.error().code, Errc::kMalformed);
  EXPECT_EQ(batch.entries[1].bytes, "no event");
  EXPECT_TRUE(batch.entries[2].envelope);
}

TEST(Batch, TooLargeIsSaidSo) {
  EXPECT_EQ(decode_batch(std::string(kMaxBatchBytes + 1, 'x')).error().code, Errc::kTooLarge);
  EXPECT_EQ(decode_batch(std::string(kMaxBatchBytes, 'x')).error().code, Errc::kMalformed);
}

TEST(Batch, TakesTheLargestNumberOfEventsAndNoMore) {
  const std::vector<std::string_view> most(kMaxBatchEvents, "x");
  EXPECT_EQ(decode_batch(encode_batch({"m1", {1, 1}, {1, 1}, 1}, most))->entries.size(), kMaxBatchEvents);
  const std::vector<std::string_view> more(kMaxBatchEvents + 1, "x");
  EXPECT_EQ(decode_batch(encode_batch({"m1", {1, 1}, {1, 1}, 1}, more)).error().code, Errc::kMalformed);
}

TEST(Batch, HeaderThatSaysNothingIsMalformed) {
  const auto events = three_events();
  for (const auto& payload :
       {batch_of(events, {0, 1}), batch_of(events, {1, 0}), batch_of(events, {1, 1}, ""), batch_of({}),
        batch_of(events, {1, std::numeric_limits<uint64_t>::max()}), std::string()}) {
    EXPECT_EQ(decode_batch(payload).error().code, Errc::kMalformed);
  }
}

TEST(Batch, EveryTruncationIsReadOrRefused) {
  const auto events = three_events();
  const std::string whole = batch_of(events);
  size_t refused = 0;
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto batch = decode_batch(std::string_view(whole).substr(0, length));
    if (!batch) {
      ++refused;
      continue;
    }
    for (size_t i = 0; i < batch->entries.size(); ++i) EXPECT_EQ(batch->entries[i].bytes, events[i].bytes());
  }
  EXPECT_GE(refused, whole.size() - 8);  // padding at the end may be missing
}

TEST(Batch, NoFlippedBitCrashesAReader) {
  std::string payload = batch_of({fact("m1", 3, 10), telemetry("m1", 3, 11)});
  size_t readable = 0;
  for (size_t bit = 0; bit < payload.size() * 8; ++bit) {
    payload[bit / 8] = static_cast<char>(payload[bit / 8] ^ (1 << bit % 8));
    if (const auto batch = decode_batch(payload)) {
      for (const BatchEntry& entry : batch->entries) {
        if (entry.envelope) readable += event_to_json({Position{1}, noon(), *entry.envelope}).size() > 2;
      }
    }
    payload[bit / 8] = static_cast<char>(payload[bit / 8] ^ (1 << bit % 8));
  }
  EXPECT_GT(readable, 0u);  // flips inside texts and numbers
}

}  // namespace
}  // namespace millrace
