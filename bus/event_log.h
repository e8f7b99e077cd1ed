// SPDX-License-Identifier: Apache-2.0
// The shop's only record of truth: an append-only, totally ordered sequence of envelopes.
// One thread appends; any number may read.  What append() confirmed survives kill -9 and power loss.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "bus/clock.h"
#include "bus/envelope.h"
#include "bus/ids.h"
#include "bus/log_schema.h"
#include "bus/result.h"
#include "bus/sha256.h"

namespace rocksdb {
class Env;
}

namespace millrace {

// A stored group of facts with other bytes in some of its events.
struct GroupReplacement {
  Position first;
  std::string bytes;                // the group as the engine stores it
  Sha256 before{};                  // digest of the group as it is stored now
  Sha256 after{};                   // and of `bytes`
  std::vector<uint64_t> positions;  // of the events that differ
};

struct AppendBatch {
  std::span<const Envelope> envelopes;  // 1 to kMaxGroupEvents
  std::span<const ProducerMark> marks;  // written in the same atomic batch
  WallTime recorded_at{};               // moved forward by the log where it would go back
  // Telemetry up to here goes in the same atomic batch: the last position of a commit, beyond what went before.
  std::optional<Position> remove_telemetry_through = std::nullopt;
  // Made by rewrite_groups(); put in the place of the groups in the same atomic batch.
  std::span<const GroupReplacement> replacements = {};
  // Where superseded epochs ended; written in the same atomic batch too.
  std::span<const ProducerMark> ended = {};
};

// What one append() committed.
struct Commit {
  Position first;
  Position last;
  WallTime recorded_at{};
  std::vector<Envelope> envelopes;  // positions first, first+1, ...
};

struct EventFilter {
  std::string machine;           // empty: any
  std::set<EventType> types;     // empty: any
  std::optional<WallTime> from;  // recorded at or after
  std::optional<WallTime> to;    // recorded before
  bool matches(const RecordedEvent& event) const;
};

struct ReadLimit {
  size_t events = 1000;      // at most so many are returned
  size_t scanned = 100'000;  // at most so many are looked at
};

struct ReadResult {
  std::vector<RecordedEvent> events;  // ascending
  Position through;                   // everything up to here has been looked at; read on with after = through
  bool at_end = false;                // `through` was the last position when the read began
};

// The chain's link at the end of a commit: it stands for everything up to there.
struct ChainRoot {
  Position position;  // the last one of the commit
  Sha256 link{};
};

struct LogInfo {
  std::string engine;  // "rocksdb" or "memory"
  std::string incarnation;
  uint64_t incarnation_number = 0;  // the epoch of events born in the hub
  Position last;
  std::optional<WallTime> first_recorded_at;
  std::optional<WallTime> last_recorded_at;
  uint64_t bytes_on_disk = 0;
  Position telemetry_removed_through;           // 0: all is there
  std::vector<ProducerMark> marks;              // of each producer's latest epoch
  std::vector<ProducerMark> ended;              // of the epochs before, as they were given to append()
  std::optional<ChainRoot> root;                // nullopt: nothing is in it, or the engine has no chain
  std::optional<WallTime> restored_at;          // when the log began as a copy of an older state of itself
  std::set<std::string, std::less<>> restored;  // producers of which nothing was appended since then
};

// The chain's root, 64 hexadecimal digits; empty for an empty log.
std::string root_text(const LogInfo& info);

class EventLog {
 public:
  static constexpr size_t kMaxGroupEvents = 4096;
  static constexpr size_t kMaxGroupBytes = 1 << 20;  // reached by the recorder; a group may exceed it by one event

  virtual ~EventLog() = default;

  // Appends the batch atomically and durably.  On an error it is not readable now and last() stays:
  //   kInvalidArgument  an empty or too large batch, a removal that does not end with a commit
  //   kFull             refused before anything was written: too little room is left on the disk
  //   kUnavailable      refused likewise: a disk that takes no writes, or a log that recover() has not opened again
  //   kSyncFailed       the write or its fsync failed, on a full disk too.  All or nothing of the batch may come to
  //                     light when the log is opened again; until recover() succeeds every append is refused
  virtual Result<Commit> append(const AppendBatch& batch) = 0;

