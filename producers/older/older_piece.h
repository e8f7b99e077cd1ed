// SPDX-License-Identifier: Apache-2.0
// What a reader of an older system's database hands to whoever writes it into the log, piece by piece, and how a piece
// travels to a running hub: as one JSON object.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bus/events.h"
#include "bus/json_reader.h"
#include "producers/moonraker/history_row.h"

namespace millrace {

inline constexpr std::string_view kPrintLogger = "3d-print-logger";
inline constexpr std::string_view kKlipperIwc = "klipperiwc";

// A printer of the older system.  Its API key is not here: it never leaves the older database.
struct OlderPrinter {
  int64_t id = 0;
  std::string machine;  // as somebody has named it for us; empty: found by name or address, or made
  bool has_api_key = false;
  schema::MachineConfiguredT settings;  // name, address and description
};

struct OlderJob {
  // A copy of a row of Moonraker's history: its start is the print's identity.  False: only the older system saw it.
  bool of_row = true;
  HistoryRow row;  // times in UTC; without a row the words are the same
  // Without a row: when it was certainly printing.
  int64_t seen_from_us = 0;
  int64_t seen_to_us = 0;
  std::string title;
  std::string link;
  std::string detail_json;  // the older system's job_details, an object by columns; empty: none
  std::string raw_json;     // the row as it was, an object
};

struct OlderRecord {
  std::string id;  // stable for the same row of the same database
  int64_t date_us = 0;
  bool done = false;
  std::string category;
  std::string description;
  std::string notes;
  std::optional<double> cost;
};

// One hour of one signal, minute by minute.
struct OlderMinutes {
  std::string object;
  std::string field;
  int64_t hour = 0;  // Unix hours
  struct Minute {
    uint16_t minute = 0;  // of the hour
    double minimum = 0;
    double mean = 0;  // weighted by how long each value held
    double maximum = 0;
    double last = 0;
    double seconds = 0;  // of the minute, from the first value on
    uint32_t count = 0;
  };
  std::vector<Minute> minutes;  // ascending
};

struct OlderPiece {
  std::string source;   // kPrintLogger or kKlipperIwc
  std::string machine;  // whose the rest is; empty with printers alone
  std::vector<OlderPrinter> printers;
  std::vector<OlderJob> jobs;
  std::vector<OlderRecord> records;
  std::vector<OlderMinutes> minutes;  // of any number of signals
};

// {"command":"import_older", ...}
std::string to_json(const OlderPiece& piece);
// kInvalidArgument for what no reader of ours says.
Result<OlderPiece> older_piece_in(const Json& json);
// At most so many bytes of it, and no letter cut apart.
std::string_view whole_letters(std::string_view text, size_t most);
// About what it is as JSON.
size_t bytes_of(const OlderJob& job);

}  // namespace millrace
