// SPDX-License-Identifier: Apache-2.0
// The events that one incoming frame or timer leads to, collected so that they are stored together.  One thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bus/clock.h"
#include "producers/event_sink.h"

namespace millrace {

class EventBatch {
 public:
  // `clock` and `sink` outlive it.
  EventBatch(std::string machine, const Clock& clock, EventSink& sink)
      : machine_(std::move(machine)), clock_(clock), sink_(sink) {}

  // The id that the next added event will get.
  EventId next_id() const {
    EventId id = sink_.next_id();
    id.sequence += events_.size();
    return id;
  }

  template <class PayloadT>
  void add(PayloadT payload, WallTime occurred_at = {}) {
    events_.push_back(draft_of(std::move(payload), machine_, clock_.wall(), occurred_at));
    has_facts_ = has_facts_ || family_of(events_.back().payload.type) == Family::kFact;
  }

  // The same with who caused it, and what joins it to everything that one request led to.
  template <class PayloadT>
  void add_for(PayloadT payload, const std::string& actor, const std::string& correlation) {
    add(std::move(payload));
    events_.back().actor = actor;
    events_.back().correlation = correlation;
  }

  // One that says more of itself, such as who caused it.
  void add_draft(EventDraft draft) {
    has_facts_ = has_facts_ || family_of(draft.payload.type) == Family::kFact;
    events_.push_back(std::move(draft));
  }

  const std::vector<EventDraft>& events() const { return events_; }
  bool empty() const { return events_.empty(); }
  bool has_facts() const { return has_facts_; }
  size_t size() const { return events_.size(); }
  void emit(std::string_view state) {
    sink_.emit(std::exchange(events_, {}), state);
    has_facts_ = false;
  }
  const std::string& machine() const { return machine_; }

 private:
  std::string machine_;
  const Clock& clock_;
  EventSink& sink_;
  std::vector<EventDraft> events_;
  bool has_facts_ = false;
};

}  // namespace millrace
