// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/adapter_state.h"

#include <algorithm>

#include "bus/json_reader.h"
#include "bus/json_writer.h"

namespace millrace {
namespace {

constexpr int64_t kVersion = 1;
constexpr size_t kMaxSummaryStored = 2048;
constexpr size_t kMaxExcludedStored = 64;  // names of 256 bytes: a quarter of the room

void write_open(JsonWriter& json, const OpenJob& job, size_t excluded) {
  json.key("open").object();
  json.field("id", job.id).field("start_us", job.start_us).field("moonraker_job_id", job.moonraker_job_id);
  json.field("filename", job.filename).field("user", job.user).field("began_us", job.began_us);
  json.field("total_duration", job.total_duration).field("print_duration", job.print_duration);
  json.field("filament_used", job.filament_used).field("paused", job.paused).field("split", job.split);
  json.field("outlived", job.outlived).field("process_id", job.process_id).field("percent", job.percent);
  json.field("layer", job.layer).field("progress_at", job.progress_at).key("excluded").array();
  for (size_t i = 0; i < std::min(job.excluded.size(), excluded); ++i) json.value(job.excluded[i]);
  json.end().end();
}

std::string string_of(const Json& json, std::string_view name) {
  return std::string(text_member(json, name).value_or(""));
}

OpenJob read_open(const Json& json) {
  OpenJob job;
  job.id = string_of(json, "id");
  job.start_us = integer_member(json, "start_us").value_or(0);
  job.moonraker_job_id = string_of(json, "moonraker_job_id");
  job.filename = string_of(json, "filename");
  job.user = string_of(json, "user");
  job.began_us = integer_member(json, "began_us").value_or(0);
  job.total_duration = number_member(json, "total_duration").value_or(-1);
  job.print_duration = number_member(json, "print_duration").value_or(-1);
  job.filament_used = number_member(json, "filament_used").value_or(-1);
  job.paused = flag_member(json, "paused").value_or(false);
  job.split = flag_member(json, "split").value_or(false);
  job.outlived = flag_member(json, "outlived").value_or(false);
  job.process_id = integer_member(json, "process_id").value_or(0);
  job.percent = static_cast<int>(integer_member(json, "percent").value_or(0));
  job.layer = static_cast<int>(integer_member(json, "layer").value_or(-1));
  job.progress_at = number_member(json, "progress_at").value_or(0);
  simdjson::dom::array excluded;
  if (const auto names = member(json, "excluded"); names && names->get_array().get(excluded) == simdjson::SUCCESS) {
    for (const Json name : excluded) {
      if (const auto text = as_text(name)) job.excluded.emplace_back(*text);
    }
  }
  return job;
}

// [start_us, filename hash, ordinal, evidence, flags, local id]: short, because there are many.
void write_known(JsonWriter& json, const KnownRow& row) {
  const int flags = (row.final_told ? 1 : 0) | (row.split ? 2 : 0);
  json.array().value(row.start_us).value(static_cast<int64_t>(row.filename_hash));
  json.value(static_cast<int64_t>(row.ordinal)).value(static_cast<int>(row.ended)).value(flags);
  if (!row.local_id.empty()) json.value(row.local_id);
  json.end();
}

bool read_known(const Json& json, KnownRows& rows) {
  simdjson::dom::array items;
  if (json.get_array().get(items) != simdjson::SUCCESS || items.size() < 5) return false;
  int64_t numbers[5] = {};
  for (size_t i = 0; i < 5; ++i) {
    Json item;
    if (items.at(i).get(item) != simdjson::SUCCESS) return false;
    const auto number = as_integer(item);
    if (!number) return false;
    numbers[i] = *number;
  }
  KnownRow row;
  row.start_us = numbers[0];
  row.filename_hash = static_cast<uint32_t>(numbers[1]);
  row.ordinal = static_cast<uint32_t>(numbers[2]);
  row.ended = static_cast<schema::JobEvidence>(numbers[3]);
  row.final_told = (numbers[4] & 1) != 0;
  row.split = (numbers[4] & 2) != 0;
  if (Json id; items.size() > 5 && items.at(5).get(id) == simdjson::SUCCESS) {
    row.local_id = std::string(as_text(id).value_or(""));
  }
  rows.restore(std::move(row));
  return true;
}

void write_facts(JsonWriter& json, const AdapterState& state) {
  json.key("conditions").array();
  for (const std::string& condition : state.conditions) json.value(condition);
  json.end().key("facts").object().field("software", state.facts.software);
  json.field("printer_config", state.facts.printer_config).field("message", state.facts.message);
  json.field("spool_told", state.facts.spool_told).field("spool", state.facts.spool);
  json.field("clock_off", state.facts.clock_off).field("queue", state.facts.queue).key("filament").object();
  for (const auto& [name, sensor] : state.facts.filament) {
    json.field(name, (sensor.detected ? 1 : 0) | (sensor.enabled ? 2 : 0));
  }
  json.end().end();
}

// A state of before these were kept has none of them: they are then told again.
void read_facts(const Json& json, AdapterState& state) {
  simdjson::dom::array conditions;
  if (const auto names = member(json, "conditions"); names && names->get_array().get(conditions) == simdjson::SUCCESS) {
    for (const Json name : conditions) {
      if (const auto text = as_text(name)) state.conditions.emplace(*text);
    }
  }
  const auto facts = member(json, "facts");
  if (!facts) return;
  state.facts.software = string_of(*facts, "software");
  state.facts.printer_config = string_of(*facts, "printer_config");
  state.facts.message = string_of(*facts, "message");
  state.facts.spool_told = flag_member(*facts, "spool_told").value_or(false);
  state.facts.spool = integer_member(*facts, "spool");
  state.facts.clock_off = flag_member(*facts, "clock_off").value_or(false);
  state.facts.queue = string_of(*facts, "queue");
  simdjson::dom::object sensors;
  if (const auto filament = member(*facts, "filament");
      filament && filament->get_object().get(sensors) == simdjson::SUCCESS) {
    for (const auto [name, flags] : sensors) {
      const int64_t bits = as_integer(flags).value_or(0);
      state.facts.filament[std::string(name)] = {(bits & 1) != 0, (bits & 2) != 0};
    }
  }
}

std::vector<std::string> texts_of(const Json& array) {
  std::vector<std::string> texts;
  simdjson::dom::array parts;
  if (array.get_array().get(parts) != simdjson::SUCCESS) return texts;
  for (const Json part : parts) texts.emplace_back(as_text(part).value_or(""));
  return texts;
}

void write_commands(JsonWriter& json, const AdapterState& state) {
  json.field("plate_clear", state.plate_clear).key("under_way").array();
  for (const UnderWay& command : state.commands.under_way) {
    json.array().value(command.id).value(command.command).value(command.actor).end();
  }
  json.end().key("newest_command").array();
  json.value(static_cast<int64_t>(state.commands.newest.epoch));
  json.value(static_cast<int64_t>(state.commands.newest.sequence)).end();
}

// A state of before this was kept has none, and takes any.
EventOrder newest_command(const Json& json) {
  const auto numbers = member(json, "newest_command");
  simdjson::dom::array list;
  Json epoch;
  Json sequence;
  if (!numbers || numbers->get_array().get(list) != simdjson::SUCCESS) return {};
  if (list.at(0).get(epoch) != simdjson::SUCCESS || list.at(1).get(sequence) != simdjson::SUCCESS) return {};
  return {static_cast<uint64_t>(as_integer(epoch).value_or(0)),
          static_cast<uint64_t>(as_integer(sequence).value_or(0))};
}

void read_commands(const Json& json, AdapterState& state) {
  state.commands.newest = newest_command(json);
  state.plate_clear = flag_member(json, "plate_clear").value_or(false);
  const auto commands = member(json, "under_way");
  simdjson::dom::array list;
  if (!commands || commands->get_array().get(list) != simdjson::SUCCESS) return;
  for (const Json command : list) {
    const auto texts = texts_of(command);
    if (texts.size() == 3) state.commands.under_way.push_back({texts[0], texts[1], texts[2]});
  }
}

// A summary too long to be kept costs no more than what stands in for a file that cannot be read.
void write_files(JsonWriter& json, const AdapterState& state) {
  json.key("files").array();
  for (const JobFile& file : state.files) {
    json.array().value(file.job_id).value(file.filename);
    json.value(file.metadata_json.size() <= kMaxSummaryStored ? file.metadata_json : "").end();
  }
  json.end();
}

void read_files(const Json& json, AdapterState& state) {
  const auto files = member(json, "files");
  simdjson::dom::array list;
  if (!files || files->get_array().get(list) != simdjson::SUCCESS) return;
  for (const Json file : list) {
    auto texts = texts_of(file);
    if (texts.size() == 3) state.files.push_back({std::move(texts[0]), std::move(texts[1]), std::move(texts[2])});
  }
}

std::string encode_with(const AdapterState& state, size_t excluded, bool monitor = true) {
  JsonWriter json;
  json.object().field("millrace_adapter", kVersion).field("name", state.name).field("kind", state.kind);
  json.field("connected", state.connected).field("state", static_cast<int>(state.state));
  json.field("state_epoch", state.state_epoch).field("state_sequence", state.state_sequence);
  json.field("process_id", state.process_id).field("klipper_away", state.klipper_away);
  write_commands(json, state);
  write_files(json, state);
  json.field("last_observed_us", state.jobs.last_observed_us).field("last_eventtime", state.jobs.last_eventtime);
  json.field("last_offset", state.jobs.last_offset);
  if (state.latched) json.field("latch_text", state.latch_text);
  json.field("latch_seen", static_cast<int64_t>(state.latch_seen)).field("emergency_seen", state.emergency_seen);
  write_facts(json, state);
  json.field("limits_version", static_cast<int64_t>(state.limits_version));
  if (monitor && !state.monitor.empty()) json.key("monitor").raw(state.monitor);
  if (state.jobs.open) write_open(json, *state.jobs.open, excluded);
  json.key("known").array();
  for (const KnownRow& row : state.jobs.known.rows()) write_known(json, row);
  json.end().end();
  return json.take();
}

}  // namespace

std::string encode(const AdapterState& state) {
  std::string text = encode_with(state, kMaxExcludedStored);
  // Names full of characters that JSON escapes: without them, those objects are told once more after a restart.
  if (text.size() > kMaxStateBytes) text = encode_with(state, 0);
  return text.size() <= kMaxStateBytes ? text : encode_with(state, 0, false);
}

Result<AdapterState> decode_adapter_state(std::string_view text) {
  JsonReader reader(kMaxStateBytes, 8);
  const auto json = reader.parse(text);
  if (!json) return json.error();
  const auto version = integer_member(*json, "millrace_adapter");
  if (!version) return make_error(Errc::kMalformed, "adapter state without a version");
  if (*version != kVersion) {
    return make_error(Errc::kIncompatible, "adapter state of version " + std::to_string(*version));
  }
  AdapterState state;
  state.name = string_of(*json, "name");
  state.kind = string_of(*json, "kind");
  state.connected = flag_member(*json, "connected").value_or(false);
  const int64_t word = integer_member(*json, "state").value_or(0);
  if (word >= 0 && word <= static_cast<int64_t>(schema::MachineState::MAX)) {
    state.state = static_cast<schema::MachineState>(word);
  }
  state.state_epoch = static_cast<uint64_t>(integer_member(*json, "state_epoch").value_or(0));
  state.state_sequence = static_cast<uint64_t>(integer_member(*json, "state_sequence").value_or(0));
  read_commands(*json, state);
  read_files(*json, state);
  state.process_id = integer_member(*json, "process_id").value_or(0);
  state.klipper_away = flag_member(*json, "klipper_away").value_or(false);
  state.jobs.last_observed_us = integer_member(*json, "last_observed_us").value_or(0);
  state.jobs.last_eventtime = number_member(*json, "last_eventtime").value_or(0);
  state.jobs.last_offset = number_member(*json, "last_offset");
  if (const auto latch = text_member(*json, "latch_text")) {
    state.latched = true;
    state.latch_text = std::string(*latch);
  }
  state.latch_seen = static_cast<uint64_t>(integer_member(*json, "latch_seen").value_or(0));
  state.emergency_seen = flag_member(*json, "emergency_seen").value_or(false);
  read_facts(*json, state);
  state.limits_version = static_cast<uint64_t>(integer_member(*json, "limits_version").value_or(0));
  if (const auto monitor = member(*json, "monitor")) state.monitor = to_text(*monitor);
  if (const auto open = member(*json, "open")) {
    OpenJob job = read_open(*open);
    if (job.id.empty()) return make_error(Errc::kMalformed, "adapter state with an open job without id");
    state.jobs.open = std::move(job);
  }
  const auto known = member(*json, "known");
  simdjson::dom::array rows;
  if (!known || known->get_array().get(rows) != simdjson::SUCCESS) {
    return make_error(Errc::kMalformed, "adapter state without known rows");
  }
  for (const Json row : rows) {
    if (!read_known(row, state.jobs.known)) return make_error(Errc::kMalformed, "adapter state with a broken row");
  }
  return state;
}

}  // namespace millrace
