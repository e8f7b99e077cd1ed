// SPDX-License-Identifier: Apache-2.0
// The pictures in a G-code file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bus/result.h"
#include "gcode/facts.h"

namespace millrace {

// The bytes of base64 text, whose blanks are passed over; nullopt when it is none.
std::optional<std::string> base64_decoded(std::string_view text);

// The image as far as its bytes show it to be whole, with the size that they tell: PNG chunk by chunk with their
// checksums, JPG segment by segment up to the size and the end mark, QOI header and end mark.  kMalformed with what is
// wrong for anything else.
Result<GcodeThumbnail> checked_image(std::string bytes);

// Keeps the largest image (by pixels, then bytes) in `facts`; what is broken becomes a warning that begins with `name`.
void offer_thumbnail(GcodeFacts& facts, const GcodeLimits& limits, const std::string& name, std::string bytes);

// Collects one image from lines of comments.
class ThumbnailLines {
 public:
  ThumbnailLines(GcodeFacts& facts, const GcodeLimits& limits) : facts_(facts), limits_(limits) {}

  // Whether `comment` (without `;` and blanks) begins an image, e.g. "thumbnail_JPG begin 160x160 16296"; it is then
  // open until its end, or until cut_off().
  bool begins(std::string_view comment);
  bool open() const { return open_; }
  // The next line of the open image, the end included.
  void line(std::string_view comment);
  // Something else came before the end.
  void cut_off();

 private:
  GcodeFacts& facts_;
  const GcodeLimits& limits_;
  bool open_ = false;
  bool too_large_ = false;
  std::string name_;  // as in the warning
  std::string end_;
  std::string text_;
};

}  // namespace millrace
