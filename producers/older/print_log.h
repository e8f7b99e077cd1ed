// SPDX-License-Identifier: Apache-2.0
// Reads the database of 3d-print-logger, in SQLite or MySQL: printers, print_jobs, job_details, maintenance_records.
// Its job_totals are sums that the views make anew; its API keys, and Moonraker's, stay where they are.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "producers/older/older_piece.h"
#include "producers/older/older_print.h"
#include "producers/older/older_table.h"

namespace millrace {

// Takes a piece, in the order in which they come; of printers it gives the machine of each, by the printer's id there.
using TakePiece = std::function<Result<std::map<int64_t, std::string>>(const OlderPiece& piece)>;

struct PrintLogOptions {
  // How the machines are to be called, by the printer's name there, or by "#<id>" for one that was deleted.
  std::map<std::string, std::string> machines;
  const LocalZone* zone = nullptr;  // of the computer that 3d-print-logger ran on; nullptr: not given
  int64_t now_us = 0;               // a print that began within three days and has not ended may be going on
};

struct PrintLogReport {
  uint64_t printers = 0;
  uint64_t prints = 0;    // rows of print_jobs
  uint64_t doubled = 0;   // of them second rows of prints that were watched live
  uint64_t orphans = 0;   // of printers that were deleted, left out
  uint64_t printing = 0;  // still going on there, left out
  uint64_t records = 0;   // of maintenance
  SettledTimes times;
  std::set<int64_t> orphaned_printers;
  std::set<std::string> keys_left;       // printers whose key for Moonraker is not taken over
  std::set<std::string> missing_tables;  // of an older schema
};

// kMalformed when that is no database of 3d-print-logger; kInvalidArgument, before anything is taken, when times are
// seen to be shifted and no zone is given, or a name of `machines` is not there; errors of the database and of `take`.
Result<PrintLogReport> read_print_log(SqlDatabase& database, const PrintLogOptions& options, OddRows& odd,
                                      const TakePiece& take);

}  // namespace millrace
