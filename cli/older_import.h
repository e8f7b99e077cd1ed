// SPDX-License-Identifier: Apache-2.0
// Takes pieces of an older system's database into the log, as far as the views do not know what they say: printers as
// disabled machines, prints by the rules of docs/jobs.md, what their slicer wrote, maintenance, and measured values by
// the minute.  So the same database again adds nothing, and what was seen live or in Moonraker's history stays as it
// is.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bus/blob_store.h"
#include "bus/clock.h"
#include "bus/events.h"
#include "cli/history_import.h"
#include "producers/older/older_piece.h"
#include "projections/view_store.h"

namespace millrace {

struct OlderTally {
  ImportTally jobs;             // also events, position
  uint64_t shifted_by_log = 0;  // known by their number and file, a zone's offset away
  uint64_t joined = 0;          // prints that stood twice and are one now
  uint64_t details = 0;         // told: what a slicer wrote
  uint64_t pictures_lost = 0;   // of these, whose picture or settings could not be kept
  uint64_t texts = 0;           // told: titles and links
  uint64_t new_machines = 0;
  uint64_t new_records = 0;  // of maintenance
  uint64_t known_records = 0;
  uint64_t new_minutes = 0;  // of signals
  uint64_t known_minutes = 0;
  std::map<int64_t, std::string> machines;  // by the printer's id there

  OlderTally& operator+=(const OlderTally& other);
};

class OlderImport {
 public:
  static constexpr size_t kMaxJobs = 500;  // of one take()

  // What `parts` and `blobs` name outlives this.
  OlderImport(HistoryImport::Parts parts, BlobStore& blobs) : parts_(std::move(parts)), blobs_(blobs) {}

  // From any thread; waits for the disk.  On an error some of the piece may have been taken: give it again.
  // kInvalidArgument for a machine id that is none or a name that is another machine's, kTooLarge for too many jobs.
  Result<OlderTally> take(const OlderPiece& piece);

 private:
  class Round;
  const HistoryImport::Parts parts_;
  BlobStore& blobs_;
  std::mutex mutex_;  // one after the other
};

// Between the command and a running hub, see control_service.h.
std::string to_json(const OlderTally& tally);
Result<OlderTally> older_tally_in(const Json& json);

}  // namespace millrace
