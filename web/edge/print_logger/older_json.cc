// SPDX-License-Identifier: Apache-2.0
#include "web/edge/print_logger/older_json.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "bus/base64.h"
#include "bus/json_reader.h"
#include "projections/machine_state.h"
#include "web/edge/shown_json.h"

namespace millrace {
namespace {

using schema::JobViewT;
using schema::MachineViewT;

constexpr size_t kMaxThumbnail = 75'000;  // bytes: at most 100,000 characters of base64, as the older column had
constexpr size_t kMaxSettings = 4u << 20;

// What was stored as somebody said it becomes a part of our JSON only if it is some.
void json_or_null(JsonWriter& json, std::string_view name, std::string_view text) {
  json.key(name);
  JsonReader reader(kMaxSettings);
  const auto parsed = text.empty() ? Result<Json>(make_error(Errc::kMalformed, "empty")) : reader.parse(text);
  parsed ? json.raw(to_text(*parsed)) : json.null();
}

void whole(JsonWriter& json, std::string_view name, const std::optional<double>& number) {
  json.key(name);
  number ? json.value(static_cast<int64_t>(std::llround(*number))) : json.null();
}

// A list, also of one that was given as a single object.
void write_materials(JsonWriter& json, std::string_view text) {
  JsonReader reader;
  const auto parsed = text.empty() ? Result<Json>(make_error(Errc::kMalformed, "empty")) : reader.parse(text);
  json.key("loaded_materials");
  if (!parsed) {
    json.null();
  } else if (parsed->is_array()) {
    json.raw(to_text(*parsed));
  } else {
    json.array().raw(to_text(*parsed)).end();
  }
}

int64_t last_seen_us(const MachineViewT& machine) {
  if (machine.connected_since_us == 0) return 0;
  return machine.link_up ? machine.last_recorded_us : machine.disconnected_since_us;
}

bool is_running(const MachineViewT& machine) {
  return machine.job && machine.job->outcome == schema::JobOutcome::running;
}

// Why it cannot work; empty when it can.
std::string error_of(const MachineViewT& machine) {
  if (!machine.link_up) {
    if (!machine.disconnect_text.empty()) return machine.disconnect_text;
    return machine.disconnect_reason.empty() ? machine.state_text : machine.disconnect_reason;
  }
  const bool failed = machine.state == schema::MachineState::error || machine.state == schema::MachineState::shutdown;
  if (failed) return machine.state_text.empty() ? "Klipper is not ready" : machine.state_text;
  if (machine.conditions.empty()) return {};
  const auto& condition = *machine.conditions.front();
  return condition.text.empty() ? condition.condition : condition.text;
}

std::vector<std::string> distinct(const schema::JobMetadataReadT& sliced, std::string schema::SlicedExtruderT::*field) {
  std::vector<std::string> texts;
  for (const auto& extruder : sliced.extruders) {
    const std::string& text = (*extruder).*field;
    if (!text.empty() && std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
  }
  return texts;
}

void write_joined(JsonWriter& json, std::string_view name, const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ";") + text;
  json.text_or_null(name, all);
}

// One number for each extruder; null when none is known.
template <class Number>
void write_each(JsonWriter& json, std::string_view name, const schema::JobMetadataReadT& sliced,
                Number schema::SlicedExtruderT::*field) {
  const bool any = std::any_of(sliced.extruders.begin(), sliced.extruders.end(),
                               [field](const auto& extruder) { return ((*extruder).*field).has_value(); });
  json.key(name);
  if (!any) {
    json.null();
    return;
  }
  json.array();
  for (const auto& extruder : sliced.extruders) json.value((*extruder).*field);
  json.end();
}

void write_thumbnail(JsonWriter& json, const JobViewT& job, const BlobStore* blobs) {
  json.key("thumbnail_base64");
  const bool known = job.thumbnail_type == "image/png" || job.thumbnail_type == "image/jpeg";
  const auto bytes = known && blobs != nullptr && !job.thumbnail_blob.empty()
                         ? blobs->get(job.thumbnail_blob)
                         : Result<std::string>(make_error(Errc::kNotFound, "no picture"));
  bytes && bytes->size() <= kMaxThumbnail ? json.value(base64(*bytes)) : json.null();
}

void write_settings(JsonWriter& json, const schema::JobMetadataReadT& sliced, const OlderJobOptions& options) {
  if (!options.settings) {
    json.key("config_block").null();
  } else if (!sliced.settings_json.empty() || options.blobs == nullptr || sliced.settings_blob.empty()) {
    json_or_null(json, "config_block", sliced.settings_json);
  } else {
    const auto bytes = options.blobs->get(sliced.settings_blob);
    json_or_null(json, "config_block", bytes ? std::string_view(*bytes) : std::string_view());
  }
}

void write_details(JsonWriter& json, const JobPart& part, const OlderJobOptions& options) {
  json.key("details");
  if (part.detail.sliced == nullptr) {
    json.null();
    return;
  }
  const schema::JobMetadataReadT& sliced = *part.detail.sliced;
  using Extruder = schema::SlicedExtruderT;
  json.object().field("id", options.number).field("print_job_id", options.number);
  json.field("layer_height", sliced.layer_height).field("first_layer_height", sliced.first_layer_height);
  whole(json, "nozzle_temp", sliced.nozzle_temp);
  whole(json, "bed_temp", sliced.bed_temp);
  whole(json, "print_speed", sliced.print_speed);
  whole(json, "infill_percentage", sliced.infill_percentage);
  json.text_or_null("infill_pattern", sliced.infill_pattern);
  json.field("support_enabled", sliced.support_enabled);
  json.text_or_null("support_type", sliced.support_type);
  write_joined(json, "filament_type", distinct(sliced, &Extruder::filament_type));
  write_joined(json, "filament_brand", distinct(sliced, &Extruder::filament_vendor));
  write_joined(json, "filament_color", distinct(sliced, &Extruder::filament_color));
  whole(json, "estimated_time", sliced.estimated_time_s);
  json.field("estimated_filament", sliced.total_filament_used_g).field("layer_count", sliced.layer_count);
  json.field("object_height", sliced.object_height);
  write_thumbnail(json, part.job, options.blobs);
  json.text_or_null("slicer_name", sliced.slicer_name);
  json.text_or_null("slicer_version", sliced.slicer_version);
  write_each(json, "filament_used_mm", sliced, &Extruder::used_mm);
  write_each(json, "filament_used_cm3", sliced, &Extruder::used_cm3);
  write_each(json, "filament_used_g", sliced, &Extruder::used_g);
  write_each(json, "filament_cost", sliced, &Extruder::cost);
  json.field("total_filament_used_g", sliced.total_filament_used_g);
  json.field("total_filament_cost", sliced.total_filament_cost);
  write_settings(json, sliced, options);
  json.end();
}

// When it became known, and what is the last thing that is known of it.
void write_row_times(JsonWriter& json, const JobPart& part) {
  const JobViewT& job = part.job;
  const int64_t created_us = job.start_observed_us != 0 ? job.start_observed_us : started_at(job).us;
  int64_t updated_us = std::max(created_us, ended_at(job).us);
  if (!part.detail.changes.empty()) updated_us = std::max(updated_us, part.detail.changes.back()->at_us);
  write_time(json, "created_at", created_us);
  write_time(json, "updated_at", updated_us);
}

}  // namespace

void write_older_printer(JsonWriter& json, const MachineViewT& machine, uint64_t number) {
  const schema::MachineSettingsT none;
  const schema::MachineSettingsT& settings = machine.settings ? *machine.settings : none;
  json.object().field("id", number).field("name", machine.name).field("moonraker_url", settings.moonraker_url);
  json.text_or_null("location", settings.location);
  json.field("is_active", !machine.settings || settings.enabled);
  write_time(json, "last_seen", last_seen_us(machine));
  json.text_or_null("printer_type", settings.technology);
  json.text_or_null("make", settings.make);
  json.text_or_null("model", settings.model);
  json.text_or_null("description", settings.description);
  json.field("filament_diameter", settings.filament_diameter).field("nozzle_diameter", settings.nozzle_diameter);
  json.field("bed_x", settings.bed_x).field("bed_y", settings.bed_y).field("bed_z", settings.bed_z);
  json.field("has_heated_bed", settings.heated_bed.value_or(false));
  json.field("has_heated_chamber", settings.heated_chamber.value_or(false));
  write_materials(json, settings.loaded_materials_json);
  write_time(json, "created_at", machine.first_recorded_us);
  write_time(json, "updated_at", std::max(machine.first_recorded_us, settings.configured_us));
  json.end();
}

void write_older_status(JsonWriter& json, const MachineViewT& machine, uint64_t number) {
  json.object().field("printer_id", number).field("name", machine.name).field("is_connected", machine.link_up);
  json.field("state", schema::EnumNameMachineState(shown_state(machine))).key("progress");
  is_running(machine) ? json.value(machine.job->progress) : json.null();
  json.text_or_null("current_file", is_running(machine) ? std::string_view(machine.job->filename) : "");
  json.text_or_null("error", error_of(machine));
  json.end();
}

std::string_view older_job_status(const JobViewT& job) {
  switch (job.outcome) {
    case schema::JobOutcome::completed:
      return "completed";
    case schema::JobOutcome::cancelled:
      return "cancelled";
    case schema::JobOutcome::failed:
    case schema::JobOutcome::interrupted:
      return "error";
    default:
      return job.paused_since_us != 0 ? "paused" : "printing";
  }
}

void write_older_job(JsonWriter& json, const JobPart& part, const OlderJobOptions& options) {
  const JobViewT& job = part.job;
  json.object().field("id", options.number).field("printer_id", options.printer);
  json.field("job_id", job.moonraker_job_id.empty() ? job.id : job.moonraker_job_id);
  json.text_or_null("user", job.user);
  json.field("filename", job.filename);
  json.text_or_null("title", job.title);
  json.text_or_null("url", job.link);
  json.field("status", older_job_status(job));
  write_time(json, "start_time", started_at(job).us);
  write_time(json, "end_time", ended_at(job).us);
  json.field("print_duration", job.print_duration).field("total_duration", job.total_duration);
  json.field("filament_used", job.filament_used);
  json_or_null(json, "job_metadata", part.detail.metadata_json);
  json_or_null(json, "auxiliary_data", part.detail.auxiliary_json);
  write_row_times(json, part);
  write_details(json, part, options);
  json.end();
}

void write_older_record(JsonWriter& json, const schema::MaintenanceRecordViewT& record, uint64_t number,
                        uint64_t printer) {
  json.object().field("id", number).field("printer_id", printer);
  write_time(json, "date", record.date_us);
  json.field("done", record.done).field("category", record.category).field("description", record.description);
  json.field("cost", record.cost);
  json.text_or_null("notes", record.notes);
  write_time(json, "created_at", record.created_us);
  write_time(json, "updated_at", record.recorded_us);
  json.end();
}

}  // namespace millrace
