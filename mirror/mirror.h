// SPDX-License-Identifier: Apache-2.0
// Keeps tables in an SQL database up with the log, for tools that read SQL: see docs/mirror.md.
//
// A thread of its own reads the log from the position that is kept in the database, in the same transaction as the
// rows: whatever is killed when, each event has its effect once.  Nobody waits for it, and it holds one chunk of rows
// at most.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "bus/blob_store.h"
#include "bus/clock.h"
#include "bus/event_log.h"
#include "bus/metrics.h"
#include "bus/periodic_thread.h"
#include "mirror/mirror_batch.h"
#include "mirror/mirror_state.h"
#include "projections/view_store.h"
#include "sql/sql_database.h"

namespace millrace {

struct MirrorOptions {
  DatabaseUrl url;
  std::string password;
  std::chrono::milliseconds interval{5'000};      // between two looks at the log
  std::chrono::milliseconds backoff_max{60'000};  // between two tries while the database is away
  std::chrono::seconds timeout{10};               // of one statement
  MirrorBatchLimit batch;                         // of one transaction
};

// References outlive the mirror.
struct MirrorParts {
  const EventLog& log;
  const ViewStore& views;
  const BlobStore* blobs = nullptr;
  // True once every view has everything up to there; waits for a few seconds at most.
  std::function<bool(Position)> wait_for_views;
  const Clock& clock;
  Metrics& metrics;
};

class Mirror {
 public:
  Mirror(MirrorOptions options, MirrorParts parts);
  ~Mirror();  // stop()

  void start();
  void stop();  // the batch under way is given up and done again after the next start

  // What one transaction did.
  struct Pass {
    Position position;  // everything up to here is in the tables
    size_t rows = 0;
    bool at_end = false;
  };
  // One batch.  After an error the database is opened anew by the next one.  Not beside start().
  Result<Pass> run_once();

 private:
  Result<void> open();
  Result<void> write(MirrorBatch& batch, Position from, size_t& rows);
  void work();
  void failed(const Error& error);
  MirrorOrigin origin() const;

  const MirrorOptions options_;
  const MirrorParts parts_;
  Gauge& lag_;
  Gauge& up_;
  Counter& rows_total_;
  Counter& failures_total_;
  std::unique_ptr<SqlDatabase> database_;
  Position stored_;       // as the database has it
  Position behind_from_;  // of the last pass that succeeded
  Position through_;      // looked at; beyond stored_ there was nothing to write
  bool settled_ = false;  // the end of the log was reached and stored once
  MonotonicTime next_try_{};
  std::chrono::milliseconds backoff_{0};
  std::string failure_told_;
  bool told_working_ = false;

  PeriodicThread thread_;  // ends before what it works on
};

}  // namespace millrace
