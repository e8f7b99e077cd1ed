// SPDX-License-Identifier: Apache-2.0
// What a producer has observed and the log has not yet confirmed: on disk, in order, bounded.
// Survives the death of its process, and with `sync` the loss of power.  One thread.
//
// Layout: <directory>/<number>.seg, records with a CRC each; a torn tail is cut off at open.  A record is one append():
// its events and, where given, the producer's own small state, so that both change together or not at all.  Every
// segment begins with the state and the last order at that time, so that earlier segments can go.  <directory>/epoch
// holds the last opened epoch, <directory>/drops what was dropped and is not yet told.  What was confirmed is not
// written down: after a restart the events of the oldest segment are offered again, and the log drops what it knows.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/envelope.h"
#include "bus/ids.h"
#include "bus/result.h"

namespace millrace {

struct OutboxOptions {
  uint64_t max_bytes = 256u << 20;
  uint64_t segment_bytes = 8u << 20;
  uint64_t reserve_bytes = 16u << 20;  // of the disk: with less free it is low
  bool sync = false;
};

struct OutboxEntry {
  EventOrder order;
  std::string bytes;  // the envelope
};

class Outbox {
 public:
  // What becomes of records that do not verify, though whole ones follow.
  enum class Damage {
    kError,    // kCorrupt, naming file and offset
    kLeftOut,  // said in the program's log; their numbers are a hole, which the recorder names
  };
  // Opens or creates.  A torn record at the end of all is cut off.
  static Result<std::unique_ptr<Outbox>> open(std::filesystem::path directory, OutboxOptions options,
                                              Damage damage = Damage::kError);
  virtual ~Outbox() = default;

  // Appends events and, if given, the new state, in one write.  Events must follow last() in order.
  // A lone EpochOpened has room in a full outbox too: the producer could not start otherwise.
  // kFull (its bound, or the disk) and kIo: nothing is counted as written, and it may be tried again.
  virtual Result<void> append(const std::vector<Envelope>& events, std::optional<std::string_view> state) = 0;

  // Forgets everything up to and including `order`.  Space is returned a segment at a time.
  virtual Result<void> confirm(EventOrder order) = 0;

  // Everything that still lies on the disk counts as unconfirmed again: the log that confirmed it is gone.
  virtual Result<void> offer_again() = 0;

  // Up to `max_events` / `max_bytes` events after `after`, all of one epoch, in order and without a hole.
  virtual Result<std::vector<OutboxEntry>> read(EventOrder after, size_t max_events, size_t max_bytes) const = 0;

  virtual std::optional<EventOrder> oldest() const = 0;  // unconfirmed; nullopt when empty
  virtual EventOrder last() const = 0;                   // ever appended, {0, 0} when never
  virtual EventOrder confirmed() const = 0;
  virtual const std::string& state() const = 0;  // the latest, "" when never set
  virtual uint64_t size_bytes() const = 0;
  virtual bool disk_is_low() const = 0;  // less free than the reserve: what can be spared should not be appended
  virtual uint64_t size_events() const = 0;
  virtual uint64_t events_after(EventOrder order) const = 0;
  virtual uint64_t bytes_after(EventOrder order) const = 0;

  // Events that found no room and have no number.  The count survives the process, until the event `told_by`, which
  // says it, is in the outbox; {0, 0}: none is about to.
  virtual Result<void> note_drops(uint64_t count, EventOrder told_by) = 0;
  virtual uint64_t untold_drops() const = 0;

  // The epoch for this start of the producer: max(stored + 1, now in ms), durable when it returns (decision 1).
  virtual Result<uint64_t> open_epoch(WallTime now) = 0;
  // Later epochs will be above `epoch` too, which another process of the same name has opened.  Durable.
  virtual Result<void> note_epoch(uint64_t epoch) = 0;
};

}  // namespace millrace
