// SPDX-License-Identifier: Apache-2.0
// Splits the text of a G-code file into lines, however the pieces are cut, and hands each to whom it belongs.
#pragma once

#include <string>
#include <string_view>

#include "gcode/command_reader.h"
#include "gcode/comment_reader.h"
#include "gcode/facts.h"

namespace millrace {

class TextReader {
 public:
  TextReader(GcodeFacts& facts, const GcodeLimits& limits)
      : facts_(facts), limits_(limits), comments_(facts, limits), commands_(facts) {}

  void add(std::string_view piece);
  // What is added next does not follow what was added last, and begins within a line.
  void gap();
  void finish();
  // Whether what was added ends within a picture or a block of settings.
  bool unfinished() const { return comments_.unfinished(); }

 private:
  void line(std::string_view text);

  GcodeFacts& facts_;
  const GcodeLimits& limits_;
  CommentReader comments_;
  CommandReader commands_;
  std::string begun_;  // the line that the last piece ended in
  bool begun_is_cut_ = false;
  bool skipping_ = false;  // to the end of a line of which only the rest is there
  uint64_t cut_lines_ = 0;
};

}  // namespace millrace
