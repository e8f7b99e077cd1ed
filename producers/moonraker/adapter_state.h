// SPDX-License-Identifier: Apache-2.0
// The adapter's small state as text, for EventSink::emit(): compact JSON with a version, at most kMaxBytes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bus/events.h"
#include "bus/result.h"
#include "producers/moonraker/command_memory.h"
#include "producers/moonraker/fact_telling.h"
#include "producers/moonraker/job_file.h"
#include "producers/moonraker/job_memory.h"

namespace millrace {

struct AdapterState {
  std::string name;  // as last registered; "" = never
  std::string kind;
  bool connected = false;  // as last told
  schema::MachineState state = schema::MachineState::unknown;
  uint64_t state_epoch = 0;  // of the event that told it
  uint64_t state_sequence = 0;
  int64_t process_id = 0;  // Klipper's
  bool klipper_away = false;
  std::set<std::string> conditions;  // told as active
  bool plate_clear = false;          // as somebody said since the last print
  CommandMemory commands;
  // By an emergency stop, until a person resets it: nothing that restarts opens the latch.
  bool latched = false;
  std::string latch_text;
  uint64_t latch_seen = 0;      // the newest latch that the hub told of
  bool emergency_seen = false;  // Klipper's shutdown that stands has latched it already
  static constexpr size_t kMaxFiles = 4;
  std::vector<JobFile> files;  // whose reading nobody has told of yet; the newest kMaxFiles
  ToldFacts facts;
  JobMemory jobs;
  uint64_t limits_version = 0;  // of the last LimitsApplied
  std::string monitor;          // JSON: alarms that stand
};

inline constexpr size_t kMaxStateBytes = 64 * 1024;

std::string encode(const AdapterState& state);
// kMalformed for a corrupt one, kIncompatible for one of another version.
Result<AdapterState> decode_adapter_state(std::string_view text);

}  // namespace millrace
