// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/line/ledger.h"

#include <fmt/format.h>

#include "bus/crc32.h"

namespace millrace::testing {

void Ledger::complain(const std::string& producer, EventOrder order, const std::string& what) {
  if (complaints_.size() < 10) {
    complaints_.push_back(
        fmt::format("{} {}/{}: {} (position {})", producer, order.epoch, order.sequence, what, read_.value));
  }
}

void Ledger::stored(const Envelope& event) {
  const std::string producer(event.producer());
  const auto [entry, fresh] = entries_.try_emplace({producer, event.order()});
  if (!fresh) complain(producer, event.order(), "this number was given twice");
  entry->second.checksum = crc32_of(event.bytes());
  if (const auto* dropped = event.as<schema::EventsDropped>()) entry->second.tells = dropped->count();
}

void Ledger::forgotten(const std::string& producer, EventOrder order) {
  look();
  const Entry& entry = entries_.at({producer, order});
  if (!entry.recorded && !entry.named) complain(producer, order, "confirmed, and neither in the log nor named");
}

void Ledger::look() {
  while (read_ < log_.last()) {
    const auto read = log_.read(read_, {}, {});
    for (const RecordedEvent& event : read->events) {
      if (event.position.value != read_.value + 1) complain("log", {}, "positions are not dense");
      read_ = event.position;
      see(event);
    }
  }
}

void Ledger::see(const RecordedEvent& event) {
  const std::string producer(event.envelope.producer());
  const EventOrder order = event.envelope.order();
  const auto* dropped = event.envelope.as<schema::EventsDropped>();
  if (event.envelope.type() == EventType::EventRejected) complain(producer, order, "nothing was to be rejected");
  if (producer == kHubProducer) {
    if (order.sequence != ++last_[producer].sequence) complain(producer, order, "the hub's own numbers have a gap");
    if (dropped != nullptr) see_hole(*dropped);
    return;
  }
  if (dropped != nullptr) {
    owed_[producer].told += dropped->count();
    told_ += dropped->count();
  }
  const auto entry = entries_.find({producer, order});
  if (entry == entries_.end()) return complain(producer, order, "recorded, and never emitted");
  if (entry->second.recorded) complain(producer, order, "recorded twice");
  if (entry->second.named) complain(producer, order, "recorded after it was named as dropped");
  if (entry->second.checksum != crc32_of(event.envelope.bytes()))
    complain(producer, order, "other bytes were recorded");
  check_follows(producer, order);
  entry->second.recorded = true;
  last_[producer] = order;
}

void Ledger::see_hole(const schema::EventsDropped& dropped) {
  const std::string producer(text(dropped.producer()));
  if (dropped.to_sequence() == 0) {  // whatever its former outbox had: that excuses nothing here
    const auto next = entries_.find({producer, {dropped.epoch(), dropped.from_sequence()}});
    if (next != entries_.end() && next->second.recorded) complain(producer, next->first.second, "is no rest");
    return;
  }
  if (dropped.count() != dropped.to_sequence() - dropped.from_sequence() + 1) {
    complain(producer, {dropped.epoch(), dropped.from_sequence()}, "count and range of a hole differ");
  }
  for (uint64_t sequence = dropped.from_sequence(); sequence <= dropped.to_sequence(); ++sequence) {
    const EventOrder order{dropped.epoch(), sequence};
    const auto entry = entries_.find({producer, order});
    if (entry == entries_.end()) return complain(producer, order, "named as dropped, and never emitted");
    if (entry->second.recorded) complain(producer, order, "named as dropped, and it is in the log");
    if (entry->second.named) complain(producer, order, "named as dropped twice");
    entry->second.named = true;
    owed_[producer].told += entry->second.tells;  // what it tells of is lost with it, and it is named
    ++named_;
  }
}

void Ledger::check_follows(const std::string& producer, EventOrder order) {
  const EventOrder last = last_[producer];
  if (order <= last) return complain(producer, order, "out of order");
  for (uint64_t sequence = order.epoch == last.epoch ? last.sequence + 1 : 1; sequence < order.sequence; ++sequence) {
    const auto entry = entries_.find({producer, {order.epoch, sequence}});
    if (entry == entries_.end() || !entry->second.named) {
      return complain(producer, order, fmt::format("recorded, and {} before it is not", sequence));
    }
  }
}

void Ledger::check_complete() {
  look();
  for (const auto& [id, entry] : entries_) {
    if (!entry.recorded && !entry.named && !entry.excused) {
      complain(id.first, id.second, "emitted, and neither in the log nor named");
    }
  }
  for (const auto& [producer, owed] : owed_) {
    if (!owed.excused && owed.told != owed.not_stored) {
      complain(producer, {}, fmt::format("dropped {} events, and told of {}", owed.not_stored, owed.told));
    }
  }
}

}  // namespace millrace::testing
