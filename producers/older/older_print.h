// SPDX-License-Identifier: Apache-2.0
// Rows of 3d-print-logger's table print_jobs, and what has to be decided about them before they can be told: which of
// them are the second rows of prints that were watched live, and whose times are shifted by a zone.  Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "producers/moonraker/history_row.h"
#include "producers/older/older_time.h"

namespace millrace {

// Whether a row's times are those of another zone, and how that is known.
enum class ShiftReason : uint8_t {
  kNone,        // nothing says anything: taken as stored
  kOwnZone,     // the text names its zone
  kCreated,     // the row was created when the print began
  kLiveRow,     // the row that was written live tells when it really was
  kNeighbours,  // the rows before and after it are decided, alike
};

struct OlderPrint {
  int64_t id = 0;  // of the row
  int64_t printer_id = 0;
  std::string job_id;  // Moonraker's number, or "active-<file>-<printer>[-<unix>]"
  HistoryRow row;      // start_us and end_us as UTC: as stored until settle_times()
  std::optional<OlderTime> start;
  std::optional<OlderTime> end;
  std::optional<OlderTime> created;
  std::string title;
  std::string link;
  std::string raw_json;  // the row as it was, an object by columns

  // Of a live row.
  bool live = false;
  int64_t began_us = 0;  // from the id of a reprint, true UTC; 0: not said
  // Found by the functions below.
  bool doubled = false;  // says nothing that another row does not say better
  bool shifted = false;
  ShiftReason shift_reason = ShiftReason::kNone;
  int64_t seen_from_us = 0;  // of a live row without another: when it was certainly printing
  int64_t seen_to_us = 0;
};

// Sets `live` and `began_us` by the job's id.
void read_live_id(OlderPrint& print);

// The same file, also where one of the two lost its ".cache/", as live rows do.
bool is_same_file(std::string_view a, std::string_view b);

struct SettledTimes {
  uint64_t shifted = 0;
  uint64_t by_live_row = 0;  // of the shifted ones
  uint64_t by_created = 0;
  uint64_t by_neighbours = 0;
  uint64_t undecided = 0;  // not alike in both readings, and nothing says which it is: taken as stored
  // Rows whose live row says that they are shifted, where no zone was given; and by how much the first of them is.
  uint64_t unexplained = 0;
  int64_t unexplained_shift_s = 0;
  int64_t unexplained_row = 0;  // its id
};

// Gives each row of Moonraker's history its times as true UTC.  3d-print-logger stored rows that it imported in UTC,
// and rows that Moonraker told it live in the local time of its own computer, without a word about it: `zone`, nullptr
// when it was not given.  `prints` are those of all printers, in the order of their ids.
SettledTimes settle_times(std::vector<OlderPrint>& prints, const LocalZone* zone);

// Marks live rows that are the second row of a print, and gives their title and link to the other where it has none.
// After settle_times().  What remains live has no other row: seen_from_us, seen_to_us and row are set from what it
// says.  Returns how many are doubled.
uint64_t mark_doubles(std::vector<OlderPrint>& prints);

}  // namespace millrace
