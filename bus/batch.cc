// SPDX-License-Identifier: Apache-2.0
#include "bus/batch.h"

#include <fmt/format.h>

#include <limits>

namespace millrace {

std::string encode_batch(const BatchHeader& header, std::span<const std::string_view> envelopes) {
  size_t bytes = 256;
  for (const auto envelope : envelopes) bytes += envelope.size() + 32;
  flatbuffers::FlatBufferBuilder builder(bytes);
  std::vector<flatbuffers::Offset<schema::PackedEnvelope>> packed;
  packed.reserve(envelopes.size());
  for (const auto envelope : envelopes) {
    builder.ForceVectorAlignment(envelope.size(), sizeof(uint8_t), 8);
    const auto vector = builder.CreateVector(reinterpret_cast<const uint8_t*>(envelope.data()), envelope.size());
    packed.push_back(schema::CreatePackedEnvelope(builder, vector));
  }
  const auto producer = builder.CreateString(header.producer);
  const auto vector = builder.CreateVector(packed);
  builder.Finish(schema::CreateBatch(builder, producer, header.first.epoch, header.first.sequence, header.oldest.epoch,
                                     header.oldest.sequence, vector, header.sender_epoch, header.waiting));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

Result<ReceivedBatch> decode_batch(std::string_view payload) {
  if (payload.size() > kMaxBatchBytes) {
    return make_error(Errc::kTooLarge, fmt::format("batch of {} bytes, at most {}", payload.size(), kMaxBatchBytes));
  }
  ReceivedBatch batch;
  batch.owner = SharedBytes::copy_of(payload);
  const auto bytes = batch.owner.view();
  constexpr size_t kMaxDepth = 8;
  constexpr size_t kMaxTables = kMaxBatchEvents + 8;
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), kMaxDepth, kMaxTables);
  if (bytes.empty() || !verifier.VerifyBuffer<schema::Batch>(nullptr)) {
    return make_error(Errc::kMalformed,
                      fmt::format("{} bytes that are no batch: the FlatBuffers verifier refused them", payload.size()));
  }
  const auto* table = flatbuffers::GetRoot<schema::Batch>(bytes.data());
  batch.header = {std::string(text(table->producer())),
                  {table->epoch(), table->first_sequence()},
                  {table->oldest_epoch(), table->oldest_sequence()},
                  table->sender_epoch(),
                  table->waiting()};
  const size_t count = table->envelopes() == nullptr ? 0 : table->envelopes()->size();
  if (batch.header.producer.empty() || count == 0 || count > kMaxBatchEvents || batch.header.first.epoch == 0 ||
      batch.header.first.sequence == 0 ||
      batch.header.first.sequence > std::numeric_limits<uint64_t>::max() - kMaxBatchEvents) {
    return make_error(Errc::kMalformed,
                      fmt::format("batch of '{}' with {} events from {}/{}: expected a producer, 1 to "
                                  "{} events, epoch and sequence from 1",
                                  batch.header.producer, count, batch.header.first.epoch, batch.header.first.sequence,
                                  kMaxBatchEvents));
  }
  batch.entries.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto* packed = table->envelopes()->Get(static_cast<flatbuffers::uoffset_t>(i))->bytes();
    const std::string_view entry =
        packed == nullptr ? std::string_view{}
                          : std::string_view{reinterpret_cast<const char*>(packed->data()), packed->size()};
    const EventOrder order{batch.header.first.epoch, batch.header.first.sequence + i};
    // A sender that did not align its envelope gets it copied to where it may be read.
    const bool aligned = reinterpret_cast<uintptr_t>(entry.data()) % 8 == 0;
    batch.entries.push_back({order, entry, aligned ? Envelope::verify(batch.owner, entry) : Envelope::verify(entry)});
  }
  return batch;
}

}  // namespace millrace
