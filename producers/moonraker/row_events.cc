// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/row_events.h"

namespace millrace {
namespace {

std::string cause_of(const HistoryRow& row, schema::JobOutcome outcome) {
  if (row.status == "error") return "gcode_error";
  if (row.status == "klippy_shutdown") return "klipper_error";
  if (row.status == "klippy_disconnect") return "klipper_away";
  if (!is_conclusive(row.status)) return "not_observed";
  return outcome == schema::JobOutcome::failed ? "unknown" : "";
}

}  // namespace

std::string job_id_of_row(std::string_view machine, int64_t start_us, uint32_t ordinal) {
  std::string id = std::string(machine) + "." + std::to_string(start_us);
  if (ordinal > 1) id += "-" + std::to_string(ordinal);
  return id;
}

schema::JobStartedT started_by_row(std::string job_id, const HistoryRow& row, schema::JobSeen seen,
                                   std::optional<int64_t> skew_ms) {
  schema::JobStartedT started;
  started.job_id = std::move(job_id);
  started.start_us = row.start_us;
  started.moonraker_job_id = row.moonraker_job_id;
  started.filename = row.filename;
  started.user = row.user;
  started.seen = seen;
  started.skew_ms = skew_ms;
  started.metadata_json = row.metadata_json;
  started.auxiliary_json = row.auxiliary_json;
  return started;
}

schema::JobFinishedT finished_by_row(std::string job_id, const HistoryRow& row, schema::JobSeen seen,
                                     std::optional<int64_t> skew_ms) {
  schema::JobFinishedT finished;
  finished.job_id = std::move(job_id);
  finished.start_us = row.start_us;
  finished.end_us = row.end_us;
  finished.outcome = outcome_of(row.status);
  finished.evidence = is_conclusive(row.status) ? schema::JobEvidence::conclusive : schema::JobEvidence::inconclusive;
  finished.row_status = row.status;
  finished.cause = cause_of(row, finished.outcome);
  finished.seen = seen;
  finished.moonraker_job_id = row.moonraker_job_id;
  finished.user = row.user;
  finished.total_duration = row.total_duration;
  finished.print_duration = row.print_duration;
  finished.filament_used = row.filament_used;
  finished.skew_ms = skew_ms;
  finished.metadata_json = row.metadata_json;
  finished.auxiliary_json = row.auxiliary_json;
  return finished;
}

}  // namespace millrace
