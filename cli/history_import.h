// SPDX-License-Identifier: Apache-2.0
// Takes rows of a Moonraker's history into the log: each becomes the events that an adapter's back-fill would have
// told, unless the views already know what it says.  So the same rows again, or rows of prints that were watched, add
// nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/events.h"
#include "bus/json_writer.h"
#include "producers/moonraker/history_row.h"
#include "projections/view_store.h"

namespace millrace {

// Of one machine, in the order in which they are to be told: oldest first.
struct ImportedRows {
  std::string machine;
  std::optional<int64_t> skew_ms;  // this computer's clock minus the machine's; nullopt: not known
  std::vector<HistoryRow> rows;
};

struct ImportTally {
  uint64_t rows = 0;
  uint64_t new_jobs = 0;  // prints that nobody had told of
  uint64_t new_ends = 0;  // known ones of which a row said more
  uint64_t known = 0;     // nothing to add
  uint64_t events = 0;
  Position position;  // of the last event; 0: none
  bool new_machine = false;

  ImportTally& operator+=(const ImportTally& other);
};

class HistoryImport {
 public:
  struct Parts {
    const ViewStore& views;
    std::function<Position()> last;  // of the log
    // Appends the events as one group and gives the position of the last.
    std::function<Result<Position>(std::vector<EventDraft>)> append;
    // Waits until the views have everything up to there.
    std::function<Result<void>(Position)> wait_for_views;
    const Clock& clock;
  };
  static constexpr size_t kMaxRows = 500;  // of one take()

  // What `parts` name outlives this.
  explicit HistoryImport(Parts parts) : parts_(std::move(parts)) {}

  // From any thread; waits for the disk.  On an error some of the rows may have been taken: give them again.
  // kInvalidArgument for a machine id that is none.
  Result<ImportTally> take(const ImportedRows& imported);

 private:
  class Round;
  const Parts parts_;
  std::mutex mutex_;  // one after the other: each decides on views that know of the one before
};

// Between the command and a running hub, see control_service.h.
std::string to_json(const ImportedRows& imported);
Result<ImportedRows> imported_rows_in(const Json& json);
std::string to_json(const ImportTally& tally);
Result<ImportTally> import_tally_in(const Json& json);

}  // namespace millrace
