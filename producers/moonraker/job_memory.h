// SPDX-License-Identifier: Apache-2.0
// What the job tracker must still know after its process was killed.  Plain values; stored with the events that
// changed them (adapter_state.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "producers/moonraker/known_rows.h"

namespace millrace {

struct OpenJob {
  std::string id;
  int64_t start_us = 0;  // 0: no row is known
  std::string moonraker_job_id;
  std::string filename;
  std::string user;
  int64_t began_us = 0;        // machine's clock, estimated from total_duration; 0 = not known
  double total_duration = -1;  // largest seen, with its companions; below 0: none seen
  double print_duration = -1;
  double filament_used = -1;
  bool paused = false;     // the last state told
  bool split = false;      // began inside one poll as a restart (L7): no row is its own
  bool outlived = false;   // goes on although its row has ended (R2)
  bool row_ahead = false;  // its row came before any printing state was seen (L3)
  int64_t process_id = 0;  // of Klipper when it was last seen printing
  int percent = 0;         // last told
  int layer = -1;
  double progress_at = 0;  // eventtime
  std::vector<std::string> excluded;
};

struct JobMemory {
  std::optional<OpenJob> open;
  KnownRows known;
  int64_t last_observed_us = 0;  // adapter's clock at the last status
  double last_eventtime = 0;
  std::optional<double> last_offset;  // machine's wall clock minus eventtime
};

}  // namespace millrace
