// SPDX-License-Identifier: Apache-2.0
// The schemas of the answers.  A test compares them with what the answers really hold.
#include "web/edge/api_document.h"
#include "web/edge/schema_parts.h"

namespace millrace {
namespace {

Fields job_fields() {
  return {{"id", "text"},
          {"machine", "text"},
          {"filename", "text?"},
          {"outcome", R"({"enum":["running","completed","cancelled","failed","interrupted"]})"},
          {"cause", "text?"},
          {"text", "text?"},
          {"verdict", R"({"enum":["good","rework","scrap",null]})"},
          {"reason", "text?"},
          {"evidence", R"({"enum":["none","inconclusive","conclusive","observed","person"]})"},
          {"row_status", "text?"},
          {"late", "flag"},
          {"started_at", "time?"},
          {"ended_at", "time?"},
          {"last_observed_at", "time?"},
          {"clock_corrected", "flag"},
          {"time_uncertain", "flag"},
          {"total_duration", "number?"},
          {"print_duration", "number?"},
          {"filament_used", "number?"},
          {"progress", "number?"},
          {"layer", "integer?"},
          {"total_layers", "integer?"},
          {"paused", "flag"},
          {"pause_count", "integer"},
          {"pause_duration", "number"},
          {"paused_since", "time?"},
          {"pause_cause", "text?"},
          {"objects_excluded", "integer?"},
          {"objects_total", "integer?"},
          {"user", "text?"},
          {"moonraker_job_id", "text?"},
          {"title", "text?"},
          {"tags", kTexts},
          {"link", "text?"},
          {"has_notes", "flag"},
          {"photo_count", "integer"},
          {"corrected", kTexts},
          {"hidden", "flag"},
          {"slicer", "text?"},
          {"estimated_time", "number?"},
          {"filament_type", "text?"},
          {"thumbnail", "text?"},
          {"thumbnail_type", "text?"},
          {"seen", R"({"enum":["live","history","imported","entered"]})"},
          {"first_position", "integer"},
          {"last_position", "integer"}};
}

Fields job_detail_fields() {
  Fields fields = job_fields();
  fields.push_back({"metadata", "any"});
  fields.push_back({"auxiliary_data", "any"});
  fields.push_back({"notes", "text?"});
  fields.push_back({"sliced", R"({"type":["object","null"]})"});
  fields.push_back({"photos", R"({"type":"array","items":{"$ref":"#/components/schemas/JobPhoto"}})"});
  fields.push_back({"changes", R"({"type":"array","items":{"$ref":"#/components/schemas/JobChange"}})"});
  return fields;
}

Fields annotation_fields() {
  return {{"verdict", R"({"enum":["unknown","good","rework","scrap",null]})"},
          {"reason", "text?"},
          {"notes", "text?"},
          {"title", "text?"},
          {"link", R"({"type":["string","null"],"pattern":"^https?://"})"},
          {"tags", R"({"type":["array","null"],"maxItems":20,"items":{"type":"string"}})"}};
}

Fields correction_fields() {
  return {{"filename", "text"},
          {"outcome", R"({"enum":["completed","cancelled","failed","interrupted"]})"},
          {"cause", "text"},
          {"started_at", "time"},
          {"ended_at", "time"},
          {"total_duration", "number"},
          {"print_duration", "number"},
          {"filament_used", "number"}};
}

std::string job_changes() {
  Fields fields = annotation_fields();
  for (const auto& field : correction_fields()) fields.push_back(field);
  fields.push_back({"correction_reason", "text"});
  return body_of(fields);
}

std::string job_entry() {
  Fields fields = annotation_fields();
  for (const auto& field : correction_fields()) fields.push_back(field);
  for (const char* name : {"machine", "user", "text"}) fields.push_back({name, "text"});
  return body_of(fields, R"("machine","outcome","started_at")");
}

std::string current_job() {
  return object_of({{"id", "text"},
                    {"filename", "text?"},
                    {"outcome", R"({"enum":["running","completed","cancelled","failed","interrupted"]})"},
                    {"cause", "text?"},
                    {"text", "text?"},
                    {"paused", "flag"},
                    {"pause_cause", "text?"},
                    {"progress", "number?"},
                    {"layer", "integer?"},
                    {"total_layers", "integer?"},
                    {"started_at", "time?"},
                    {"ended_at", "time?"},
                    {"total_duration", "number?"},
                    {"print_duration", "number?"},
                    {"filament_used", "number?"},
                    {"objects_excluded", "integer?"},
                    {"objects_total", "integer?"}});
}

constexpr std::string_view kCommandRequest =
    R"({"type":"object","required":["command"],"additionalProperties":false,"properties":{"command":{"type":"string"},)"
    R"("args":{"type":"object"},"expires_in_s":{"type":"number","minimum":0.1,"maximum":600,"default":5},)"
    R"("idempotency_key":{"type":"string"},"expected_state_version":{"type":"string"},"expected_job_id":{"type":"string"},)"
    R"("actor":{"type":"string"}}})";

std::string command() {
  return object_of(
      {{"command_id", "text"},
       {"machine", "text"},
       {"command", "text"},
       {"args", R"({"type":"object"})"},
       {"status",
        R"({"enum":["requested","accepted","sent","completed","rejected","failed","expired","not_confirmed"]})"},
       {"actor", "text?"},
       {"client", "text?"},
       {"key_id", "text?"},
       {"claimed_actor", "text?"},
       {"idempotency_key", "text?"},
       {"expected_state_version", "text?"},
       {"expected_job_id", "text?"},
       {"expires_in_s", "number"},
       {"requested_at", "time?"},
       {"accepted_at", "time?"},
       {"sent_at", "time?"},
       {"ended_at", "time?"},
       {"method", "text?"},
       {"code", "text?"},
       {"text", "text?"},
       {"reasons", R"({"type":"array","items":{"type":"object"}})"},
       {"position", "integer"}});
}

std::string machine() {
  const std::string temperatures = R"({"type":"object","additionalProperties":)" +
                                   object_of({{"value", "number?"},
                                              {"target", "number?"},
                                              {"power", "number?"},
                                              {"observed_at", "time?"},
                                              {"age", "number?"},
                                              {"stale", "flag"}}) +
                                   "}";
  const std::string fans =
      R"({"type":"object","additionalProperties":)" +
      object_of(
          {{"speed", "number?"}, {"rpm", "number?"}, {"observed_at", "time?"}, {"age", "number?"}, {"stale", "flag"}}) +
      "}";
  const std::string toolhead = R"({"anyOf":[{"type":"null"},)" +
                               object_of({{"x", "number?"},
                                          {"y", "number?"},
                                          {"z", "number?"},
                                          {"e", "number?"},
                                          {"observed_at", "time?"},
                                          {"age", "number?"},
                                          {"stale", "flag"}}) +
                               "]}";
  const std::string recent = R"({"type":"array","items":)" +
                             object_of({{"position", "integer"}, {"type", "text"}, {"observed_at", "time?"}}) + "}";
  return object_of(
      {{"id", "text"},
       {"name", "text"},
       {"kind", R"({"enum":["printer","pick_and_place"]})"},
       {"managed_by", "text?"},
       {"enabled", "flag"},
       {"connection", R"({"enum":["connected","klipper_away","disconnected"]})"},
       {"state",
        R"({"enum":["unknown","offline","starting","ready","printing","paused","error","shutdown","running"]})"},
       {"state_text", "text"},
       {"klipper_state", "text?"},
       {"print_state", "text?"},
       {"state_version", "text?"},
       {"state_since", "time?"},
       {"job", R"({"anyOf":[{"type":"null"},{"$ref":"#/components/schemas/CurrentJob"}]})"},
       {"progress", "number?"},
       {"temperatures", temperatures},
       {"fans", fans},
       {"toolhead", toolhead},
       {"speed_factor", "number?"},
       {"extrude_factor", "number?"},
       {"alarms", R"({"type":"array","items":)" +
                      object_of({{"id", "text"},
                                 {"ref", "text"},
                                 {"rule", "text"},
                                 {"subject", "text?"},
                                 {"level", kAlarmLevel},
                                 {"text", "text"},
                                 {"since", "time?"},
                                 {"acknowledged", "flag"}}) +
                      "}"},
       {"emergency", object_of({{"latched", "flag"}, {"since", "time?"}, {"by", "text?"}, {"text", "text?"}})},
       {"limits", R"({"type":["object","null"],"additionalProperties":{"type":["number","boolean"]}})"},
       {"plate_clear", R"({"type":["boolean","null"]})"},
       {"conditions", R"({"type":"array","items":)" +
                          object_of({{"condition", "text"}, {"text", "text?"}, {"since", "time?"}}) + "}"},
       {"firmware",
        R"({"type":"array","items":)" + object_of({{"name", "text"}, {"version", "text"}, {"chip", "text?"}}) + "}"},
       {"printer_config_sha256", "text?"},
       {"printer_config_position", "integer?"},
       {"message", "text?"},
       {"filament_sensors", R"({"type":"object","additionalProperties":{"type":"object"}})"},
       {"spool_id", "integer?"},
       {"clock_skew_ms", "integer?"},
       {"queue",
        R"({"type":"object","required":["state","total","jobs"],"properties":{"state":{"type":["string","null"]},)"
        R"("total":{"type":"integer"},"jobs":{"type":"array","items":{"type":"object","properties":{)"
        R"("id":{"type":"string"},"filename":{"type":"string"},)"
        R"("added_at":{"type":["string","null"],"format":"date-time"}}}}}})"},
       {"moonraker_url", "text?"},
       {"authentication", "text?"},
       {"has_api_key", "flag"},
       {"tls_ca", "text?"},
       {"technology", "text?"},
       {"make", "text?"},
       {"model", "text?"},
       {"location", "text?"},
       {"description", "text?"},
       {"nozzle_diameter", "number?"},
       {"filament_diameter", "number?"},
       {"bed_x", "number?"},
       {"bed_y", "number?"},
       {"bed_z", "number?"},
       {"heated_bed", R"({"type":["boolean","null"]})"},
       {"heated_chamber", R"({"type":["boolean","null"]})"},
       {"loaded_materials", "any"},
       {"configured_at", "time?"},
       {"moonraker_version", "text?"},
       {"klipper_version", "text?"},
       {"hostname", "text?"},
       {"connected_since", "time?"},
       {"disconnected_since", "time?"},
       {"disconnect_reason", "text?"},
       {"disconnect_text", "text?"},
       {"recent_events", recent},
       {"last_position", "integer"},
       {"updated_at", "time?"},
       {"recorded_at", "time?"},
       {"values", object_of({{"confirmed_at", "time?"},
                             {"age", "number?"},
                             {"stale", R"({"type":"array","items":{"type":"string"}})"}})},
       {"stale", "flag"}});
}

std::string array_of(std::string_view item) {
  return R"({"type":"array","items":{"$ref":"#/components/schemas/)" + std::string(item) + R"("}})";
}

std::string klipperiwc_job() {
  return object_of({{"id", "text"},
                    {"name", "text"},
                    {"progress", "number"},
                    {"status", R"({"enum":["queued","running","completed","failed"]})"},
                    {"started_at", "time?"},
                    {"estimated_completion", "time?"}});
}

std::string klipperiwc_status() {
  return object_of({{"state", R"({"enum":["idle","printing","error","offline"]})"},
                    {"message", "text?"},
                    {"uptime_seconds", "integer?"},
                    {"active_job", R"({"anyOf":[{"type":"null"},{"$ref":"#/components/schemas/KlipperiwcJob"}]})"},
                    {"queued_jobs", array_of("KlipperiwcJob")},
                    {"temperatures", array_of("KlipperiwcTemperature")}});
}

constexpr std::string_view kCategory =
    R"({"enum":["cleaning","calibration","parts_replacement","repair","inspection","upgrade","other"]})";

std::string maintenance_record() {
  return object_of({{"id", "text"},
                    {"machine", "text"},
                    {"task_id", "text?"},
                    {"date", "time"},
                    {"done", "flag"},
                    {"category", kCategory},
                    {"description", "text"},
                    {"cost", "number?"},
                    {"notes", "text"},
                    {"recorded_at", "time"},
                    {"actor", "text?"}});
}

std::string maintenance_task() {
  const std::string used =
      object_of({{"hours", "number"}, {"filament_m", "number"}, {"starts", "integer"}, {"days", "number"}});
  return object_of({{"id", "text"},
                    {"machine", "text"},
                    {"title", "text"},
                    {"category", kCategory},
                    {"description", "text"},
                    {"every_hours", "number?"},
                    {"every_filament_m", "number?"},
                    {"every_starts", "integer?"},
                    {"every_days", "number?"},
                    {"defined_at", "time"},
                    {"since", "time"},
                    {"done_by", "text?"},
                    {"used", used},
                    {"share", "number?"},
                    {"due", "flag"},
                    {"due_at", "time?"},
                    {"due_since", "time?"}});
}

// What a request may say of them; nothing has to be there but what the route's description names.
constexpr std::string_view kRecordFields =
    R"({"type":"object","properties":{"task_id":{"type":["string","null"]},"date":{"type":"string","format":"date-time"},)"
    R"("done":{"type":"boolean"},"category":{"type":"string"},"description":{"type":"string","maxLength":500},)"
    R"("cost":{"type":["number","null"],"minimum":0},"notes":{"type":"string","maxLength":2000}}})";
constexpr std::string_view kTaskFields =
    R"({"type":"object","properties":{"title":{"type":"string","maxLength":100},"category":{"type":"string"},)"
    R"("description":{"type":"string","maxLength":500},"every_hours":{"type":["number","null"]},)"
    R"("every_filament_m":{"type":["number","null"]},"every_starts":{"type":["integer","null"]},)"
    R"("every_days":{"type":["number","null"]}}})";

std::string signal() {
  return object_of({{"name", "text"},
                    {"object", "text"},
                    {"field", "text"},
                    {"unit", "text?"},
                    {"last", "number?"},
                    {"last_minute", "time"}});
}

std::string emergency_stop() {
  return object_of({{"machine", "text"},
                    {"command_id", "text"},
                    {"confirmed", "flag"},
                    {"machine_said", "text"},
                    {"sent_after", "number?"},
                    {"answered_after", "number?"}});
}

std::string telemetry() {
  constexpr std::string_view kColumn = R"({"type":"array","items":{"type":["number","null"]}})";
  const std::string signals = R"({"type":"array","items":)" +
                              object_of({{"name", "text"},
                                         {"object", "text"},
                                         {"field", "text"},
                                         {"unit", "text?"},
                                         {"min", kColumn},
                                         {"mean", kColumn},
                                         {"max", kColumn}}) +
                              "}";
  return object_of({{"machine", "text"},
                    {"from", "time"},
                    {"to", "time"},
                    {"resolution", "integer"},
                    {"count", "integer"},
                    {"signals", signals}});
}

std::string event() {
  const std::string id = object_of({{"producer", "text"}, {"epoch", "text"}, {"sequence", "integer"}});
  const std::string cause = R"({"anyOf":[{"type":"null"},)" + id + "]}";
  return object_of({{"position", "integer"},
                    {"recorded_at", "time?"},
                    {"id", id},
                    {"type", "text"},
                    {"machine", "text?"},
                    {"occurred_at", "time?"},
                    {"observed_at", "time?"},
                    {"actor", "text?"},
                    {"correlation", "text?"},
                    {"causation", cause},
                    {"payload", R"({"type":["object","null"]})"}});
}

}  // namespace

const std::vector<std::pair<std::string_view, std::string>>& api_schemas() {
  static const std::vector<std::pair<std::string_view, std::string>> schemas = {
      {"Problem",
       object_of({{"type", "text"}, {"title", "text"}, {"status", "integer"}, {"code", "text"}, {"detail", "text"}})},
      {"Live", object_of({{"live", "flag"}})},
      {"Ready",
       object_of({{"ready", "flag"}, {"parts", R"({"type":"object","additionalProperties":{"type":"object"}})"}})},
      {"Site", object_of({{"name", "text"},
                          {"timezone", "text"},
                          {"version", "text"},
                          {"demo", "flag"},
                          {"incarnation", "text"},
                          {"position", "integer"},
                          {"time", "time"},
                          {"access", R"({"enum":["open","keys"]})"}})},
      {"CurrentJob", current_job()},
      {"Machine", machine()},
      {"MachineList", list_of("Machine")},
      {"MachineSettings",
       R"({"type":"object","properties":{"id":{"type":"string"},"name":{"type":"string","maxLength":100},)"
       R"("kind":{"enum":["printer","pick_and_place"]},"enabled":{"type":"boolean"},)"
       R"("moonraker_url":{"type":"string"},"api_key":{"type":["string","null"],"writeOnly":true},)"
       R"("username":{"type":["string","null"],"writeOnly":true},)"
       R"("password":{"type":["string","null"],"writeOnly":true},"tls_ca":{"type":["string","null"]},)"
       R"("technology":{"enum":["FDM","Resin","SLS",null]},"make":{"type":["string","null"]},)"
       R"("model":{"type":["string","null"]},"location":{"type":["string","null"]},)"
       R"("description":{"type":["string","null"]},"nozzle_diameter":{"type":["number","null"]},)"
       R"("filament_diameter":{"type":["number","null"]},"bed_x":{"type":["number","null"]},)"
       R"("bed_y":{"type":["number","null"]},"bed_z":{"type":["number","null"]},)"
       R"("heated_bed":{"type":["boolean","null"]},"heated_chamber":{"type":["boolean","null"]},)"
       R"("loaded_materials":{}}})"},
      {"EmergencyStopRequest", R"({"type":"object","properties":{"reason":{"type":"string"}}})"},
      {"EmergencyStop", emergency_stop()},
      {"EmergencyStopAll",
       object_of({{"confirmed", "flag"}, {"machines", R"({"type":"array","items":)" + emergency_stop() + "}"}})},
      {"ConnectionTestRequest",
       R"({"type":"object","required":["moonraker_url"],"properties":{"moonraker_url":{"type":"string"},)"
       R"("api_key":{"type":["string","null"]},"username":{"type":["string","null"]},)"
       R"("password":{"type":["string","null"]},"tls_ca":{"type":["string","null"]},)"
       R"("kind":{"enum":["printer","pick_and_place",null]}}})"},
      {"ConnectionTest", object_of({{"ok", "flag"},
                                    {"steps", R"({"type":"array","items":)" +
                                                  object_of({{"step", "text"},
                                                             {"outcome", R"({"enum":["ok","failed","skipped"]})"},
                                                             {"duration", "number"},
                                                             {"detail", "text"},
                                                             {"what_to_do", "text?"}}) +
                                                  "}"},
                                    {"duration", "number"}})},
      {"Signal", signal()},
      {"SignalList", list_of("Signal")},
      {"Telemetry", telemetry()},
      {"Job", object_of(job_fields())},
      {"JobDetail", object_of(job_detail_fields())},
      {"JobList", list_of("Job")},
      {"JobChanges", job_changes()},
      {"JobEntry", job_entry()},
      {"JobPhotoEntry", body_of({{"blob", "text"}, {"caption", "text"}}, R"("blob")")},
      {"JobPhoto", object_of({{"blob", "text"},
                              {"content_type", "text"},
                              {"bytes", "integer"},
                              {"width", "integer"},
                              {"height", "integer"},
                              {"caption", "text?"},
                              {"added_at", "time?"},
                              {"actor", "text?"}})},
      {"JobChange", object_of({{"position", "integer"},
                               {"at", "time?"},
                               {"actor", "text?"},
                               {"field", "text"},
                               {"before", "any"},
                               {"after", "any"},
                               {"reason", "text?"}})},
      {"JobTags",
       object_of({{"items", R"({"type":"array","items":)" + object_of({{"tag", "text"}, {"jobs", "integer"}}) + "}"}})},
      {"VerdictReasons", object_of({{"reasons", kTexts}})},
      {"Blob", object_of({{"sha256", "text"},
                          {"content_type", "text"},
                          {"bytes", "integer"},
                          {"width", "integer"},
                          {"height", "integer"}})},
      {"Event", event()},
      {"EventList", list_of("Event")},
      {"CommandRequest", std::string(kCommandRequest)},
      {"Command", command()},
      {"CommandList", list_of("Command")},
      {"Odometer", object_of({{"machine", "text"},
                              {"hours", "number"},
                              {"filament_m", "number"},
                              {"starts", "integer"},
                              {"connected_hours", "number"},
                              {"first_print_at", "time?"}})},
      {"MaintenanceRecord", maintenance_record()},
      {"MaintenanceRecordList", list_of("MaintenanceRecord")},
      {"MaintenanceRecordFields", std::string(kRecordFields)},
      {"MaintenanceTask", maintenance_task()},
      {"MaintenanceTaskList", list_of("MaintenanceTask")},
      {"MaintenanceTaskFields", std::string(kTaskFields)},
      {"KlipperiwcJob", klipperiwc_job()},
      {"KlipperiwcJobs", array_of("KlipperiwcJob")},
      {"KlipperiwcTemperature",
       object_of({{"component", "text"}, {"actual", "number"}, {"target", "number?"}, {"timestamp", "time?"}})},
      {"KlipperiwcTemperatures", array_of("KlipperiwcTemperature")},
      {"KlipperiwcStatus", klipperiwc_status()},
      {"KlipperiwcMessage", object_of({{"type", R"({"const":"status"})"},
                                       {"payload", R"({"$ref":"#/components/schemas/KlipperiwcStatus"})"}})},
      {"LiveMessage",
       R"({"type":"object","required":["type"],"properties":{"type":{"enum":["snapshot","delta","heartbeat","error"]},)"
       R"("position":{"type":"integer"},"machines":{"type":"array","items":{"$ref":"#/components/schemas/Machine"}},)"
       R"("jobs":{"type":"array","items":{"$ref":"#/components/schemas/Job"}},)"
       R"("removed_machines":{"type":"array","items":{"type":"string"}},)"
       R"("removed_jobs":{"type":"array","items":{"type":"string"}}}})"},
  };
  return schemas;
}

}  // namespace millrace
