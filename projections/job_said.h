// SPDX-License-Identifier: Apache-2.0
// What people and slicers say about a print, as pure functions over its record.  What the machine told stays as it is:
// a correction lies beside it, so that evidence and corrections may come in any order.  Of what is said about the same
// field the last holds; every value that is replaced goes to JobDetail::changes.
#pragma once

#include <cstdint>
#include <string_view>

#include "bus/events.h"
#include "schemas/view_generated.h"

namespace millrace {

inline constexpr size_t kMaxJobChanges = 100;  // of one job; the log has all
inline constexpr size_t kMaxJobPhotos = 50;    // of one job; further ones are left out

// Which event says it: its position, when and by whom.
struct Said {
  uint64_t position = 0;
  int64_t at_us = 0;
  std::string_view actor;
};

struct JobRecord {
  schema::JobViewT& job;
  schema::JobDetailT& detail;
};

// Each is true when the detail changed too.
bool annotate(JobRecord record, const schema::JobAnnotated& event, const Said& said);
bool correct(JobRecord record, const schema::JobCorrected& event, const Said& said);
bool set_hidden(JobRecord record, bool hidden, std::string_view reason, const Said& said);
bool add_photo(JobRecord record, const schema::JobPhotoAdded& event, const Said& said);
bool remove_photo(JobRecord record, std::string_view blob, const Said& said);
// That read from the file beats Moonraker's summary; among alike the last holds.
bool add_sliced(JobRecord record, const schema::JobMetadataRead& event, uint64_t position);
// What the list shows of it.
void summarise_sliced(JobRecord record);
void note_entered(JobRecord record, const Said& said);

// Two records of one print: of each field what was said last.
void merge_said(schema::JobViewT& job, const schema::JobViewT& other);
void merge_said(schema::JobDetailT& detail, const schema::JobDetailT& other);

// nullptr when that field was not corrected.
const schema::JobCorrectionT* correction_of(const schema::JobViewT& job, std::string_view field);
// The job as it is shown: with a person's values in place of the machine's.
schema::JobViewT as_corrected(schema::JobViewT job);

}  // namespace millrace
