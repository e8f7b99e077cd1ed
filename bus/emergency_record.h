// SPDX-License-Identifier: Apache-2.0
// What is told of an emergency stop after it was done, as long as no log has taken it: one line of JSON each, in
// <data>/emergency_stops.jsonl and from the command line to the hub.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "bus/clock.h"
#include "bus/events.h"
#include "bus/random.h"
#include "bus/result.h"

namespace millrace {

struct EmergencyRecord {
  std::string machine;
  std::string command_id;  // of this machine's stop; two records of one id are one stop
  std::string client;      // "http", "mqtt", "cli"
  std::string address;     // of the client, where it has one
  std::string key_id;
  std::string actor;
  std::string reason;
  bool confirmed = false;
  std::string text;  // what the machine said, or why nothing is known
  std::optional<int64_t> sent_after_us;
  std::optional<int64_t> answered_after_us;
  WallTime asked_at{};

  bool operator==(const EmergencyRecord&) const = default;
};

inline constexpr size_t kMaxEmergencyText = 1000;  // bytes of reason and of text; what is longer is cut

// An id of 128 random bits, 32 hexadecimal digits.
std::string make_emergency_id(Random& random);

// One line, without its end.
std::string encode(const EmergencyRecord& record);
// kMalformed when it has no machine or no command_id.
Result<EmergencyRecord> decode_emergency_record(std::string_view line);

// The event EmergencyStopped; its command_id is also its correlation.
EventDraft draft_of(const EmergencyRecord& record);

// The file.  Any thread and process: each call waits for the others'.
class EmergencyFile {
 public:
  explicit EmergencyFile(std::filesystem::path file) : file_(std::move(file)) {}

  // Keeps room for some hundred records, so that a full disk takes them all the same where the file system can do that.
  void reserve() const;
  // Durable when it returns.  kFull, kIo.
  Result<void> append(const EmergencyRecord& record) const;
  // In their order; lines that cannot be read are left out and counted.
  struct Content {
    std::vector<EmergencyRecord> records;
    size_t unreadable = 0;
  };
  Result<Content> read() const;
  // Takes those records away, and the unreadable lines when nothing else is left.
  Result<void> remove(const std::set<std::string>& command_ids) const;

 private:
  std::filesystem::path file_;
};

// <data>/emergency_stops.jsonl
std::filesystem::path emergency_file(const std::filesystem::path& data_dir);

}  // namespace millrace
