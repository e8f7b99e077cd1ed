// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
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
    if (const auto& through = batch.remove_telemetry_through;
        through && (*through <= removed_ || !commit_ends_.contains(through->value))) {
      return make_error(Errc::kInvalidArgument,
                        fmt::format("telemetry cannot be removed through {}: expected the end of a commit beyond {}",
                                    through->value, removed_.value));
    }
    Commit commit;
    commit.first = Position{events_.size() + 1};
    commit.last = Position{events_.size() + batch.envelopes.size()};
    commit.recorded_at = times_.empty() ? batch.recorded_at : std::max(batch.recorded_at, times_.back());
    commit.envelopes.assign(batch.envelopes.begin(), batch.envelopes.end());
    for (const Envelope& envelope : batch.envelopes) {
      events_.push_back(RecordedEvent{Position{events_.size() + 1}, commit.recorded_at, envelope});
      times_.push_back(commit.recorded_at);
    }
    commit_ends_.insert(commit.last.value);
    for (const ProducerMark& mark : batch.marks) marks_[mark.producer] = mark.order;
    for (const ProducerMark& mark : batch.ended) ended_[{mark.producer, mark.order.epoch}] = mark.order.sequence;
    if (batch.remove_telemetry_through) remove_telemetry(*batch.remove_telemetry_through);
    return commit;
  }

  Result<ReadResult> read(Position after, const ReadLimit& limit, const EventFilter& filter) const override {
    std::shared_lock lock(mutex_);
    ReadResult result;
    result.through = after;
    for (size_t scanned = 0; result.through.value < events_.size(); ++scanned) {
      if (scanned == limit.scanned || result.events.size() == limit.events) return result;
      const auto& event = events_[result.through.value];
      result.through = result.through + 1;
      if (event && filter.matches(*event)) result.events.push_back(*event);
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
    if (const auto& event = events_[position.value - 1]) return *event;
    return make_error(Errc::kNotFound, fmt::format("position {} has expired", position.value));
  }

  Result<Position> first_at(WallTime time) const override {
    std::shared_lock lock(mutex_);
    auto found = static_cast<uint64_t>(std::lower_bound(times_.begin(), times_.end(), time) - times_.begin());
    while (found < events_.size() && !events_[found]) ++found;
    return Position{found + 1};
  }

  Position last() const override {
    std::shared_lock lock(mutex_);
    return Position{events_.size()};
  }

  Position telemetry_removed_through() const override {
    std::shared_lock lock(mutex_);
    return removed_;
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
    info.telemetry_removed_through = removed_;
    if (!times_.empty()) {
      info.first_recorded_at = times_.front();
      info.last_recorded_at = times_.back();
    }
    for (const auto& [producer, order] : marks_) info.marks.push_back({producer, order});
    for (const auto& [of, sequence] : ended_) info.ended.push_back({of.first, {of.second, sequence}});
    return info;
  }

  std::string incarnation() const override { return fmt::format("{:016x}", incarnation_number_); }
  uint64_t incarnation_number() const override { return incarnation_number_; }

 private:
  void remove_telemetry(Position through) {
    for (uint64_t i = removed_.value; i < through.value; ++i) {
      if (events_[i] && events_[i]->envelope.family() == Family::kTelemetry) events_[i].reset();
    }
    removed_ = through;
  }

  const uint64_t incarnation_number_;
  mutable std::shared_mutex mutex_;
  std::vector<std::optional<RecordedEvent>> events_;  // position p at index p - 1; nothing where it was removed
  std::vector<WallTime> times_;                       // of every position
  std::set<uint64_t> commit_ends_;
  Position removed_;
  std::map<std::string, EventOrder, std::less<>> marks_;
  std::map<std::pair<std::string, uint64_t>, uint64_t> ended_;  // by producer and epoch
};

}  // namespace

std::unique_ptr<EventLog> make_memory_event_log(uint64_t incarnation_number) {
  return std::make_unique<MemoryEventLog>(incarnation_number);
}

}  // namespace millrace
