// SPDX-License-Identifier: Apache-2.0
#include "producers/moonraker/history_row.h"

#include <cmath>

namespace millrace {
namespace {

constexpr double kTenYears = 10.0 * 366 * 86400;
constexpr double kMaxUnixSeconds = 253402300799.0;  // end of year 9999
constexpr size_t kMaxText = 4096;
constexpr size_t kMaxStructure = 16 * 1024;  // an event holds two and must stay below 48 KiB

std::string bounded_text(const Json& row, std::string_view name) {
  return std::string(text_member(row, name).value_or("").substr(0, kMaxText));
}

std::string structure_text(const Json& row, std::string_view name) {
  const auto found = member(row, name);
  if (!found || !(found->is_object() || found->is_array())) return {};
  std::string json = to_text(*found);
  return json.size() <= kMaxStructure ? json : std::string();
}

std::optional<double> amount(const Json& row, std::string_view name, bool& absurd) {
  const auto found = member(row, name);
  if (!found) return std::nullopt;
  const auto number = as_number(*found);
  if (number && is_plausible_amount(*number)) return number;
  absurd = true;
  return std::nullopt;
}

}  // namespace

bool is_plausible_amount(double amount) { return std::isfinite(amount) && amount >= 0 && amount <= kTenYears; }

std::optional<int64_t> unix_micros(double seconds) {
  if (!std::isfinite(seconds) || std::abs(seconds) > kMaxUnixSeconds) return std::nullopt;
  return static_cast<int64_t>(std::nearbyint(seconds * 1e6));
}

bool is_conclusive(std::string_view status) {
  return status != "in_progress" && status != "server_exit" && status != "interrupted";
}

schema::JobOutcome outcome_of(std::string_view status) {
  if (status == "completed") return schema::JobOutcome::completed;
  if (status == "cancelled") return schema::JobOutcome::cancelled;
  if (status == "in_progress") return schema::JobOutcome::running;
  if (status == "klippy_disconnect" || status == "server_exit" || status == "interrupted") {
    return schema::JobOutcome::interrupted;
  }
  return schema::JobOutcome::failed;
}

void write_history_row(JsonWriter& json, const HistoryRow& row) {
  json.field("start_us", row.start_us).field("end_us", row.end_us);
  json.field("moonraker_job_id", row.moonraker_job_id).field("filename", row.filename).field("status", row.status);
  json.field("user", row.user).field("total_duration", row.total_duration);
  json.field("print_duration", row.print_duration).field("filament_used", row.filament_used);
  json.field("metadata_json", row.metadata_json).field("auxiliary_json", row.auxiliary_json);
}

HistoryRow history_row_in(const Json& json) {
  const auto text = [&](std::string_view name) { return std::string(text_member(json, name).value_or("")); };
  HistoryRow row;
  row.start_us = integer_member(json, "start_us").value_or(0);
  row.end_us = integer_member(json, "end_us").value_or(0);
  row.moonraker_job_id = text("moonraker_job_id");
  row.filename = text("filename");
  row.status = text("status");
  row.user = text("user");
  row.total_duration = number_member(json, "total_duration");
  row.print_duration = number_member(json, "print_duration");
  row.filament_used = number_member(json, "filament_used");
  row.metadata_json = text("metadata_json");
  row.auxiliary_json = text("auxiliary_json");
  return row;
}

bool is_usable(const HistoryRow& row) {
  const auto is_amount = [](const std::optional<double>& amount) { return !amount || is_plausible_amount(*amount); };
  return row.start_us > 0 && !row.status.empty() && is_amount(row.total_duration) && is_amount(row.print_duration) &&
         is_amount(row.filament_used);
}

std::optional<HistoryRow> read_history_row(const Json& json, ProtocolErrors& errors) {
  const auto start = number_member(json, "start_time");
  const auto start_us = start ? unix_micros(*start) : std::nullopt;
  HistoryRow row;
  row.status = bounded_text(json, "status");
  if (!start_us || *start_us <= 0 || row.status.empty()) {
    errors.note("history_row", "a row without a usable start_time or status");
    return std::nullopt;
  }
  row.start_us = *start_us;
  row.moonraker_job_id = bounded_text(json, "job_id");
  row.filename = bounded_text(json, "filename");
  row.user = bounded_text(json, "user");
  bool absurd = false;
  row.total_duration = amount(json, "total_duration", absurd);
  row.print_duration = amount(json, "print_duration", absurd);
  row.filament_used = amount(json, "filament_used", absurd);
  if (const auto end = number_member(json, "end_time")) row.end_us = unix_micros(*end).value_or(0);
  if (row.end_us != 0 && row.end_us < row.start_us) {  // the clock was set back meanwhile, or worse
    row.end_us = 0;
    absurd = true;
  }
  row.metadata_json = structure_text(json, "metadata");
  row.auxiliary_json = structure_text(json, "auxiliary_data");
  if (absurd) {
    errors.note("history_number", row.moonraker_job_id);
    std::string raw = to_text(json);
    if (raw.size() <= kMaxStructure) row.auxiliary_json = std::move(raw);
  }
  return row;
}

}  // namespace millrace
