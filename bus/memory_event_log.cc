// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <shared_mutex>

#include "bus/event_log.h"

namespace millrace {
namespace {

class MemoryEventLog final : public EventLog {
 public:
  explicit MemoryEventLog(uint64_t incarnation_number) : incarnation_number_(incarnation_number) {}

  Result<Commit> append(const AppendBatch& batch) override {
    if (batch.envelopes.empty() || batch.envelopes.size() > kMaxGroupEvents) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("append of {} events: expected 1 to {}", batch.envelopes.size(), kMaxGroupEvents));
    }
    std::unique_lock lock(mutex_);
    Commit commit;
    commit.first = Position{events_.size() + 1};
    commit.last = Position{events_.size() + batch.envelopes.size()};
    commit.recorded_at = events_.empty() ? batch.recorded_at : std::max(batch.recorded_at, events_.back().recorded_at);
    commit.envelopes.assign(batch.envelopes.begin(), batch.envelopes.end());
    for (const Envelope& envelope : batch.envelopes) {
      events_.push_back({Position{events_.size() + 1}, commit.recorded_at, envelope});
    }
    for (const ProducerMark& mark : batch.marks) marks_[mark.producer] = mark.order;
    return commit;
  }

  Result<ReadResult> read(Position after, const ReadLimit& limit, const EventFilter& filter) const override {
    std::shared_lock lock(mutex_);
    ReadResult result;
    result.through = after;
    for (size_t scanned = 0; result.through.value < events_.size(); ++scanned) {
      if (scanned == limit.scanned || result.events.size() == limit.events) return result;
      const RecordedEvent& event = events_[result.through.value];
      result.through = event.position;
      if (filter.matches(event)) result.events.push_back(event);
    }
    result.at_end = true;
    return result;
  }

  Result<RecordedEvent> at(Position position) const override {
    std::shared_lock lock(mutex_);
    if (position.value == 0 || position.value > events_.size()) {
      return make_error(Errc::kNotFound,
                        fmt::format("position {}: the log holds 1 to {}", position.value, events_.size()));
    }
    return events_[position.value - 1];
  }

  Result<Position> first_at(WallTime time) const override {
    std::shared_lock lock(mutex_);
    const auto found = std::lower_bound(events_.begin(), events_.end(), time,
                                        [](const RecordedEvent& event, WallTime t) { return event.recorded_at < t; });
    return Position{static_cast<uint64_t>(found - events_.begin()) + 1};
  }

  Position last() const override {
    std::shared_lock lock(mutex_);
    return Position{events_.size()};
  }

  std::optional<EventOrder> mark(std::string_view producer) const override {
    std::shared_lock lock(mutex_);
    const auto found = marks_.find(producer);
    return found == marks_.end() ? std::nullopt : std::optional(found->second);
  }

  Result<LogInfo> info() const override {
    std::shared_lock lock(mutex_);
    LogInfo info;
    info.engine = "memory";
    info.incarnation = incarnation();
    info.incarnation_number = incarnation_number_;
    info.last = Position{events_.size()};
    if (!events_.empty()) {
      info.first_recorded_at = events_.front().recorded_at;
      info.last_recorded_at = events_.back().recorded_at;
    }
    for (const auto& [producer, order] : marks_) info.marks.push_back({producer, order});
    return info;
  }

  std::string incarnation() const override { return fmt::format("{:016x}", incarnation_number_); }
  uint64_t incarnation_number() const override { return incarnation_number_; }

 private:
  const uint64_t incarnation_number_;
  mutable std::shared_mutex mutex_;
  std::vector<RecordedEvent> events_;  // position p at index p - 1
  std::map<std::string, EventOrder, std::less<>> marks_;
};

}  // namespace

std::unique_ptr<EventLog> make_memory_event_log(uint64_t incarnation_number) {
  return std::make_unique<MemoryEventLog>(incarnation_number);
}

}  // namespace millrace
