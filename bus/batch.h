// SPDX-License-Identifier: Apache-2.0
// The payload of ingest/<producer>: 1..n envelopes of one producer and one epoch, numbered without a gap.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/envelope.h"

namespace millrace {

inline constexpr size_t kMaxBatchBytes = 64 * 1024;
inline constexpr size_t kMaxBatchEvents = 1024;

struct BatchHeader {
  std::string producer;
  EventOrder first;           // of envelope 0; envelope i carries first.sequence + i
  EventOrder oldest;          // the oldest event that the sender can still send
  uint64_t sender_epoch = 0;  // the one that the sender has open; envelopes may belong to an older one
  uint64_t waiting = 0;       // events in its outbox behind this batch
};

// Precondition: 1..kMaxBatchEvents envelopes, together below kMaxBatchBytes.
std::string encode_batch(const BatchHeader& header, std::span<const std::string_view> envelopes);

// One entry of a received batch.  `envelope` is an error for bytes that do not verify; `bytes` are they.
struct BatchEntry {
  EventOrder order;
  std::string_view bytes;
  Result<Envelope> envelope;
};

struct ReceivedBatch {
  BatchHeader header;
  SharedBytes owner;
  std::vector<BatchEntry> entries;
};

// kMalformed or kTooLarge when the batch itself cannot be read; a bad envelope inside it is an error of its entry only.
Result<ReceivedBatch> decode_batch(std::string_view payload);

}  // namespace millrace
