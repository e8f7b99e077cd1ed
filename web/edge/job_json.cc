// SPDX-License-Identifier: Apache-2.0
#include "bus/json_reader.h"
#include "projections/job_history.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

void write_text_or_null(JsonWriter& json, std::string_view name, std::string_view text) {
  json.key(name);
  text.empty() ? json.null() : json.value(text);
}

// Stored verbatim as a machine said it, so it is checked before it becomes a part of our own JSON.
void write_json_text(JsonWriter& json, std::string_view name, std::string_view text) {
  json.key(name);
  JsonReader reader(Envelope::kMaxBytes);
  const auto parsed = text.empty() ? Result<Json>(make_error(Errc::kMalformed, "empty")) : reader.parse(text);
  parsed ? json.raw(to_text(*parsed)) : json.null();
}

void write_end(JsonWriter& json, const schema::JobViewT& job) {
  json.field("outcome", schema::EnumNameJobOutcome(job.outcome));
  write_text_or_null(json, "cause", job.cause);
  write_text_or_null(json, "text", job.text);
  json.key("verdict").null();
  json.field("evidence", schema::EnumNameJobEvidence(job.evidence));
  write_text_or_null(json, "row_status", job.row_status);
  json.field("late", job.late);
}

void write_times(JsonWriter& json, const schema::JobViewT& job) {
  const ShownTime start = started_at(job);
  const ShownTime end = ended_at(job);
  const bool corrected = start.corrected || end.corrected;
  const bool back_filled = job.start_seen == schema::JobSeen::history || job.end_seen == schema::JobSeen::history;
  write_time(json, "started_at", start.us);
  write_time(json, "ended_at", end.us);
  write_time(json, "last_observed_at", job.last_observed_us);
  json.field("clock_corrected", corrected).field("time_uncertain", corrected && back_filled);
}

void write_pauses(JsonWriter& json, const schema::JobViewT& job) {
  json.field("paused", job.paused_since_us != 0);
  json.field("pause_count", static_cast<int64_t>(job.pause_count));
  json.field("pause_duration", static_cast<double>(job.paused_us) / 1e6);
  write_time(json, "paused_since", job.paused_since_us);
  write_text_or_null(json, "pause_cause", job.pause_cause);
}

}  // namespace

void write_job(JsonWriter& json, const schema::JobViewT& job, const schema::JobDetailT* detail) {
  json.object().field("id", job.id).field("machine", job.machine);
  write_text_or_null(json, "filename", job.filename);
  write_end(json, job);
  write_times(json, job);
  json.field("total_duration", job.total_duration).field("print_duration", job.print_duration);
  json.field("filament_used", job.filament_used);
  json.field("progress", job.progress).field("layer", job.layer).field("total_layers", job.total_layers);
  write_pauses(json, job);
  json.field("objects_excluded", job.objects_excluded).field("objects_total", job.objects_total);
  write_text_or_null(json, "user", job.user);
  write_text_or_null(json, "moonraker_job_id", job.moonraker_job_id);
  json.field("seen", schema::EnumNameJobSeen(job.start_seen));
  json.field("first_position", job.first_position).field("last_position", job.last_position);
  if (detail != nullptr) {
    write_json_text(json, "metadata", detail->metadata_json);
    write_json_text(json, "auxiliary_data", detail->auxiliary_json);
  }
  json.end();
}

}  // namespace millrace
