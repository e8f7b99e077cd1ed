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

// What a row says of its print's end.
struct RowEnd {
  std::string_view status;
  bool conclusive = false;   // its status settles the print
  bool has_numbers = false;  // and it says how long that took
};
// Whether the row would tell nothing new about the print's end.
bool is_end_known(const schema::JobViewT& job, const RowEnd& row);

}  // namespace millrace
