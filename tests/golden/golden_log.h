// SPDX-License-Identifier: Apache-2.0
// A small log with every event type of this program's schema in it, every field set: what later programs must read.
#pragma once

#include <filesystem>
#include <string>

#include "bus/event_log.h"

namespace millrace::testing {

// Makes `directory`, which must not exist, a log.  Always the same events.  Aborts on any error.
void write_golden_log(const std::filesystem::path& directory);

// One JSON object per event and line, as `millrace log cat --json` prints them.
std::string golden_events_json(const EventLog& log);

// What `millrace log verify` finds wrong with the log in `directory`: an array of {"position", "what"}, empty when
// whole.
std::string golden_faults_json(const std::filesystem::path& directory);

// {"projection": {"version": "digest"}} of this program.
std::string golden_views_json(const EventLog& log);

}  // namespace millrace::testing
