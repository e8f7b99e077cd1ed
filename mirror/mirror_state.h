// SPDX-License-Identifier: Apache-2.0
// The table millrace_mirror: of which log the tables next to it are, and how far they have come.  Its one row changes
// in the same transaction as they do.  Columns are only ever added to it, so that every version can read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bus/clock.h"
#include "bus/ids.h"
#include "sql/sql_database.h"

namespace millrace {

// What the tables are made from.
struct MirrorOrigin {
  std::string log_id;        // the log's incarnation
  std::string views;         // names and versions of the projections that the rows come from
  uint64_t replaced_at = 0;  // where names in the log were made unreadable last

  bool operator==(const MirrorOrigin&) const = default;
};

struct MirrorState {
  int64_t schema_version = 0;
  MirrorOrigin origin;
  Position position;     // everything up to here is in the tables
  bool rebuild = false;  // asked for, or under way
};

// nullopt where there is no such table, or no row in it.
Result<std::optional<MirrorState>> read_mirror_state(SqlDatabase& database);

// Where to go on from.  Makes the tables where there are none, and makes them anew when that was asked for, when they
// are of an older schema or of other views, or when names were made unreadable since.  Refused, with what to do:
// kConflict for tables of another log and for tables of the same names that are not the mirror's, kIncompatible for
// those of a newer program.
Result<Position> open_mirror_tables(SqlDatabase& database, const MirrorOrigin& origin, Position last);

// Within a transaction, first of all: takes the place of whoever else writes.  kConflict when somebody else did, or
// asked for a rebuild.
Result<void> move_mirror_position(SqlDatabase& database, Position from, Position to, WallTime now);

// Asks for the tables to be dropped and filled again by whoever serves them.  Also for tables of another log; kNotFound
// where there are none, kConflict for tables that are not the mirror's.
Result<void> request_mirror_rebuild(SqlDatabase& database);

}  // namespace millrace
