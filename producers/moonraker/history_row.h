// SPDX-License-Identifier: Apache-2.0
// One entry of Moonraker's history, read from outside and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/events.h"
#include "bus/json_reader.h"
#include "bus/json_writer.h"
#include "producers/moonraker/protocol_errors.h"

namespace millrace {

struct HistoryRow {
  int64_t start_us = 0;  // the identity of the print; see docs/jobs.md
  int64_t end_us = 0;    // 0: none
  std::string moonraker_job_id;
  std::string filename;
  std::string status;
  std::string user;
  std::optional<double> total_duration;  // seconds
  std::optional<double> print_duration;  // seconds
  std::optional<double> filament_used;   // mm
  std::string metadata_json;
  std::string auxiliary_json;  // the whole row where one of its numbers was absurd
};

// nullopt, counted, for a row without a usable start_time or status: it could never be told apart.
std::optional<HistoryRow> read_history_row(const Json& json, ProtocolErrors& errors);

// Between programs of ours: the members of an object, and the row in one.
void write_history_row(JsonWriter& json, const HistoryRow& row);
HistoryRow history_row_in(const Json& json);
// Whether it has what every row has, and no absurd number.
bool is_usable(const HistoryRow& row);

// Whether that status settles the print; "server_exit", "interrupted" and "in_progress" do not.
bool is_conclusive(std::string_view status);
schema::JobOutcome outcome_of(std::string_view status);

// Unix seconds as a double to microseconds: the product of doubles, rounded to the nearest, halves to even, so that
// anybody gets the same id from the same row with ordinary arithmetic (docs/decisions/0010-job-id-rounding.md):
// 1795210825.2763646 -> 1795210825276364.  nullopt outside year 1 to 9999.
std::optional<int64_t> unix_micros(double seconds);

// A duration or length that can be true: finite, not negative, at most ten years of seconds.
bool is_plausible_amount(double amount);

}  // namespace millrace
