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
#include "bus/result.h"
#include "bus/sha256.h"

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
  Position telemetry_removed_through;  // 0: all is there
  std::optional<ChainRoot> root;       // nullopt: nothing is in it, or the engine has no chain
  std::vector<ProducerMark> marks;
};

class EventLog {
 public:
  static constexpr size_t kMaxGroupEvents = 4096;
  static constexpr size_t kMaxGroupBytes = 1 << 20;  // reached by the recorder; a group may exceed it by one event

  virtual ~EventLog() = default;

  // Appends the batch atomically and durably.  On any error nothing of it is readable, except kSyncFailed: the tail is
  // then unknown and every later append fails until the log is reopened.  kInvalidArgument for an empty or too large
  // one, and for a removal that does not end with a commit.
  virtual Result<Commit> append(const AppendBatch& batch) = 0;

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

  // For a log opened read-only beside a running hub: sees what was appended since.  A no-op elsewhere.
  virtual Result<void> refresh() { return {}; }
};

struct LogStoreOptions {
  size_t write_buffer_bytes = 16u << 20;  // one memtable; small, so that a full disk is met early and memory stays low
  size_t block_cache_bytes = 8u << 20;
};

// In memory: the same contract, for tests and rebuilds.
std::unique_ptr<EventLog> make_memory_event_log(uint64_t incarnation_number = 1);

// Opens or creates the log in `directory`.  kConflict when another process has it open, kIncompatible when a newer
// program wrote it, kCorrupt (naming the file) when it does not verify.
Result<std::unique_ptr<EventLog>> open_rocksdb_event_log(const std::filesystem::path& directory, const Clock& clock,
                                                         const LogStoreOptions& options = {});

// Read-only, also beside a running hub; `scratch` is a private directory for the reader's own files.
Result<std::unique_ptr<EventLog>> open_rocksdb_event_log_reader(const std::filesystem::path& directory,
                                                                const std::filesystem::path& scratch);

}  // namespace millrace
