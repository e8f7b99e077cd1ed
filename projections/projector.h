// SPDX-License-Identifier: Apache-2.0
// Keeps the views up with the log: folds each group of events into every projection and commits all of it, with the
// checkpoints, in one batch.  After any death it goes on from the checkpoints.
//
// A thread of its own does the work.  offer(), applied() and wait_for() may be called from any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bus/event_log.h"
#include "bus/health.h"
#include "bus/metrics.h"
#include "projections/projection.h"
#include "projections/view_store.h"

namespace millrace {

struct ProjectorOptions {
  size_t max_queued_commits = 256;  // beyond it the tail is read from the log instead
  size_t max_queued_bytes = 8u << 20;
  std::chrono::milliseconds retry{1'000};  // after a view or the log could not be read or written
};

// One whole object that a group changed, with its bytes after the group.
struct ViewChange {
  std::string projection;
  std::string key;
  std::shared_ptr<const std::string> value;  // null: erased
};

struct AppliedGroup {
  Position position;  // every view has everything up to here
  std::vector<ViewChange> changes;
};

class Projector {
 public:
  // References outlive the projector.
  Projector(const EventLog& log, ViewStore& store, std::vector<std::unique_ptr<const Projection>> projections,
            Metrics& metrics, Health& health, ProjectorOptions options = {});
  ~Projector();  // stop()

  // Called on the projector's thread after each commit, in order, without gaps.  Set before start(); must not block.
  std::function<void(std::shared_ptr<const AppliedGroup>)> on_applied;

  // Compares the checkpoints with the log, clears every view that another version or another log's incarnation wrote,
  // and starts the thread.  The part "projector" of the health is ready once everything that the log held then is
  // applied.
  Result<void> start();
  void stop();

  // Commits in the order of the log.  Never blocks: what finds no room, or was never offered, is read from the log.
  void offer(std::shared_ptr<const Commit> commit);

  // Every view has everything up to here.
  Position applied() const;
  // True once applied() >= position, false when `timeout` is over or the projector stopped first.
  bool wait_for(Position position, std::chrono::milliseconds timeout) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace
