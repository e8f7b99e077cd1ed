// SPDX-License-Identifier: Apache-2.0
// A log on disk for tests that damage one: a few thousand events over several files of each kind.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bus/event_log.h"
#include "tests/support/event_fixtures.h"

namespace millrace::testing {

struct LogFolderOptions {
  uint64_t commits = 300;
  size_t write_buffer_bytes = 128u << 10;  // small: many flushes, some compactions
  int sessions = 3;                        // opened and closed so often
};

// Facts and telemetry of three machines, each event with its own text, one commit of 1 to 40 events a second.
void write_log(const std::filesystem::path& directory, const LogFolderOptions& options = {});

// The bytes of every event of a log, by position: element p - 1; empty where there is none.
Result<std::vector<std::string>> events_of(const EventLog& log);

// Damage of one file.
enum class Damage { kFlip, kTruncate, kRemove };
std::string damage(const std::filesystem::path& file, Damage kind, uint64_t seed);  // says what was done

// Files of the folder whose names begin or end so.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& directory, const std::string& part);

}  // namespace millrace::testing
