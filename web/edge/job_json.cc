// SPDX-License-Identifier: Apache-2.0
#include "bus/json_reader.h"
#include "projections/job_history.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

// Stored verbatim as a machine said it, so it is checked before it becomes a part of our own JSON.
void write_json_text(JsonWriter& json, std::string_view name, std::string_view text) {
  json.key(name);
  JsonReader reader(Envelope::kMaxBytes);
  const auto parsed = text.empty() ? Result<Json>(make_error(Errc::kMalformed, "empty")) : reader.parse(text);
  parsed ? json.raw(to_text(*parsed)) : json.null();
}

void write_end(JsonWriter& json, const schema::JobViewT& job) {
  json.field("outcome", schema::EnumNameJobOutcome(job.outcome));
  json.text_or_null("cause", job.cause);
  json.text_or_null("text", job.text);
  json.key("verdict");
  job.verdict == schema::JobVerdict::unknown ? json.null() : json.value(schema::EnumNameJobVerdict(job.verdict));
  json.text_or_null("reason", job.reason);
  json.field("evidence", schema::EnumNameJobEvidence(job.evidence));
  json.text_or_null("row_status", job.row_status);
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
  json.text_or_null("pause_cause", job.pause_cause);
}

void write_texts(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts) {
  json.key(name).array();
  for (const std::string& text : texts) json.value(text);
  json.end();
}

void write_said(JsonWriter& json, const schema::JobViewT& job) {
  json.text_or_null("title", job.title);
  write_texts(json, "tags", job.tags);
  json.text_or_null("link", job.link);
  json.field("has_notes", !job.notes.empty()).field("photo_count", static_cast<int64_t>(job.photo_count));
  json.key("corrected").array();
  for (const auto& correction : job.corrections) {
    json.value(correction->field == "start_us" ? "started_at"
               : correction->field == "end_us" ? "ended_at"
                                               : correction->field);
  }
  json.end().field("hidden", job.hidden);
}

void write_summary(JsonWriter& json, const schema::JobViewT& job) {
  json.text_or_null("slicer", job.slicer_name);
  json.field("estimated_time", job.estimated_time_s);
  json.text_or_null("filament_type", job.filament_type);
  json.text_or_null("thumbnail", job.thumbnail_blob);
  json.text_or_null("thumbnail_type", job.thumbnail_type);
}

void write_extruders(JsonWriter& json, const schema::JobMetadataReadT& sliced) {
  json.key("extruders").array();
  for (const auto& extruder : sliced.extruders) {
    json.object();
    json.text_or_null("filament_type", extruder->filament_type);
    json.text_or_null("filament_vendor", extruder->filament_vendor);
    json.text_or_null("filament_color", extruder->filament_color);
    json.field("used_mm", extruder->used_mm).field("used_cm3", extruder->used_cm3).field("used_g", extruder->used_g);
    json.field("cost", extruder->cost).end();
  }
  json.end();
}

void write_sliced(JsonWriter& json, const schema::JobMetadataReadT* read) {
  json.key("sliced");
  if (read == nullptr) {
    json.null();
    return;
  }
  const schema::JobMetadataReadT& sliced = *read;
  json.object();
  json.text_or_null("filename", sliced.filename);
  json.field("source", sliced.source).field("partial", sliced.partial).field("replaced", sliced.replaced);
  json.field("file_bytes", sliced.file_bytes);
  write_time(json, "file_modified_at", sliced.file_modified_us);
  json.text_or_null("slicer_name", sliced.slicer_name);
  json.text_or_null("slicer_version", sliced.slicer_version);
  json.field("estimated_time", sliced.estimated_time_s).field("layer_height", sliced.layer_height);
  json.field("first_layer_height", sliced.first_layer_height).field("layer_count", sliced.layer_count);
  json.field("object_height", sliced.object_height).field("nozzle_temp", sliced.nozzle_temp);
  json.field("first_layer_nozzle_temp", sliced.first_layer_nozzle_temp).field("bed_temp", sliced.bed_temp);
  json.field("chamber_temp", sliced.chamber_temp).field("infill_percentage", sliced.infill_percentage);
  json.text_or_null("infill_pattern", sliced.infill_pattern);
  json.field("support_enabled", sliced.support_enabled);
  json.text_or_null("support_type", sliced.support_type);
  json.field("print_speed", sliced.print_speed).field("total_filament_used_mm", sliced.total_filament_used_mm);
  json.field("total_filament_used_g", sliced.total_filament_used_g);
  json.field("total_filament_cost", sliced.total_filament_cost);
  write_extruders(json, sliced);
  write_texts(json, "objects", sliced.objects);
  write_json_text(json, "settings", sliced.settings_json);
  json.text_or_null("settings_blob", sliced.settings_blob);
  json.text_or_null("thumbnail", sliced.thumbnail_blob);
  json.text_or_null("thumbnail_type", sliced.thumbnail_type);
  json.field("thumbnail_width", static_cast<int64_t>(sliced.thumbnail_width));
  json.field("thumbnail_height", static_cast<int64_t>(sliced.thumbnail_height));
  write_texts(json, "warnings", sliced.warnings);
  json.end();
}

void write_photos(JsonWriter& json, const schema::JobDetailT& detail) {
  json.key("photos").array();
  for (const auto& photo : detail.photos) {
    json.object().field("blob", photo->blob).field("content_type", photo->content_type).field("bytes", photo->bytes);
    json.field("width", static_cast<int64_t>(photo->width)).field("height", static_cast<int64_t>(photo->height));
    json.text_or_null("caption", photo->caption);
    write_time(json, "added_at", photo->at_us);
    json.text_or_null("actor", photo->actor);
    json.end();
  }
  json.end();
}

void write_changes(JsonWriter& json, const schema::JobDetailT& detail) {
  json.key("changes").array();
  for (const auto& change : detail.changes) {
    json.object().field("position", change->position);
    write_time(json, "at", change->at_us);
    json.text_or_null("actor", change->actor);
    json.field("field", change->field).key("before").raw(change->before_json).key("after").raw(change->after_json);
    json.text_or_null("reason", change->reason);
    json.end();
  }
  json.end();
}

}  // namespace

void write_job(JsonWriter& json, const schema::JobViewT& job, const schema::JobDetailT* detail) {
  json.object().field("id", job.id).field("machine", job.machine);
  json.text_or_null("filename", job.filename);
  write_end(json, job);
  write_times(json, job);
  json.field("total_duration", job.total_duration).field("print_duration", job.print_duration);
  json.field("filament_used", job.filament_used);
  json.field("progress", job.progress).field("layer", job.layer).field("total_layers", job.total_layers);
  write_pauses(json, job);
  json.field("objects_excluded", job.objects_excluded).field("objects_total", job.objects_total);
  json.text_or_null("user", job.user);
  json.text_or_null("moonraker_job_id", job.moonraker_job_id);
  write_said(json, job);
  write_summary(json, job);
  json.field("seen", schema::EnumNameJobSeen(job.start_seen));
  json.field("first_position", job.first_position).field("last_position", job.last_position);
  if (detail != nullptr) {
    write_json_text(json, "metadata", detail->metadata_json);
    write_json_text(json, "auxiliary_data", detail->auxiliary_json);
    json.text_or_null("notes", job.notes);
    write_sliced(json, detail->sliced.get());
    write_photos(json, *detail);
    write_changes(json, *detail);
  }
  json.end();
}

}  // namespace millrace
