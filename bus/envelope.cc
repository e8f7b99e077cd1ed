// SPDX-License-Identifier: Apache-2.0
#include "bus/envelope.h"

#include <fmt/format.h>

#include <cstring>

namespace millrace {
namespace {

constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxTables = 4096;

Error malformed(std::string what) { return make_error(Errc::kMalformed, std::move(what)); }

// What the generated verifier cannot know.
Result<void> check_header(const schema::Envelope& table) {
  if (text(table.producer()).empty()) return malformed("event without a producer");
  if (table.epoch() == 0 || table.sequence() == 0) {
    return malformed(fmt::format("event of '{}' numbered {}/{}: epoch and sequence begin at 1", text(table.producer()),
                                 table.epoch(), table.sequence()));
  }
  const auto machine = text(table.machine());
  if (!machine.empty() && !is_valid_machine_id(machine)) {
    return malformed(fmt::format("machine id '{}': expected 1 to 64 of a-z, 0-9 and '-'", machine));
  }
  if (name_of(table.payload_type()).empty()) {
    return make_error(Errc::kIncompatible, fmt::format("event type {} is not known to this program",
                                                       static_cast<unsigned>(table.payload_type())));
  }
  if (table.payload_type() == EventType::NONE || table.payload() == nullptr)
    return malformed("event without a payload");
  return {};
}

Result<void> check_bytes(std::string_view bytes) {
  if (bytes.size() > Envelope::kMaxBytes) {
    return make_error(Errc::kTooLarge, fmt::format("event of {} bytes, at most {}", bytes.size(), Envelope::kMaxBytes));
  }
  flatbuffers::Verifier verifier(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), kMaxDepth, kMaxTables);
  if (!schema::VerifyEnvelopeBuffer(verifier)) {
    return malformed(fmt::format("{} bytes that are no event: the FlatBuffers verifier refused them", bytes.size()));
  }
  return check_header(*schema::GetEnvelope(bytes.data()));
}

}  // namespace

SharedBytes SharedBytes::uninitialised(size_t size) {
  SharedBytes bytes;
  bytes.data_ = std::shared_ptr<std::byte[]>(new std::byte[size]);  // operator new aligns to 16 here, 8 is needed
  bytes.size_ = size;
  return bytes;
}

SharedBytes SharedBytes::copy_of(std::string_view bytes) {
  SharedBytes copy = uninitialised(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.mutable_data(), bytes.data(), bytes.size());
  return copy;
}

Envelope::Envelope(SharedBytes owner, std::string_view bytes)
    : owner_(std::move(owner)), bytes_(bytes), table_(schema::GetEnvelope(bytes.data())) {}

Result<Envelope> Envelope::build(const EventId& id, const EventDraft& draft) {
  flatbuffers::FlatBufferBuilder builder(512);
  const auto optional_string = [&](std::string_view value) {
    return value.empty() ? flatbuffers::Offset<flatbuffers::String>{}
                         : builder.CreateString(value.data(), value.size());
  };
  const auto producer = builder.CreateString(id.producer);
  const auto machine = optional_string(draft.machine);
  const auto actor = optional_string(draft.actor);
  const auto correlation = optional_string(draft.correlation);
  flatbuffers::Offset<schema::EventRef> causation;
  if (draft.causation) {
    causation = schema::CreateEventRefDirect(builder, draft.causation->producer.c_str(), draft.causation->epoch,
                                             draft.causation->sequence);
  }
  const auto payload = draft.payload.Pack(builder);
  builder.Finish(
      schema::CreateEnvelope(builder, producer, id.epoch, id.sequence, machine, to_unix_us(draft.occurred_at),
                             to_unix_us(draft.observed_at), actor, correlation, causation, draft.payload.type, payload),
      schema::EnvelopeIdentifier());
  const std::string_view bytes(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  if (bytes.size() > kMaxBytes) {
    return make_error(Errc::kTooLarge,
                      fmt::format("{} of {} bytes, at most {}", name_of(draft.payload.type), bytes.size(), kMaxBytes));
  }
  SharedBytes owner = SharedBytes::copy_of(bytes);
  const auto view = owner.view();
  return Envelope(std::move(owner), view);
}

Result<Envelope> Envelope::verify(std::string_view bytes) {
  if (bytes.size() > kMaxBytes) {
    return make_error(Errc::kTooLarge, fmt::format("event of {} bytes, at most {}", bytes.size(), kMaxBytes));
  }
  SharedBytes owner = SharedBytes::copy_of(bytes);
  const auto view = owner.view();
  return verify(std::move(owner), view);
}

Result<Envelope> Envelope::verify(SharedBytes owner, std::string_view bytes) {
  if (auto checked = check_bytes(bytes); !checked) return checked.error();
  return Envelope(std::move(owner), bytes);
}

Result<void> Envelope::check() const { return check_bytes(bytes_); }

Envelope Envelope::trusted(SharedBytes owner, std::string_view bytes) { return Envelope(std::move(owner), bytes); }

}  // namespace millrace
