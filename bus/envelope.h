// SPDX-License-Identifier: Apache-2.0
// An event as immutable, verified FlatBuffers bytes, with its header ready to read.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "bus/events.h"
#include "bus/result.h"

namespace millrace {

// Bytes that begin at an address aligned to 8, shared by everything that was cut from them.
class SharedBytes {
 public:
  SharedBytes() = default;
  static SharedBytes copy_of(std::string_view bytes);
  static SharedBytes uninitialised(size_t size);

  const std::byte* data() const { return data_.get(); }
  std::byte* mutable_data() { return data_.get(); }  // only while nobody else holds it
  size_t size() const { return size_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }

 private:
  std::shared_ptr<std::byte[]> data_;
  size_t size_ = 0;
};

// Copying is cheap: it shares the bytes.  Safe to read from any thread.
class Envelope {
 public:
  static constexpr size_t kMaxBytes = 48 * 1024;  // decision 9: larger things go to the blob folder

  // Numbers and packs a draft.  kTooLarge above kMaxBytes.
  static Result<Envelope> build(const EventId& id, const EventDraft& draft);

  // `bytes` is copied.  kMalformed, kTooLarge; an unknown payload type is kIncompatible.
  static Result<Envelope> verify(std::string_view bytes);
  // The same without a copy: `bytes` lies inside `owner` at an address aligned to 8.
  static Result<Envelope> verify(SharedBytes owner, std::string_view bytes);
  // Bytes that were verified before they were stored under a checksum.
  static Envelope trusted(SharedBytes owner, std::string_view bytes);
  // Whether the bytes of a trusted one are what verify() accepts; its errors.
  Result<void> check() const;

  const schema::Envelope& table() const { return *table_; }
  std::string_view bytes() const { return bytes_; }

  std::string_view producer() const { return text(table_->producer()); }
  uint64_t epoch() const { return table_->epoch(); }
  uint64_t sequence() const { return table_->sequence(); }
  EventOrder order() const { return {epoch(), sequence()}; }
  EventId id() const { return {std::string(producer()), epoch(), sequence()}; }
  std::string_view machine() const { return text(table_->machine()); }
  WallTime occurred_at() const { return from_unix_us(table_->occurred_at_us()); }  // zero: not said
  WallTime observed_at() const { return from_unix_us(table_->observed_at_us()); }
  EventType type() const { return table_->payload_type(); }
  Family family() const { return family_of(type()); }

  // The payload, or nullptr when the event is of another type.
  template <class Table>
  const Table* as() const {
    return table_->template payload_as<Table>();
  }

 private:
  Envelope(SharedBytes owner, std::string_view bytes);

  SharedBytes owner_;
  std::string_view bytes_;
  const schema::Envelope* table_;
};

// An event with its place in the log.
struct RecordedEvent {
  Position position;
  WallTime recorded_at{};
  Envelope envelope;
};

}  // namespace millrace
