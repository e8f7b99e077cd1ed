// SPDX-License-Identifier: Apache-2.0
// Comments into facts.  Every slicer's way of writing is known here; which values they stand for is not.
#pragma once

#include <string>
#include <string_view>

#include "gcode/facts.h"
#include "gcode/thumbnail.h"

namespace millrace {

class CommentReader {
 public:
  CommentReader(GcodeFacts& facts, const GcodeLimits& limits)
      : facts_(facts), limits_(limits), thumbnail_(facts, limits) {}

  // A line that begins with `;`, without its end.
  void read(std::string_view line);
  // A line that is no comment came: what only goes on from comment to comment is over.
  void interrupted();
  // True while interrupted() would do something.
  bool goes_on() const { return thumbnail_.open() || section_ != Section::kNone; }
  // What comes next does not follow what came last.
  void gap();
  void finish();
  // Whether the lines so far end within something that goes on in the next comments.
  bool unfinished() const { return goes_on() || in_config_ || in_header_; }

 private:
  enum class Section : uint8_t { kNone, kSimplify3dSettings, kSimplify3dSummary, kKissSettings };

  void read_tight(std::string_view comment);
  void read_spaced(std::string_view comment, size_t blanks);
  bool read_mark(std::string_view comment);
  void read_object(std::string_view comment);
  bool read_origin(std::string_view comment);
  void read_simplify3d(std::string_view comment, size_t blanks);
  void read_kiss(std::string_view comment);
  void read_kiss_setting(std::string_view key, std::string_view value);
  bool read_equals(std::string_view comment);
  bool read_colon(std::string_view comment, GcodeSettings::Rank rank);
  void read_numbered_layer(std::string_view number);
  void found(GcodeDialect dialect, std::string_view name, std::string_view version);
  void read_cura_settings();

  GcodeFacts& facts_;
  const GcodeLimits& limits_;
  ThumbnailLines thumbnail_;
  Section section_ = Section::kNone;
  bool in_config_ = false;
  bool in_header_ = false;
  std::string last_object_;
  std::optional<int64_t> last_layer_;
  uint64_t repeats_ = 0;       // of Simplify3D's keys
  std::string kiss_section_;   // "material_2", before keys that repeat
  std::string kiss_key_;       // whose value may go on in the next line
  std::string cura_settings_;  // the text of all SETTING_3 lines
  bool cura_settings_cut_ = false;
};

}  // namespace millrace
