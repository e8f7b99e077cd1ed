// SPDX-License-Identifier: Apache-2.0
// Identities: of events, of their place in the log, of machines and producers.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace {

// An event's place in the log: dense from 1, given only by the log.  0 means "before the first".
struct Position {
  uint64_t value = 0;
  auto operator<=>(const Position&) const = default;
  Position operator+(uint64_t n) const { return {value + n}; }
};

// Unique for ever without randomness, and the idempotency key.
struct EventId {
  std::string producer;
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  auto operator<=>(const EventId&) const = default;
};

// The order within one producer: epochs rise, sequences rise from 1 within an epoch.
struct EventOrder {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  auto operator<=>(const EventOrder&) const = default;
};

// Up to where the log has everything of a producer.
struct ProducerMark {
  std::string producer;
  EventOrder order;
};

// [a-z0-9-], 1 to 64 characters.
bool is_valid_machine_id(std::string_view id);

// Names that roles use as producers or in topics and that no machine may have.
bool is_reserved_name(std::string_view id);

inline constexpr std::string_view kHubProducer = "hub";

}  // namespace millrace
