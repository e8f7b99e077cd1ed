// SPDX-License-Identifier: Apache-2.0
// Printers, jobs and maintenance records as clients of the older 3d-print-logger expect them: its fields, whole numbers
// for ids, and times that are valid RFC 3339 in UTC.
#pragma once

#include <cstdint>
#include <string_view>

#include "bus/blob_store.h"
#include "bus/json_writer.h"
#include "projections/job_history.h"
#include "schemas/view_generated.h"

namespace millrace {

void write_older_printer(JsonWriter& json, const schema::MachineViewT& machine, uint64_t number);
// {printer_id, name, is_connected, state, progress, current_file, error}
void write_older_status(JsonWriter& json, const schema::MachineViewT& machine, uint64_t number);

struct OlderJobOptions {
  uint64_t number = 0;
  uint64_t printer = 0;
  const BlobStore* blobs = nullptr;  // of pictures and of long settings; null: neither is shown
  bool settings = false;             // the slicer's own, some hundred
};
void write_older_job(JsonWriter& json, const JobPart& part, const OlderJobOptions& options);

// "printing", "paused", "completed", "cancelled" or "error", which is any print that failed or was interrupted.
std::string_view older_job_status(const schema::JobViewT& job);

void write_older_record(JsonWriter& json, const schema::MaintenanceRecordViewT& record, uint64_t number,
                        uint64_t printer);

}  // namespace millrace
