// SPDX-License-Identifier: Apache-2.0
// What the history of jobs already knows of a row of Moonraker's history, for whoever imports rows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "projections/view_store.h"
#include "schemas/view_generated.h"

namespace millrace {

// The row's identity: its start, and what tells two prints with the same start apart.
struct RowIdentity {
  std::string machine;
  int64_t start_us = 0;
  std::string filename;
  std::string moonraker_job_id;
};

struct KnownPrint {
  std::optional<schema::JobViewT> job;  // nullopt: the print is not known
  uint32_t ordinal = 1;                 // of a print that is not known: above 1 when others have the same start
};

// Leads from a row to its print by the rules of docs/jobs.md, also where that has a local id, was hidden, or was given
// another file name by a person.  kCorrupt, kIo, kUnavailable.
Result<KnownPrint> find_print(const ViewReader& reader, const RowIdentity& row);

// A print that another system tells of, whose times may be rounded, or be those of another zone.
struct OlderSight {
  std::string machine;
  std::string filename;  // a leading ".cache/" makes no difference
  // Of a row of Moonraker's history; empty otherwise, and then the two times say when it was certainly printing.
  std::string moonraker_job_id;
  int64_t from_us = 0;   // of a row its start
  int64_t to_us = 0;     // at or after from_us
  std::string except;    // not this job
  bool any_zone = true;  // the times may be those of another zone
  bool imports_only = false;
  // Only what Moonraker's history or an adapter told, under the id of its row: not what an import told.
  bool rows_only = false;
};

struct NearPrint {
  std::optional<schema::JobViewT> job;  // nullopt: none is near
  int64_t shift_us = 0;                 // how much later the sight's times are where they are those of another zone
};

// The print nearest to it: a row's start agrees within 5 s (docs/jobs.md), or lies a whole number of quarter hours away
// where number and file agree; without a row the two prints lie over each other for the most part, or a
// moment lies in one, give or take a minute.
Result<NearPrint> find_near_print(const ViewReader& reader, const OlderSight& sight);

// Whether an older system's import told prints of the machine that no row of Moonraker's history stands behind: ids
// "<machine>.i<...>".
Result<bool> has_imported_sights(const ViewReader& reader, std::string_view machine);

// What is stored about a job beside its record; empty where nothing is.
Result<schema::JobDetailT> detail_of(const ViewReader& reader, const std::string& job_id);
// The job of exactly that id.
Result<std::optional<schema::JobViewT>> known_job(const ViewReader& reader, const std::string& job_id);

// What a row says of its print's end.
struct RowEnd {
  std::string_view status;
  bool conclusive = false;   // its status settles the print
  bool has_numbers = false;  // and it says how long that took
};
// Whether the row would tell nothing new about the print's end.
bool is_end_known(const schema::JobViewT& job, const RowEnd& row);

}  // namespace millrace