  // The appending thread's.  Succeeds when append() can be tried: at once, or after closing and opening the log in
  // place where a write had failed.  Then last(), mark() and read() tell whether the failed batch is in it; all that
  // append() confirmed is.  The error says what is still wrong and what helps; kCorrupt when confirmed events are gone,
  // which only a disk that lies about its syncs can do.  Reads wait meanwhile, for seconds at most, or get
  // kUnavailable.
  virtual Result<void> recover() { return {}; }

  // Events after `after` in ascending order that pass the filter.  Sees everything committed before the call.
  virtual Result<ReadResult> read(Position after, const ReadLimit& limit, const EventFilter& filter) const = 0;

  // One event.  kNotFound beyond the end, and for telemetry that was removed (its message then says "expired").
  virtual Result<RecordedEvent> at(Position position) const = 0;

  // The first position recorded at or after `time`; last() + 1 when there is none.
  virtual Result<Position> first_at(WallTime time) const = 0;

  // What append() needs to replace these facts, whose bytes alone may differ.  kInvalidArgument where the engine keeps
  // no groups, kNotFound for a position that holds no fact.
  virtual Result<std::vector<GroupReplacement>> rewrite_groups(std::span<const RecordedEvent> changed) const;
  // Where a replacement was appended last; 0: never.  Views that are older than this hold what was replaced.
  virtual Position replaced_at() const { return {}; }
  // Rewrites the engine's files until nothing of what was replaced is left in them.
  virtual Result<void> destroy_replaced() { return {}; }

  virtual Position last() const = 0;
  virtual Position telemetry_removed_through() const = 0;
  // Gives the space of what was removed back to the disk.  Takes as long as rewriting what is left around it; from any
  // thread.
  virtual Result<void> reclaim() { return {}; }
  virtual std::optional<EventOrder> mark(std::string_view producer) const = 0;
  virtual Result<LogInfo> info() const = 0;
  virtual std::string incarnation() const = 0;
  virtual uint64_t incarnation_number() const = 0;

  // The schemas that events were written with, in order of position; empty where the engine keeps none.
  virtual Result<std::vector<LogSchema>> schemas() const { return std::vector<LogSchema>{}; }

  // Makes `directory`, which must not exist, a log of its own with everything that was committed before the call.
  // Files that never change are shared by hard links where the file system allows, else copied.  From any thread;
  // appends go on meanwhile.  kFull when the disk is near its reserve; kUnavailable where the engine cannot.
  virtual Result<void> checkpoint(const std::filesystem::path& directory) const;

  // For a log opened read-only beside a running hub: sees what was appended since.  A no-op elsewhere.
  virtual Result<void> refresh() { return {}; }
};

struct LogStoreOptions {
  size_t write_buffer_bytes = 16u << 20;  // one memtable; small, so that a full disk is met early and memory stays low
  size_t block_cache_bytes = 8u << 20;
  std::optional<uint64_t> reserve_bytes;  // less free on the disk: refused.  Default three write buffers and a group
  rocksdb::Env* env = nullptr;            // tests put a file system under the log; outlives it
};

// In memory: the same contract, for tests and rebuilds.
std::unique_ptr<EventLog> make_memory_event_log(uint64_t incarnation_number = 1);

// Opens or creates the log in `directory`.  kConflict when another process has it open, kIncompatible when a newer
// program wrote it, kCorrupt (naming the file) when it does not verify.
Result<std::unique_ptr<EventLog>> open_rocksdb_event_log(const std::filesystem::path& directory, const Clock& clock,
                                                         const LogStoreOptions& options = {});

// Opens a copy of a log to go on with it: gives it a new incarnation, higher than its own and than `above`, and
// remembers which producers' marks come from the copy (LogInfo::restored).  Errors as above, and kNotFound.
Result<std::unique_ptr<EventLog>> open_rocksdb_event_log_copy(const std::filesystem::path& directory,
                                                              const Clock& clock, uint64_t above = 0);

// Read-only, also beside a running hub; `scratch` is a private directory for the reader's own files.
Result<std::unique_ptr<EventLog>> open_rocksdb_event_log_reader(const std::filesystem::path& directory,
                                                                const std::filesystem::path& scratch);

}  // namespace millrace
