// SPDX-License-Identifier: Apache-2.0
// Checks every byte of a log, at rest or beside a running hub: the store's checksums, each group's own, the chain,
// positions, the events themselves, indexes and marks, and each producer's numbers.  Changes nothing.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bus/event_log.h"
#include "bus/producer_ledger.h"

namespace millrace {

// A root of the chain, kept elsewhere: whoever changes the log afterwards cannot change it too.
struct LogAnchor {
  std::string incarnation;
  ChainRoot root;
  WallTime at{};  // when it was taken; zero where not known
};

// {"incarnation":"..","position":42,"root":"<64 hex digits>","at":".."}
std::string encode(const LogAnchor& anchor);
// That, or "incarnation/position/root" anywhere in the text.  kMalformed.
Result<LogAnchor> decode_anchor(std::string_view text);
// At least one such, one a line; empty lines and those that begin with # are passed over.  kMalformed names the line.
Result<std::vector<LogAnchor>> decode_anchors(std::string_view text);
// "incarnation/position/root"
std::string short_text(const LogAnchor& anchor);
// nullopt while the log is empty or has no chain.
std::optional<LogAnchor> anchor_of(const LogInfo& info, WallTime now);

struct LogFault {
  Position position;  // 0: not known
  std::string file;   // empty: not known
  std::string what;
};

struct VerifyProgress {
  Position position;  // up to here
  Position last;
  uint64_t bytes = 0;  // of groups
};

struct VerifyOptions {
  std::vector<LogAnchor> anchors;                          // the chain has to pass through each
  std::function<void(const VerifyProgress&)> on_progress;  // on the calling thread, a few thousand events apart
};

struct LogVerdict {
  static constexpr size_t kMaxFaults = 1000;  // further ones are counted only, but for damaged files

  std::string incarnation;
  Position last;
  std::optional<ChainRoot> root;
  uint64_t commits = 0;
  uint64_t facts = 0;
  uint64_t telemetry = 0;
  uint64_t expired = 0;   // positions whose samples have gone when their time was over
  uint64_t lost = 0;      // positions that a repair or a restore declared lost
  uint64_t redacted = 0;  // groups
  uint64_t files = 0;
  uint64_t file_bytes = 0;
  uint64_t group_bytes = 0;      // as stored
  uint64_t raw_bytes = 0;        // unpacked
  std::vector<LogFault> faults;  // the first position first, those without one at the end
  uint64_t fault_count = 0;
  uint64_t anchor_faults = 0;      // of these: anchors that do not hold, which no repair can mend
  uint64_t anchors_held = 0;       // neither counts one when the walk did not come so far
  std::vector<std::string> notes;  // worth knowing, nothing wrong
  std::vector<ProducerProof> producers;

  bool whole() const { return fault_count == 0; }
};

// kNotFound where there is no log, kIncompatible when a newer program wrote it.  Damage, even such that the log cannot
// be opened, is no error but a verdict.
Result<LogVerdict> verify_rocksdb_log(const std::filesystem::path& directory, const VerifyOptions& options = {});

}  // namespace millrace
