// SPDX-License-Identifier: Apache-2.0
// A log that asks another one for everything: for logs of tests that do one thing otherwise.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bus/event_log.h"

namespace millrace::testing {

class ForwardingEventLog : public EventLog {
 public:
  explicit ForwardingEventLog(std::unique_ptr<EventLog> log) : log_(std::move(log)) {}

  Result<Commit> append(const AppendBatch& batch) override { return log_->append(batch); }
  Result<void> recover() override { return log_->recover(); }
  Result<ReadResult> read(Position after, const ReadLimit& limit, const EventFilter& filter) const override {
    return log_->read(after, limit, filter);
  }
  Result<RecordedEvent> at(Position position) const override { return log_->at(position); }
  Result<Position> first_at(WallTime time) const override { return log_->first_at(time); }
  Position last() const override { return log_->last(); }
  Position telemetry_removed_through() const override { return log_->telemetry_removed_through(); }
  Position replaced_at() const override { return log_->replaced_at(); }
  std::optional<EventOrder> mark(std::string_view producer) const override { return log_->mark(producer); }
  Result<LogInfo> info() const override { return log_->info(); }
  std::string incarnation() const override { return log_->incarnation(); }
  uint64_t incarnation_number() const override { return log_->incarnation_number(); }

 protected:
  const std::unique_ptr<EventLog> log_;
};

}  // namespace millrace::testing
