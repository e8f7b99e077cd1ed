// SPDX-License-Identifier: Apache-2.0
#include "mirror/mirror_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "bus/base64.h"
#include "bus/clock.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "bus/utf8.h"
#include "projections/job_history.h"
#include "projections/machine_state.h"

namespace millrace {
namespace {

constexpr int64_t kFirstOf10000Us = 253'402'300'800'000'000;
constexpr size_t kMaxJsonBytes = 16u << 20;

// A column beside what it holds.
template <class Source>
struct Column {
  ColumnHead head;
  SqlValue (*value)(const Source&);
};

SqlValue text_value(std::string_view text) { return text.empty() ? SqlValue{} : SqlValue{readable_text(text)}; }

SqlValue real_value(std::optional<double> number) {
  return number && std::isfinite(*number) ? SqlValue{*number} : SqlValue{};
}

SqlValue flag_value(bool flag) { return int64_t{flag}; }

template <class T>
SqlValue whole_value(std::optional<T> number) {
  return number ? SqlValue{static_cast<int64_t>(*number)} : SqlValue{};
}

SqlValue flag_value(std::optional<bool> flag) { return whole_value(flag); }

// NULL for what is no JSON: whoever reads the column may rely on it.
SqlValue json_value(std::string_view text) {
  if (text.empty()) return {};
  JsonReader reader(kMaxJsonBytes);
  const auto parsed = reader.parse(text);
  return parsed ? SqlValue{to_text(*parsed)} : SqlValue{};
}

SqlValue list_value(const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  JsonWriter json;
  json.array();
  for (const auto& text : texts) json.value(text);
  return json.end().take();
}

using Extruders = std::vector<std::unique_ptr<schema::SlicedExtruderT>>;

SqlValue numbers_value(const Extruders& extruders, std::optional<double> schema::SlicedExtruderT::*field) {
  const bool any = std::any_of(extruders.begin(), extruders.end(),
                               [field](const auto& extruder) { return ((*extruder).*field).has_value(); });
  if (!any) return {};
  JsonWriter json;
  json.array();
  for (const auto& extruder : extruders) json.value((*extruder).*field);
  return json.end().take();
}

// Those of all extruders, each once, separated by ';'.
SqlValue words_value(const Extruders& extruders, std::string schema::SlicedExtruderT::*field) {
  std::vector<std::string_view> words;
  for (const auto& extruder : extruders) {
    const std::string_view word = (*extruder).*field;
    if (!word.empty() && std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
  }
  return text_value(fmt::format("{}", fmt::join(words, ";")));
}

SqlValue extruders_value(const Extruders& extruders) {
  if (extruders.empty()) return {};
  JsonWriter json;
  json.array();
  for (const auto& extruder : extruders) {
    json.object().field("filament_type", extruder->filament_type).field("filament_vendor", extruder->filament_vendor);
    json.field("filament_color", extruder->filament_color).field("used_mm", extruder->used_mm);
    json.field("used_cm3", extruder->used_cm3).field("used_g", extruder->used_g).field("cost", extruder->cost).end();
  }
  return json.end().take();
}

// The words of the older table where it has one.
std::string_view status_of(const schema::JobViewT& job) {
  switch (job.outcome) {
    case schema::JobOutcome::running:
      return job.paused_since_us != 0 ? "paused" : "printing";
    case schema::JobOutcome::completed:
      return "completed";
    case schema::JobOutcome::cancelled:
      return "cancelled";
    case schema::JobOutcome::failed:
    case schema::JobOutcome::interrupted:
      return "error";
    case schema::JobOutcome::unknown:
      break;
  }
  return "unknown";
}

const schema::MachineSettingsT& settings_of(const PrinterSource& source) {
  static const schema::MachineSettingsT kNone{};
  return source.machine.settings ? *source.machine.settings : kNone;
}

using enum ColumnType;

constexpr Column<PrinterSource> kPrinterColumns[] = {
    {{"id", kId}, [](const PrinterSource& s) { return SqlValue{s.id}; }},
    {{"machine_id", kKey}, [](const PrinterSource& s) { return text_value(s.machine.id); }},
    {{"name", kText},
     [](const PrinterSource& s) { return text_value(s.machine.name.empty() ? s.machine.id : s.machine.name); }},
    {{"location", kText}, [](const PrinterSource& s) { return text_value(settings_of(s).location); }},
    {{"moonraker_url", kText}, [](const PrinterSource& s) { return text_value(settings_of(s).moonraker_url); }},
    {{"is_active", kFlag},
     [](const PrinterSource& s) {
       return flag_value(!s.machine.removed && (!s.machine.settings || s.machine.settings->enabled));
     }},
    {{"last_seen", kTime}, [](const PrinterSource& s) { return time_value(s.machine.fact_observed_us, s.dialect); }},
    {{"printer_type", kText}, [](const PrinterSource& s) { return text_value(settings_of(s).technology); }},
    {{"make", kText}, [](const PrinterSource& s) { return text_value(settings_of(s).make); }},
    {{"model", kText}, [](const PrinterSource& s) { return text_value(settings_of(s).model); }},
    {{"description", kText}, [](const PrinterSource& s) { return text_value(settings_of(s).description); }},
    {{"filament_diameter", kReal}, [](const PrinterSource& s) { return real_value(settings_of(s).filament_diameter); }},
    {{"nozzle_diameter", kReal}, [](const PrinterSource& s) { return real_value(settings_of(s).nozzle_diameter); }},
    {{"bed_x", kReal}, [](const PrinterSource& s) { return real_value(settings_of(s).bed_x); }},
    {{"bed_y", kReal}, [](const PrinterSource& s) { return real_value(settings_of(s).bed_y); }},
    {{"bed_z", kReal}, [](const PrinterSource& s) { return real_value(settings_of(s).bed_z); }},
    {{"has_heated_bed", kFlag}, [](const PrinterSource& s) { return flag_value(settings_of(s).heated_bed); }},
    {{"has_heated_chamber", kFlag}, [](const PrinterSource& s) { return flag_value(settings_of(s).heated_chamber); }},
    {{"loaded_materials", kText},
     [](const PrinterSource& s) { return json_value(settings_of(s).loaded_materials_json); }},
    {{"kind", kText}, [](const PrinterSource& s) { return text_value(s.machine.kind); }},
    {{"connection", kText}, [](const PrinterSource& s) { return text_value(connection_of(s.machine)); }},
    {{"state", kText},
     [](const PrinterSource& s) { return text_value(schema::EnumNameMachineState(shown_state(s.machine))); }},
    {{"state_text", kText}, [](const PrinterSource& s) { return text_value(s.machine.state_text); }},
    {{"state_since", kTime}, [](const PrinterSource& s) { return time_value(s.machine.state_since_us, s.dialect); }},
    {{"moonraker_version", kText}, [](const PrinterSource& s) { return text_value(s.machine.moonraker_version); }},
    {{"klipper_version", kText}, [](const PrinterSource& s) { return text_value(s.machine.klipper_version); }},
    {{"hostname", kText}, [](const PrinterSource& s) { return text_value(s.machine.hostname); }},
    {{"updated_at", kTime}, [](const PrinterSource& s) { return time_value(settings_of(s).configured_us, s.dialect); }},
};

constexpr Column<JobSource> kJobColumns[] = {
    {{"id", kId}, [](const JobSource& s) { return SqlValue{s.id}; }},
    {{"printer_id", kId}, [](const JobSource& s) { return SqlValue{s.printer_id}; }},
    {{"job_id", kText}, [](const JobSource& s) { return text_value(s.job.moonraker_job_id); }},
    {{"millrace_job_id", kKey}, [](const JobSource& s) { return text_value(s.job.id); }},
    {{"user", kText}, [](const JobSource& s) { return text_value(s.job.user); }},
    {{"filename", kText}, [](const JobSource& s) { return text_value(s.job.filename); }},
    {{"title", kText}, [](const JobSource& s) { return text_value(s.job.title); }},
    {{"url", kText}, [](const JobSource& s) { return text_value(s.job.link); }},
    {{"status", kKey}, [](const JobSource& s) { return text_value(status_of(s.job)); }},
    {{"start_time", kTime}, [](const JobSource& s) { return time_value(started_at(s.job).us, s.dialect); }},
    {{"end_time", kTime}, [](const JobSource& s) { return time_value(ended_at(s.job).us, s.dialect); }},
    {{"print_duration", kReal}, [](const JobSource& s) { return real_value(s.job.print_duration); }},
    {{"total_duration", kReal}, [](const JobSource& s) { return real_value(s.job.total_duration); }},
    {{"filament_used", kReal}, [](const JobSource& s) { return real_value(s.job.filament_used); }},
    {{"job_metadata", kLongText}, [](const JobSource& s) { return json_value(s.detail.metadata_json); }},
    {{"auxiliary_data", kLongText}, [](const JobSource& s) { return json_value(s.detail.auxiliary_json); }},
    {{"outcome", kKey}, [](const JobSource& s) { return text_value(schema::EnumNameJobOutcome(s.job.outcome)); }},
    {{"cause", kText}, [](const JobSource& s) { return text_value(s.job.cause); }},
    {{"cause_text", kText}, [](const JobSource& s) { return text_value(s.job.text); }},
    {{"evidence", kText}, [](const JobSource& s) { return text_value(schema::EnumNameJobEvidence(s.job.evidence)); }},
    {{"verdict", kKey}, [](const JobSource& s) { return text_value(schema::EnumNameJobVerdict(s.job.verdict)); }},
    {{"reason", kText}, [](const JobSource& s) { return text_value(s.job.reason); }},
    {{"notes", kText}, [](const JobSource& s) { return text_value(s.job.notes); }},
    {{"tags", kText}, [](const JobSource& s) { return list_value(s.job.tags); }},
    {{"progress", kReal}, [](const JobSource& s) { return real_value(s.job.progress); }},
    {{"layer", kInteger}, [](const JobSource& s) { return whole_value(s.job.layer); }},
    {{"total_layers", kInteger}, [](const JobSource& s) { return whole_value(s.job.total_layers); }},
    {{"pause_count", kInteger}, [](const JobSource& s) { return SqlValue{int64_t{s.job.pause_count}}; }},
    {{"pause_duration", kReal},
     [](const JobSource& s) { return real_value(static_cast<double>(s.job.paused_us) / 1e6); }},
    {{"pause_cause", kText}, [](const JobSource& s) { return text_value(s.job.pause_cause); }},
    {{"objects_excluded", kInteger}, [](const JobSource& s) { return whole_value(s.job.objects_excluded); }},
    {{"objects_total", kInteger}, [](const JobSource& s) { return whole_value(s.job.objects_total); }},
    {{"photo_count", kInteger}, [](const JobSource& s) { return SqlValue{int64_t{s.job.photo_count}}; }},
    {{"clock_corrected", kFlag},
     [](const JobSource& s) { return flag_value(started_at(s.job).corrected || ended_at(s.job).corrected); }},
    {{"seen", kText}, [](const JobSource& s) { return text_value(schema::EnumNameJobSeen(s.job.start_seen)); }},
};

constexpr Column<DetailSource> kDetailColumns[] = {
    {{"id", kId}, [](const DetailSource& s) { return SqlValue{s.job_id}; }},
    {{"print_job_id", kId}, [](const DetailSource& s) { return SqlValue{s.job_id}; }},
    {{"layer_height", kReal}, [](const DetailSource& s) { return real_value(s.sliced.layer_height); }},
    {{"first_layer_height", kReal}, [](const DetailSource& s) { return real_value(s.sliced.first_layer_height); }},
    {{"nozzle_temp", kReal}, [](const DetailSource& s) { return real_value(s.sliced.nozzle_temp); }},
    {{"bed_temp", kReal}, [](const DetailSource& s) { return real_value(s.sliced.bed_temp); }},
    {{"print_speed", kReal}, [](const DetailSource& s) { return real_value(s.sliced.print_speed); }},
    {{"infill_percentage", kReal}, [](const DetailSource& s) { return real_value(s.sliced.infill_percentage); }},
    {{"infill_pattern", kText}, [](const DetailSource& s) { return text_value(s.sliced.infill_pattern); }},
    {{"support_enabled", kFlag}, [](const DetailSource& s) { return flag_value(s.sliced.support_enabled); }},
    {{"support_type", kText}, [](const DetailSource& s) { return text_value(s.sliced.support_type); }},
    {{"filament_type", kText},
     [](const DetailSource& s) { return words_value(s.sliced.extruders, &schema::SlicedExtruderT::filament_type); }},
    {{"filament_brand", kText},
     [](const DetailSource& s) { return words_value(s.sliced.extruders, &schema::SlicedExtruderT::filament_vendor); }},
    {{"filament_color", kText},
     [](const DetailSource& s) { return words_value(s.sliced.extruders, &schema::SlicedExtruderT::filament_color); }},
    {{"slicer_name", kText}, [](const DetailSource& s) { return text_value(s.sliced.slicer_name); }},
    {{"slicer_version", kText}, [](const DetailSource& s) { return text_value(s.sliced.slicer_version); }},
    {{"estimated_time", kReal}, [](const DetailSource& s) { return real_value(s.sliced.estimated_time_s); }},
    {{"estimated_filament", kReal}, [](const DetailSource& s) { return real_value(s.sliced.total_filament_used_g); }},
    {{"layer_count", kInteger}, [](const DetailSource& s) { return whole_value(s.sliced.layer_count); }},
    {{"object_height", kReal}, [](const DetailSource& s) { return real_value(s.sliced.object_height); }},
    {{"filament_used_mm", kText},
     [](const DetailSource& s) { return numbers_value(s.sliced.extruders, &schema::SlicedExtruderT::used_mm); }},
    {{"filament_used_cm3", kText},
     [](const DetailSource& s) { return numbers_value(s.sliced.extruders, &schema::SlicedExtruderT::used_cm3); }},
    {{"filament_used_g", kText},
     [](const DetailSource& s) { return numbers_value(s.sliced.extruders, &schema::SlicedExtruderT::used_g); }},
    {{"filament_cost", kText},
     [](const DetailSource& s) { return numbers_value(s.sliced.extruders, &schema::SlicedExtruderT::cost); }},
    {{"total_filament_used_mm", kReal},
     [](const DetailSource& s) { return real_value(s.sliced.total_filament_used_mm); }},
    {{"total_filament_used_g", kReal},
     [](const DetailSource& s) { return real_value(s.sliced.total_filament_used_g); }},
    {{"total_filament_cost", kReal}, [](const DetailSource& s) { return real_value(s.sliced.total_filament_cost); }},
    {{"config_block", kLongText}, [](const DetailSource& s) { return json_value(s.settings_json); }},
    // The older parser's second copy of what it found; config_block has all of it.
    {{"raw_metadata", kLongText}, [](const DetailSource&) { return SqlValue{}; }},
    {{"thumbnail_base64", kLongText},
     [](const DetailSource& s) {
       const bool fits = (s.thumbnail.size() + 2) / 3 * 4 <= kMaxThumbnailCharacters;
       return fits && !s.thumbnail.empty() ? SqlValue{base64(s.thumbnail)} : SqlValue{};
     }},
    {{"thumbnail_type", kText}, [](const DetailSource& s) { return text_value(s.sliced.thumbnail_type); }},
    {{"thumbnail_sha256", kText}, [](const DetailSource& s) { return text_value(s.sliced.thumbnail_blob); }},
    {{"first_layer_nozzle_temp", kReal},
     [](const DetailSource& s) { return real_value(s.sliced.first_layer_nozzle_temp); }},
    {{"chamber_temp", kReal}, [](const DetailSource& s) { return real_value(s.sliced.chamber_temp); }},
    {{"extruders", kLongText}, [](const DetailSource& s) { return extruders_value(s.sliced.extruders); }},
    {{"objects", kLongText}, [](const DetailSource& s) { return list_value(s.sliced.objects); }},
    {{"source", kText}, [](const DetailSource& s) { return text_value(s.sliced.source); }},
    {{"partial", kFlag}, [](const DetailSource& s) { return flag_value(s.sliced.partial); }},
    {{"replaced", kFlag}, [](const DetailSource& s) { return flag_value(s.sliced.replaced); }},
    {{"file_bytes", kInteger},
     [](const DetailSource& s) {
       const auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
       return SqlValue{static_cast<int64_t>(std::min(s.sliced.file_bytes, most))};
     }},
    {{"file_modified", kTime}, [](const DetailSource& s) { return time_value(s.sliced.file_modified_us, s.dialect); }},
};

constexpr double kMsPerSecond = 1e3;
constexpr double kUmPerMm = 1e3;

constexpr Column<TotalsSource> kTotalsColumns[] = {
    {{"printer_id", kId}, [](const TotalsSource& s) { return SqlValue{s.printer_id}; }},
    {{"total_jobs", kInteger}, [](const TotalsSource& s) { return SqlValue{s.totals.jobs}; }},
    {{"total_time", kReal},
     [](const TotalsSource& s) { return SqlValue{static_cast<double>(s.totals.total_ms) / kMsPerSecond}; }},
    {{"total_print_time", kReal},
     [](const TotalsSource& s) { return SqlValue{static_cast<double>(s.totals.print_ms) / kMsPerSecond}; }},
    {{"total_filament_used", kReal},
     [](const TotalsSource& s) { return SqlValue{static_cast<double>(s.totals.filament_um) / kUmPerMm}; }},
    {{"longest_job", kReal}, [](const TotalsSource& s) { return real_value(s.totals.longest_s); }},
    {{"last_updated", kTime}, [](const TotalsSource& s) { return s.totals.last_end; }},
};

constexpr Column<RecordSource> kRecordColumns[] = {
    {{"id", kId}, [](const RecordSource& s) { return SqlValue{s.id}; }},
    {{"printer_id", kId}, [](const RecordSource& s) { return SqlValue{s.printer_id}; }},
    {{"date", kTime}, [](const RecordSource& s) { return time_value(s.record.date_us, s.dialect); }},
    {{"done", kFlag}, [](const RecordSource& s) { return flag_value(s.record.done); }},
    {{"category", kText}, [](const RecordSource& s) { return text_value(s.record.category); }},
    {{"description", kText}, [](const RecordSource& s) { return text_value(s.record.description); }},
    {{"cost", kReal}, [](const RecordSource& s) { return real_value(s.record.cost); }},
    {{"notes", kText}, [](const RecordSource& s) { return text_value(s.record.notes); }},
    {{"record_id", kText}, [](const RecordSource& s) { return text_value(s.record.id); }},
    {{"task_id", kText}, [](const RecordSource& s) { return text_value(s.record.task_id); }},
    {{"actor", kText}, [](const RecordSource& s) { return text_value(s.record.actor); }},
    {{"updated_at", kTime}, [](const RecordSource& s) { return time_value(s.record.recorded_us, s.dialect); }},
};

template <class Columns>
std::vector<ColumnHead> heads_of(const Columns& columns) {
  std::vector<ColumnHead> heads;
  for (const auto& column : columns) heads.push_back(column.head);
  return heads;
}

template <class Columns, class Source>
SqlRow row_from(const Columns& columns, const Source& source) {
  SqlRow row;
  row.reserve(std::size(columns));
  for (const auto& column : columns) row.push_back(column.value(source));
  return row;
}

std::string_view type_of(ColumnType type, SqlDialect dialect) {
  const bool mysql = dialect == SqlDialect::kMysql;
  switch (type) {
    case kId:
      return dialect == SqlDialect::kSqlite ? "INTEGER NOT NULL" : "BIGINT NOT NULL";
    case kInteger:
      return dialect == SqlDialect::kSqlite ? "INTEGER" : "BIGINT";
    case kReal:
      return "DOUBLE PRECISION";
    case kFlag:
      return "BOOLEAN";
    case kTime:
      return dialect == SqlDialect::kSqlite ? "TEXT" : mysql ? "DATETIME(6)" : "TIMESTAMP(6) WITH TIME ZONE";
    case kKey:
      // Two ids that differ in case alone are two ids.
      return mysql ? "VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" : "VARCHAR(256)";
    case kText:
      return mysql ? "MEDIUMTEXT" : "TEXT";
    case kLongText:
      return mysql ? "LONGTEXT" : "TEXT";
  }
  return "TEXT";
}

}  // namespace

std::span<const MirrorTable> mirror_tables() {
  static const std::array<MirrorTable, 5> kTables = {
      MirrorTable{"printers", heads_of(kPrinterColumns), {"machine_id"}, {}, {}, {}},
      MirrorTable{"print_jobs",
                  heads_of(kJobColumns),
                  {"millrace_job_id"},
                  "printers",
                  "printer_id",
                  {"printer_id, start_time", "start_time", "printer_id, status, total_duration",
                   "printer_id, status, end_time"}},
      MirrorTable{"job_details", heads_of(kDetailColumns), {"print_job_id"}, "print_jobs", "print_job_id", {}},
      MirrorTable{"job_totals", heads_of(kTotalsColumns), {}, "printers", "printer_id", {}},
      MirrorTable{"maintenance_records", heads_of(kRecordColumns), {}, "printers", "printer_id", {"printer_id, date"}},
  };
  return kTables;
}

std::string quoted_name(std::string_view name, SqlDialect dialect) {
  const char quote = dialect == SqlDialect::kMysql ? '`' : '"';
  return fmt::format("{0}{1}{0}", quote, name);
}

std::vector<std::string> create_statements(const MirrorTable& table, SqlDialect dialect) {
  const auto quoted = [dialect](std::string_view name) { return quoted_name(name, dialect); };
  std::string columns;
  for (const auto& column : table.columns) {
    columns += fmt::format("{} {}{}, ", quoted(column.name), type_of(column.type, dialect),
                           &column == &table.columns.front() ? " PRIMARY KEY" : "");
  }
  for (const auto& column : table.unique) columns += fmt::format("UNIQUE ({}), ", quoted(column));
  if (!table.parent.empty()) {
    const std::string_view parent_key = "id";
    columns += fmt::format("FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE CASCADE, ", quoted(table.parent_column),
                           quoted(table.parent), quoted(parent_key));
  }
  columns.resize(columns.size() - 2);
  std::vector<std::string> statements{fmt::format(
      "CREATE TABLE {} ({}){}", quoted(table.name), columns,
      dialect == SqlDialect::kMysql ? " ENGINE=InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci" : "")};
  int number = 0;
  for (const auto& index : table.indexes) {
    statements.push_back(fmt::format("CREATE INDEX {} ON {} ({})",
                                     quoted(fmt::format("millrace_{}_{}", table.name, ++number)), quoted(table.name),
                                     index));
  }
  return statements;
}

std::string upsert_statement(const MirrorTable& table, SqlDialect dialect, size_t rows) {
  std::string names;
  std::string values;
  std::string updates;
  for (const auto& column : table.columns) {
    const auto name = quoted_name(column.name, dialect);
    names += name + ", ";
    values += "?, ";
    if (&column == &table.columns.front()) continue;
    updates += dialect == SqlDialect::kMysql ? fmt::format("{0} = VALUES({0}), ", name)
                                             : fmt::format("{0} = excluded.{0}, ", name);
  }
  for (auto* list : {&names, &values, &updates}) list->resize(list->size() - 2);
  std::string all;
  for (size_t row = 0; row < rows; ++row) all += fmt::format("{}({})", row == 0 ? "" : ", ", values);
  const std::string on_conflict =
      dialect == SqlDialect::kMysql
          ? std::string("ON DUPLICATE KEY UPDATE")
          : fmt::format("ON CONFLICT ({}) DO UPDATE SET", quoted_name(table.columns.front().name, dialect));
  return fmt::format("INSERT INTO {} ({}) VALUES {} {} {}", quoted_name(table.name, dialect), names, all, on_conflict,
                     updates);
}

SqlValue time_value(int64_t unix_us, SqlDialect dialect) {
  if (unix_us <= 0 || unix_us >= kFirstOf10000Us) return {};
  std::string text = to_rfc3339(from_unix_us(unix_us));
  if (dialect != SqlDialect::kMysql) return text;
  text[text.find('T')] = ' ';
  text.pop_back();
  return text;
}

SqlRow row_of(const PrinterSource& source) { return row_from(kPrinterColumns, source); }
SqlRow row_of(const JobSource& source) { return row_from(kJobColumns, source); }
SqlRow row_of(const DetailSource& source) { return row_from(kDetailColumns, source); }
SqlRow row_of(const RecordSource& source) { return row_from(kRecordColumns, source); }
SqlRow row_of(const TotalsSource& source) { return row_from(kTotalsColumns, source); }

}  // namespace millrace
