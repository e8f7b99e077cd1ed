// SPDX-License-Identifier: Apache-2.0
#include "gcode/gcode_ends.h"

#include <fmt/format.h>

#include <algorithm>

#include "gcode/gcode_reader.h"

namespace millrace {

GcodeEnds::GcodeEnds(uint64_t file_bytes, const GcodeEndsOptions& options)
    : file_bytes_(file_bytes), options_(options) {}

std::optional<GcodeRange> GcodeEnds::wanted() const {
  const uint64_t missing = tail_offset() - head_.size();
  if (missing == 0) return std::nullopt;
  if (file_bytes_ <= options_.whole_bytes) return GcodeRange{head_.size(), missing};
  if (head_.empty()) return GcodeRange{0, std::min(options_.piece_bytes, missing)};
  const uint64_t most = head_unfinished_ ? options_.end_bytes_max : head_without_layer_ ? options_.start_bytes_max : 0;
  if (head_.size() < most) {
    return GcodeRange{head_.size(), std::min({uint64_t{head_.size()}, most - head_.size(), missing})};
  }
  if (head_is_binary_ || (!tail_.empty() && !tail_begins_within_comments())) return std::nullopt;
  if (tail_.size() >= options_.end_bytes_max) return std::nullopt;
  const uint64_t length = std::min(
      {std::max(options_.piece_bytes, uint64_t{tail_.size()}), options_.end_bytes_max - tail_.size(), missing});
  return GcodeRange{tail_offset() - length, length};
}

Result<void> GcodeEnds::add(uint64_t offset, std::string_view bytes) {
  const uint64_t missing = tail_offset() - head_.size();
  const uint64_t most = std::max(options_.end_bytes_max, options_.whole_bytes);
  if (bytes.empty() || bytes.size() > missing) {
    return make_error(Errc::kInvalidArgument, fmt::format("{} bytes where {} are missing", bytes.size(), missing));
  }
  // What fills the gap may be of either end.
  const bool head_has_room = head_.size() + bytes.size() <= most;
  if (offset == head_.size() && (head_has_room || bytes.size() != missing)) {
    if (!head_has_room) return make_error(Errc::kFull, "the head is large enough");
    head_ += bytes;
    look_at_head();
  } else if (offset + bytes.size() == tail_offset()) {
    if (tail_.size() + bytes.size() > most) return make_error(Errc::kFull, "the tail is large enough");
    tail_.insert(0, bytes);
  } else {
    return make_error(
        Errc::kInvalidArgument,
        fmt::format("bytes {} to {} follow neither the head, which ends at {}, nor precede the tail at {}", offset,
                    offset + bytes.size(), head_.size(), tail_offset()));
  }
  return {};
}

void GcodeEnds::look_at_head() {
  GcodeReader reader(options_.limits);
  reader.add(head_);
  head_is_binary_ = reader.is_binary();
  head_unfinished_ = reader.unfinished();
  head_without_layer_ = !head_is_binary_ && !reader.has_layers();
}

// Settings at the end of a file are comments without a command between them.
bool GcodeEnds::tail_begins_within_comments() const {
  constexpr int kLines = 4;
  std::string_view rest = tail_;
  for (int i = 0; i <= kLines; ++i) {
    const size_t end = rest.find('\n');
    if (end == std::string_view::npos) return true;
    // The first line may be the rest of one.
    if (i != 0 && rest.front() != ';' && rest.front() != '\r' && rest.front() != '\n') return false;
    rest.remove_prefix(end + 1);
    if (rest.empty()) return true;
  }
  return true;
}

Result<GcodeMetadata> GcodeEnds::finish() const {
  if (head_.empty()) return make_error(Errc::kMalformed, "nothing of the file is there");
  GcodeReader reader(options_.limits);
  reader.add(head_);
  if (head_.size() != tail_offset()) reader.gap();
  reader.add(tail_);
  return reader.finish();
}

}  // namespace millrace
