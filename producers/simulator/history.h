// SPDX-License-Identifier: Apache-2.0
// Moonraker's print history: rows in the order of their numbers, and the answers to server.history.* made from them.
// Used for simulated machines and for recorded ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/json_reader.h"

namespace millrace {

struct ShownHistoryRow {
  uint64_t number = 0;  // job_id is its hexadecimal form
  double start_time = 0;
  std::optional<double> end_time;
  double print_duration = 0;
  double total_duration = 0;
  double filament_used = 0;
  bool ended = false;  // counts in the totals
  std::string json;    // the whole row
};

struct HistoryQuery {
  int64_t limit = 50;  // 0: all
  int64_t start = 0;
  bool ascending = false;
  std::optional<double> since;   // rows that started after it
  std::optional<double> before;  // rows that ended before it
};

// "00000D"
std::string moonraker_job_id(uint64_t number);
std::optional<uint64_t> parse_moonraker_job_id(std::string_view text);

// From the parameters of a request; numbers may be given as text, as in a URL.  Wrong types count as absent.
HistoryQuery read_history_query(const Json& params);

// {"count":..,"jobs":[..]}
std::string history_list_answer(const std::vector<ShownHistoryRow>& rows, const HistoryQuery& query);
// {"job_totals":{..},"auxiliary_totals":[]}
std::string history_totals_answer(const std::vector<ShownHistoryRow>& rows);
// {"job":..}; nullopt when there is no such row.
std::optional<std::string> history_job_answer(const std::vector<ShownHistoryRow>& rows, std::string_view uid);

// A member as a number or as text that holds one.
std::optional<double> loose_number(const Json& params, std::string_view name);

}  // namespace millrace
