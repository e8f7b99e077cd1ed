// SPDX-License-Identifier: Apache-2.0
// The open database of a log, which its owner may close and open again while others read.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>

#include "bus/result.h"
#include "bus/rocksdb_log_reader.h"

namespace millrace {

struct OpenLogDatabase {
  std::unique_ptr<rocksdb::DB> db;
  LogFamilyHandles families{};

  OpenLogDatabase() = default;
  OpenLogDatabase(const OpenLogDatabase&) = delete;
  OpenLogDatabase& operator=(const OpenLogDatabase&) = delete;
  ~OpenLogDatabase();

  rocksdb::ColumnFamilyHandle* family(LogFamily family) const { return families[static_cast<size_t>(family)]; }
  // `removed`: telemetry up to here is not there any more.
  RocksdbLogReader reader(Position removed) const { return RocksdbLogReader(*db, families, removed); }
};

class LeasedDatabase {
 public:
  using Lease = std::shared_ptr<const OpenLogDatabase>;
  using Opener = std::function<Result<std::unique_ptr<OpenLogDatabase>>()>;

  // Any thread.  Hold it for one call only: the database is not closed before the last lease is gone, and no iterator
  // may outlive its lease.  While the database is being replaced it waits a little; kUnavailable when it is not open.
  Result<Lease> lease() const;

  // The owner's thread.  Closes what is open and takes what `open` gives; on its error nothing is open.
  Result<void> replace(const Opener& open);
  // The owner's thread, without a lease; nullptr when nothing is open.
  OpenLogDatabase* get() const { return database_.get(); }

 private:
  std::unique_ptr<OpenLogDatabase> database_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable size_t leases_ = 0;
  bool replacing_ = false;
};

}  // namespace millrace
