// SPDX-License-Identifier: Apache-2.0
// A fold of the log into one view.  Pure: the same events in the same order give the same bytes, however they are
// grouped, whenever and wherever it runs.  So no clock, no I/O, no randomness, and no state beside the batch.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "bus/envelope.h"
#include "projections/view_batch.h"

namespace millrace {

// The keys of whole objects (a machine, a job) that a group changed or erased: what readers of the live feed are told.
using ChangedKeys = std::set<std::string>;

class Projection {
 public:
  virtual ~Projection() = default;
  virtual std::string_view name() const = 0;
  // Raised by whoever changes what apply() writes: the view is then rebuilt from the first position.
  virtual uint32_t version() const = 0;
  // The only events that apply() takes notice of, so that the others need not be read; empty: any.
  virtual std::set<EventType> types() const { return {}; }
  // Events that mean nothing to the view, or that name no machine or job where one is due, change nothing.
  virtual void apply(const RecordedEvent& event, ViewBatch& batch, ChangedKeys& changed) const = 0;
  // The same as apply() with each of them in turn; for a projection that need not read and write its records each time.
  virtual void apply_group(std::span<const RecordedEvent> events, ViewBatch& batch, ChangedKeys& changed) const {
    for (const RecordedEvent& event : events) apply(event, batch, changed);
  }
};

}  // namespace millrace
