// SPDX-License-Identifier: Apache-2.0
#include "gcode/text_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace millrace {

void TextReader::add(std::string_view piece) {
  while (!piece.empty()) {
    const auto* end = static_cast<const char*>(std::memchr(piece.data(), '\n', piece.size()));
    const size_t length = end == nullptr ? piece.size() : static_cast<size_t>(end - piece.data());
    const auto part = piece.substr(0, length);
    piece.remove_prefix(std::min(length + 1, piece.size()));
    if (skipping_) {
      skipping_ = end == nullptr;
      continue;
    }
    if (end != nullptr && begun_.empty()) {
      line(part);
      continue;
    }
    const size_t room = limits_.max_line_bytes - std::min(limits_.max_line_bytes, begun_.size());
    begun_ += part.substr(0, room);
    begun_is_cut_ = begun_is_cut_ || part.size() > room;
    if (end == nullptr) return;
    cut_lines_ += begun_is_cut_ ? 1 : 0;
    line(begun_);
    begun_.clear();
    begun_is_cut_ = false;
  }
}

void TextReader::gap() {
  begun_.clear();
  begun_is_cut_ = false;
  skipping_ = true;
  comments_.gap();
  commands_.lose_track();
}

void TextReader::finish() {
  if (!begun_.empty()) line(begun_);
  begun_.clear();
  comments_.finish();
  if (cut_lines_ != 0) {
    facts_.warnings.push_back(fmt::format("{} lines are longer than {} bytes; the rest of each is left out", cut_lines_,
                                          limits_.max_line_bytes));
  }
}

void TextReader::line(std::string_view text) {
  if (text.empty()) return;
  if (text.front() == ' ' || text.front() == '\t' || text.front() == '\r') {
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r"), text.size()));
    if (text.empty()) return;
  }
  if (text.size() > limits_.max_line_bytes) {
    text = text.substr(0, limits_.max_line_bytes);
    ++cut_lines_;
  }
  if (text.front() == ';') {
    comments_.read(text);
    return;
  }
  if (comments_.goes_on()) comments_.interrupted();
  commands_.read(text);
}

}  // namespace millrace
