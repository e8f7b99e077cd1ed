// SPDX-License-Identifier: Apache-2.0
// What a stretch of the log touched, and the rows that the views have for it.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "bus/blob_store.h"
#include "bus/event_log.h"
#include "projections/view_store.h"
#include "sql/sql_database.h"

namespace millrace {

// Rows for a few tables at a time; memory is bounded by that.
struct MirrorChunk {
  std::vector<SqlRow> printers;
  std::vector<SqlRow> jobs;
  std::vector<SqlRow> details;
  std::vector<SqlRow> records;
  std::vector<int64_t> gone_jobs;  // hidden, or turned out to be another print
  std::vector<int64_t> gone_records;
  size_t bytes = 0;

  size_t rows() const { return printers.size() + jobs.size() + details.size() + records.size(); }
};

struct MirrorBatchLimit {
  size_t events = 4'000;
  size_t scanned = 200'000;
};

class MirrorBatch {
 public:
  // Facts after `after`: which machines, jobs and maintenance records they are about.
  static Result<MirrorBatch> read(const EventLog& log, Position after, const MirrorBatchLimit& limit = {});

  Position through() const { return through_; }
  bool at_end() const { return at_end_; }  // the log's, when it was read
  bool empty() const { return next_ == machines_.size() + jobs_.size() + records_.size(); }

  // The next rows as `views` have them, which are at or beyond through().  Machines come first: the others refer to
  // them.  A blob that is not at hand leaves its column NULL.
  Result<MirrorChunk> next(const ViewReader& views, const BlobStore* blobs, SqlDialect dialect);

 private:
  std::vector<std::string> machines_;
  std::vector<std::string> jobs_;
  std::vector<std::string> records_;  // "<machine>/<record id>"
  std::set<std::string> done_;        // jobs whose rows are made: several names may lead to one
  size_t next_ = 0;                   // of the three lists, one after the other
  Position through_;
  bool at_end_ = false;
};

}  // namespace millrace
