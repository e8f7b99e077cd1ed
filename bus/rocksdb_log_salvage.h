// SPDX-License-Identifier: Apache-2.0
// What can be found of a log in its files, whether or not the store would open them.  Groups carry their own checksum,
// so they are found in the raw bytes of any file; links, marks and numbers are read a file at a time.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "bus/event_group.h"
#include "bus/hash_chain.h"
#include "bus/ids.h"
#include "bus/result.h"
#include "bus/sha256.h"

namespace millrace {

// A group that verified, and where its bytes lie.
struct SavedGroup {
  Sha256 digest{};
  uint64_t last = 0;  // position of its last event
  std::filesystem::path file;
  uint64_t offset = 0;
  uint32_t length = 0;
  std::string bytes;  // instead of a place in a file, where it was in pieces there
};

struct Salvage {
  // By first position.  More than one where a group was replaced by its redacted form and the old one still lies about.
  std::multimap<uint64_t, SavedGroup> facts;
  std::multimap<uint64_t, SavedGroup> telemetry;
  std::map<uint64_t, ChainLink> links;         // by first position
  std::map<uint64_t, uint64_t> commit_counts;  // first position -> events, as the machine index says
  std::map<std::string, EventOrder> marks;
  std::map<std::string, uint64_t> numbers;             // "last", "incarnation", ...: the largest found
  std::map<std::string, std::string> schemas;          // "schema/<crc>"
  std::map<uint64_t, std::vector<Sha256>> redactions;  // first position -> what each redaction left, in order
  uint64_t removed_through = 0;                        // telemetry, by retention
  std::vector<std::string> damage;                     // one line for each file that could not be read in whole
};

Salvage salvage_log(const std::filesystem::path& directory);

// The group's bytes again.  kIo, kCorrupt.
Result<std::string> bytes_of(const SavedGroup& group);

}  // namespace millrace
