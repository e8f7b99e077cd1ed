// SPDX-License-Identifier: Apache-2.0
// Other stores that the benchmarks compare with, started on this machine from Debian's packages for as long as a
// benchmark runs, each with what it needs to lose nothing that it confirmed.
//
// One thread at a time, but for connections of their own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/child_process.h"
#include "bus/clock.h"
#include "bus/result.h"
#include "cli/bench/stream_socket.h"

namespace millrace {

// PostgreSQL 15 with its own settings (fsync and synchronous_commit are on), reached through a socket of its folder.
class PostgresPeer {
 public:
  // kNotFound when it is not installed.
  static Result<PostgresPeer> start(const std::filesystem::path& directory, const Clock& clock);
  // An empty table in place of that of the round before.
  Result<void> begin_round();
  // Rows per second of `connections` connections that store `events` rows of `payload` together, by binary COPY with
  // 1,024 rows a transaction.
  Result<double> copy_rate(uint64_t events, uint64_t connections, std::string_view payload, const Clock& clock);

 private:
  explicit PostgresPeer(ChildProcess server) : server_(std::move(server)) {}

  ChildProcess server_;
  std::filesystem::path socket_;
};

// Redis with an append-only file that is synced before each answer.
class RedisPeer {
 public:
  // kNotFound when it is not installed.
  static Result<RedisPeer> start(const std::filesystem::path& directory, const Clock& clock);
  Result<void> begin_round();
  // Entries per second of `connections` connections that add `events` entries to one stream together, 1,024 XADD in
  // each one's pipeline.  Entry i carries payload_of(i).
  Result<double> add_rate(uint64_t events, uint64_t connections,
                          const std::function<std::string_view(uint64_t)>& payload_of, const Clock& clock);
  // Entries per second of one client that reads the whole stream by XRANGE, 1,000 at a time.
  Result<double> range_rate(const Clock& clock);

 private:
  explicit RedisPeer(ChildProcess server) : server_(std::move(server)) {}

  ChildProcess server_;
  std::filesystem::path socket_;
};

}  // namespace millrace
