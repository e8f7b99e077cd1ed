// SPDX-License-Identifier: Apache-2.0
// A data folder that no hub runs on, opened by a command that writes to its log: the log, and views that follow it.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "bus/clock.h"
#include "bus/event_log.h"
#include "bus/events.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "projections/projector.h"
#include "projections/view_store.h"

namespace millrace {

// One thread.
class OwnShop {
 public:
  // Makes a log where there is none, and waits until the views have everything.  kConflict when a hub has it open;
  // `clock` outlives it.
  static Result<std::unique_ptr<OwnShop>> open(const std::filesystem::path& data_dir, const Clock& clock);

  // As the hub does it: one group, in the hub's name.
  Result<Position> append(const std::vector<EventDraft>& events);
  Result<void> wait_for_views(Position position) const;
  const ViewStore& views() const { return *views_; }
  const EventLog& log() const { return *log_; }

 private:
  explicit OwnShop(const Clock& clock) : clock_(clock) {}

  const Clock& clock_;
  std::unique_ptr<Metrics> metrics_ = make_metrics();
  Health health_;
  std::unique_ptr<EventLog> log_;
  std::unique_ptr<ViewStore> views_;
  std::unique_ptr<Projector> projector_;
};

}  // namespace millrace
