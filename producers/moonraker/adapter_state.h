// SPDX-License-Identifier: Apache-2.0
// The adapter's small state as text, for EventSink::emit(): compact JSON with a version, at most kMaxBytes.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "bus/events.h"
#include "bus/result.h"
#include "producers/moonraker/fact_telling.h"
#include "producers/moonraker/job_memory.h"

namespace millrace {

struct AdapterState {
  std::string name;  // as last registered; "" = never
  std::string kind;
  bool connected = false;  // as last told
  schema::MachineState state = schema::MachineState::unknown;
  int64_t process_id = 0;  // Klipper's
  bool klipper_away = false;
  std::set<std::string> conditions;  // told as active
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
