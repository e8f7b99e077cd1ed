// SPDX-License-Identifier: Apache-2.0
// Reads the SQLite database of KlipperIWC: status_history, temperature_history and job_history become measured values
// by the minute, with their own times, and the prints that were seen in them.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "producers/older/older_piece.h"
#include "producers/older/older_table.h"
#include "producers/older/print_log.h"

namespace millrace {

struct KlipperIwcOptions {
  std::string machine;  // whose history it is: KlipperIWC knows one printer and no name of it
  int64_t now_us = 0;   // the minute under way is left for the next time
};

struct KlipperIwcReport {
  uint64_t statuses = 0;      // rows of status_history
  uint64_t temperatures = 0;  // rows of temperature_history
  uint64_t sights = 0;        // rows of job_history
  uint64_t prints = 0;        // made of these
  uint64_t queued = 0;        // sights of jobs that only waited
  uint64_t printing = 0;      // still going on there, left out
  uint64_t samples = 0;       // statuses that KlipperIWC made up: constants of its own, no printer's
  std::set<std::string> missing_tables;
};

// The signal that a component's values become: "hotend" is Klipper's extruder, "bed" its heater_bed, and a name that is
// none of Klipper's a temperature_sensor.  Empty for a name that cannot be one.
std::string object_of_component(std::string_view component);

// kMalformed when that is no database of KlipperIWC; errors of the database and of `take`.
Result<KlipperIwcReport> read_klipperiwc_log(SqlDatabase& database, const KlipperIwcOptions& options, OddRows& odd,
                                             const TakePiece& take);

}  // namespace millrace
