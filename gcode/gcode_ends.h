// SPDX-License-Identifier: Apache-2.0
// Reads a G-code file of which only the ends are fetched, as range requests give them: it says which bytes are worth
// asking for next, and what they say.  What only the middle holds stays unknown.  One thread.
//
//   GcodeEnds ends(size);
//   while (const auto range = ends.wanted()) {
//     if (auto added = ends.add(range->offset, fetch(*range)); !added) break;
//   }
//   const auto metadata = ends.finish();
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/result.h"
#include "gcode/metadata.h"

namespace millrace {

struct GcodeEndsOptions {
  uint64_t whole_bytes = 256u << 10;      // a file of this size is fetched whole
  uint64_t piece_bytes = 64u << 10;       // what is asked for first, at each end; then as much again as is there
  uint64_t start_bytes_max = 256u << 10;  // of the head, in search of the first layer
  uint64_t end_bytes_max = 1u << 20;      // of head and of tail, where a picture or settings go on so far
  GcodeLimits limits;
};

struct GcodeRange {
  uint64_t offset = 0;
  uint64_t length = 0;
};

class GcodeEnds {
 public:
  explicit GcodeEnds(uint64_t file_bytes, const GcodeEndsOptions& options = {});

  // The bytes that are worth fetching next, never empty; nullopt when nothing more is.
  std::optional<GcodeRange> wanted() const;

  // Bytes of the file.  They must go on where the head ends, or end where the tail begins (at first: where the file
  // ends); otherwise, or when there are none, kInvalidArgument and nothing changes.  kFull beyond end_bytes_max.
  Result<void> add(uint64_t offset, std::string_view bytes);

  // What is known from what was added; partial unless that is the whole file.  May be called again after more add().
  // Errors as GcodeReader::finish(), and kMalformed when the head is missing.
  Result<GcodeMetadata> finish() const;

 private:
  uint64_t tail_offset() const { return file_bytes_ - tail_.size(); }
  bool tail_begins_within_comments() const;
  void look_at_head();

  uint64_t file_bytes_;
  GcodeEndsOptions options_;
  std::string head_;
  std::string tail_;
  bool head_is_binary_ = false;
  bool head_unfinished_ = true;
  bool head_without_layer_ = true;
};

}  // namespace millrace
